"""An own certificate that is revoked or was not renewed in time, shown as an error, whoever was to renew it."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from bosd.node.faults import Severity
from bosd.node.noticed import Noticed
from bosd.pki.renewal import is_overdue, is_urgent
from bosd.rpc.tls import Keyring

EXPIRES = "CERTIFICATE_EXPIRES"
REVOKED = "CERTIFICATE_REVOKED"


def certificate_revoked(keyring: Keyring) -> Iterable[Noticed]:
    """Yield that the own certificate is on this node's own list of the revoked: nobody who has that list lets it in."""
    identity = keyring.material.identity
    if identity.serial in keyring.material.revocations.serials:
        message = f"the certificate {identity.serial:x} of {identity.holder} is revoked: `bosctl ca issue --node {identity.name}`"
        yield Noticed(REVOKED, Severity.HIGH, message, "security")


def certificate_expires(keyring: Keyring, utc_s: Callable[[], float]) -> Iterable[Noticed]:
    """Yield it from one look after it was due (a third of its life is left), more severe below a tenth."""
    identity, now_utc_s = keyring.material.identity, utc_s()
    if not is_overdue(identity, now_utc_s):
        return
    severity = Severity.HIGH if is_urgent(identity, now_utc_s) else Severity.MEDIUM
    ends = datetime.fromtimestamp(identity.ends_utc_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    verb = "ends" if identity.ends_utc_s > now_utc_s else "ended"
    why = keyring.failure or "no node with [security] authority renewed it"
    message = f"the certificate {identity.serial:x} of {identity.holder} {verb} at {ends}: {why}"
    yield Noticed(EXPIRES, severity, message, "security")
