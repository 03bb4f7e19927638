"""With which certificate a node is reached, and why it was not.

Off loopback always with one: the files named by options or environment, else those in `directory()`. On loopback only where an
option or the environment names files; unix sockets need none.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from clients.bosctl.errors import ExitStatus, Failure

if TYPE_CHECKING:
    from bosd.pki.material import Material, Places


_FOREIGN = "its certificate is of a foreign CA, has expired, or one of the two clocks is wrong"
_NOT_ACCEPTED = (
    "it did not accept your certificate ({holder}): it trusts another CA, or by its clock yours has expired or is not valid yet; "
    "or all its connections are taken, then stop at the node itself, over its unix socket"
)


def directory() -> Path:
    """Return where a person's certificate is kept."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "bosd"


@dataclass(frozen=True, slots=True)
class Trust:
    """The files named by options; what is not named lies in `directory()`."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def channel(self, target: str, options: Sequence[tuple[str, int]], node: str | None = None) -> grpc.Channel:
        """Return a channel to a node, any of ours unless one is named.

        Raises Failure when it needs files that are missing or do not fit.
        """
        if self.is_plain(target):
            return grpc.insecure_channel(target, options=options)
        from bosd.pki.identity import ANY_NODE, server_name  # noqa: PLC0415 (only nodes at a distance need cryptography)

        material = self._material()
        credentials = grpc.ssl_channel_credentials(material.ca_pem, material.key_pem, material.certificate_pem)
        wanted = ANY_NODE if node is None else server_name(node)
        return grpc.secure_channel(target, credentials, options=(*options, ("grpc.ssl_target_name_override", wanted)))

    def is_plain(self, target: str) -> bool:
        """Return whether a target is reached without certificates."""
        if target.startswith("unix:"):
            return True
        host = target.rpartition(":")[0].removeprefix("[").removesuffix("]")
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            loopback = host == "localhost"
        return loopback and self == Trust()

    def _places(self) -> "Places":
        from bosd.pki.bundle import places_in  # noqa: PLC0415 (see channel)
        from bosd.pki.material import Places  # noqa: PLC0415

        default = places_in(directory())
        return Places(ca=self.ca or default.ca, certificate=self.certificate or default.certificate, key=self.key or default.key)

    def _material(self) -> "Material":
        from bosd.errors import ConfigError  # noqa: PLC0415 (see channel)
        from bosd.pki.material import load_material  # noqa: PLC0415

        try:
            return load_material(self._places())
        except ConfigError as error:
            raise Failure(ExitStatus.REFUSED, "UNAUTHENTICATED", error.message, error.metadata) from None

    def explained(self, failure: Failure, target: str) -> Failure:
        """Return a failure to reach a node with its likely causes."""
        if failure.status is not ExitStatus.UNREACHABLE or not failure.message.startswith("cannot reach"):
            return failure
        text = failure.message.lower()
        if "refused" in text or "no such file" in text:
            return failure
        causes = self._plain_causes(text) if self.is_plain(target) else self._causes(text)
        return (
            failure
            if not causes
            else Failure(
                failure.status, failure.reason, f"cannot reach {target}: {causes}", {**failure.metadata, "cause": causes}
            )
        )

    @staticmethod
    def _plain_causes(text: str) -> str:
        return (
            "it closed the connection; it may want a certificate: name yours with --ca, --certificate and --key"
            if "closed" in text or "reset" in text
            else ""
        )

    def _causes(self, text: str) -> str:
        from bosd.clock import SystemClock  # noqa: PLC0415 (failures only)
        from clients.bosctl.format_json import rfc3339  # noqa: PLC0415

        identity = self._material().identity
        utc_s = SystemClock().utc_s()
        if identity.ends_utc_s <= utc_s:
            return (
                f"your certificate ({identity.holder}) expired at {rfc3339(identity.ends_utc_s)}, it is {rfc3339(utc_s)} here: "
                f"`bosctl ca renew {identity.holder}`, or set the clock"
            )
        if identity.begins_utc_s > utc_s:
            return f"your certificate begins at {rfc3339(identity.begins_utc_s)}, it is {rfc3339(utc_s)} here: set the clock"
        for mark, cause in (
            ("wrong_version", "it speaks no TLS: add [security] to its configuration"),
            (
                "hostname verification",
                "what answers there has a certificate of our CA, but not the one of a node that is looked for",
            ),
            ("certificate_verify_failed", _FOREIGN),
            ("certificate signature failure", _FOREIGN),
            ("closed", _NOT_ACCEPTED),
            ("reset", _NOT_ACCEPTED),
        ):
            if mark in text:
                return cause.format(holder=identity.holder)
        return ""
