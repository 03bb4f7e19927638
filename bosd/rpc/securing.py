"""What a node has under `[security]`; one without that section loads no cryptography."""

from typing import TYPE_CHECKING

from bosd.clock import SystemClock
from bosd.config.security import SecurityConfig
from bosd.node.audit import AuditLog
from bosd.node.node import Node
from bosd.rpc.client import RemotePool

if TYPE_CHECKING:
    from bosd.rpc.guard import Guard
    from bosd.rpc.renewing import Renewer
    from bosd.rpc.tls import Keyring


def guard_of(node: Node, keyring: "Keyring | None", security: SecurityConfig | None) -> "Guard | None":
    """Return what stands before every call under `[security]`."""
    if keyring is None or security is None:
        return None
    from bosd.rpc.guard import Guard  # noqa: PLC0415 (see the module)
    from bosd.rpc.rights import Rights  # noqa: PLC0415

    return Guard(node, keyring, Rights(security.grants))


def renewer_of(
    node: Node, keyring: "Keyring | None", security: SecurityConfig | None, pool: RemotePool, audit: AuditLog
) -> "Renewer | None":
    """Return who renews certificates, where this node holds the authority; have its own watched. Raises ConfigError."""
    if keyring is None or security is None:
        return None
    from bosd.rpc.expiry import certificate_expires, certificate_revoked  # noqa: PLC0415 (see the module)

    node.notices.sources.append(lambda: certificate_expires(keyring, SystemClock().utc_s))
    node.notices.sources.append(lambda: certificate_revoked(keyring))
    if (place := security.authority) is None:
        return None
    from bosd.pki.authority import Authority  # noqa: PLC0415 (the node with the authority alone)
    from bosd.rpc.renewing import Renewer, open_authority  # noqa: PLC0415

    return Renewer(open_authority(keyring, Authority(place)), keyring, pool, node.faults, audit)
