"""Who a certificate says its bearer is.

The identity is the URI `bosd:ROLE/NAME` among the alternative names; nothing else in a certificate gives a right. A node's
certificate also carries two DNS names of a domain that no resolver knows, so that a client can demand "a node of ours" or "this
very node" of whoever answers at an address, and addresses need not be in certificates.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from bosd.errors import UnauthenticatedError

ANY_NODE = "node.bosd"
"""The DNS name in every node's certificate and in no other."""
UNREADABLE = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises, as it parses bytes or looks into them, for what is no certificate, request or list of ours."""
_SCHEME = "bosd:"
_NAME = re.compile(r"[A-Za-z0-9_'][A-Za-z0-9_.'-]{0,62}")
BACKDATED_S = 300.0
"""A certificate begins earlier than it is issued by this: clocks of boards differ."""
_DAY_S = 86400.0
_LATE_FRACTION = 1.0 / 3.0


class Role(StrEnum):
    """What a bearer may do (control.md, "Owners, sessions, claims")."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    NODE = "node"
    TENANT = "tenant"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A bearer: role, name, and the certificate that says so; times are seconds since 1970-01-01 UTC."""

    role: Role
    name: str
    serial: int
    begins_utc_s: float
    ends_utc_s: float

    @property
    def holder(self) -> str:
        """Return it as `ROLE:NAME`, as in grants, claims and the audit."""
        return f"{self.role}:{self.name}"

    @property
    def life_s(self) -> float:
        """How long it was to be good for when it was issued."""
        span_s = self.ends_utc_s - self.begins_utc_s
        return span_s - BACKDATED_S if span_s > BACKDATED_S else span_s

    def days_left(self, utc_s: float) -> float:
        """Return the days until the certificate ends, negative when it has."""
        return (self.ends_utc_s - utc_s) / _DAY_S

    def is_late(self, utc_s: float) -> bool:
        """Tell whether less than a third of the certificate's life is left (control.md, "Transport security")."""
        return self.ends_utc_s - utc_s < _LATE_FRACTION * self.life_s


def parse_holder(text: str) -> tuple[Role, str] | None:
    """Split `ROLE:NAME`; None when it is not that."""
    role, _, name = text.partition(":")
    if role not in set(Role) or not _NAME.fullmatch(name):
        return None
    return Role(role), name


def uri_of(role: Role, name: str) -> str:
    """Return the alternative name that carries an identity."""
    return f"{_SCHEME}{role}/{name}"


def server_name(node: str) -> str:
    """Return the DNS name that only the certificate of node `node` carries: any name, in one label, letter case counted."""
    return f"n{hashlib.sha256(node.encode()).hexdigest()[:40]}.{ANY_NODE}"


def identity_of(certificate: x509.Certificate) -> Identity:
    """Return the identity in a certificate. Raises UnauthenticatedError unless there is exactly one."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except UNREADABLE:
        uris: list[str] = []
    else:
        uris = [uri for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if uri.startswith(_SCHEME)]
    found = parse_holder(uris[0].removeprefix(_SCHEME).replace("/", ":", 1)) if len(uris) == 1 else None
    if found is None:
        raise UnauthenticatedError("the certificate names no role of bosd; issue one with `bosctl ca issue`")
    return Identity(
        role=found[0],
        name=found[1],
        serial=certificate.serial_number,
        begins_utc_s=certificate.not_valid_before_utc.timestamp(),
        ends_utc_s=certificate.not_valid_after_utc.timestamp(),
    )
