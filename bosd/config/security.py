"""The `[security]` section: the files of mutual TLS, and which batteries an identity is granted."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bosd.bal.spec_rules import host_port, name_fault
from bosd.config.faults import FileFaults
from bosd.config.reader import read_table, shown

ALL = "*"
"""In a grant: every battery."""
GRANTED_ROLES = ("operator", "node", "tenant")
"""Roles that grants mean something for: viewers read all, admins may do everything."""
_SUBTABLES = ("grants", "peers")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityFiles:
    """The files of mutual TLS; `loopback_plain` leaves listeners and links on loopback without it.

    `authority` is the directory of the own authority, on the one node that renews certificates of those it has stubs of.
    """

    ca: Path
    certificate: Path
    key: Path
    revoked: Path | None = None
    authority: Path | None = None
    loopback_plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig(SecurityFiles):
    """Mutual TLS on every TCP listener, and who may do what.

    `grants` maps `ROLE:NAME` to battery names; `peers` maps the address of a node to the name its certificate must carry.
    """

    grants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    peers: Mapping[str, str] = field(default_factory=dict)


def read_security(tables: Mapping[str, object], state_dir: Path, faults: FileFaults) -> SecurityConfig | None:
    """Return the section, or None where it is absent or faulty."""
    table = tables.get("security")
    if table is None:
        return None
    if not isinstance(table, dict):
        faults.add("security", f"expected a [security] section, got {shown(table)}")
        return None
    files = read_table(SecurityFiles, {key: value for key, value in table.items() if key not in _SUBTABLES}, "security", faults)
    grants = _grants(table.get("grants", {}), faults)
    peers = _peers(table.get("peers", {}), faults)
    if files is None:
        return None
    if files.key.absolute().is_relative_to(state_dir.absolute()):
        faults.add("security.key", f"lies in the state directory {state_dir}, which every backup copies; keep it elsewhere")
    if files.authority is not None and files.authority.absolute().is_relative_to(state_dir.absolute()):
        faults.add("security.authority", f"lies in the state directory {state_dir}, which every backup copies; keep it elsewhere")
    return SecurityConfig(**asdict(files), grants=grants, peers=peers)


def _grants(value: object, faults: FileFaults) -> dict[str, tuple[str, ...]]:
    grants: dict[str, tuple[str, ...]] = {}
    for key, names in _subtable(value, "security.grants", faults).items():
        place = f'security.grants."{key}"'
        role, colon, name = key.partition(":")
        if role not in GRANTED_ROLES or not colon or name_fault(name):
            faults.add(place, f'write ROLE:NAME, such as "tenant:anna"; the roles are {", ".join(GRANTED_ROLES)}')
        elif not isinstance(names, list) or not all(isinstance(each, str) and _is_grant(each) for each in names):
            faults.add(place, f'expected names of batteries, such as ["garage"], or ["{ALL}"] for all; got {shown(names)}')
        else:
            grants[key] = tuple(names)
    return grants


def _is_grant(name: str) -> bool:
    return name == ALL or name_fault(name) is None


def _peers(value: object, faults: FileFaults) -> dict[str, str]:
    peers: dict[str, str] = {}
    for target, node in _subtable(value, "security.peers", faults).items():
        place = f'security.peers."{target}"'
        if host_port(target) is None:
            faults.add(place, "write the address of a node as the stubs name it, such as 192.168.1.20:4004")
        elif not isinstance(node, str) or name_fault(node):
            faults.add(place, f"expected the name of the node there, got {shown(node)}")
        else:
            peers[target] = node
    return peers


def _subtable(value: object, place: str, faults: FileFaults) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    faults.add(place, f"expected a table, got {shown(value)}")
    return {}
