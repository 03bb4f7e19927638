"""The `[fleet]` section: sessions with other nodes, which of them must be there, and how they find each other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

from bosd.bal.spec_rules import host_port, name_fault
from bosd.config.faults import FileFaults
from bosd.config.reader import read_table, shown

_LONGEST_LEASE_S = 60.0


class SessionTimes(Protocol):
    """Times of a session in seconds that must fit together."""

    @property
    def heartbeat_s(self) -> float: ...  # noqa: D102
    @property
    def stale_s(self) -> float: ...  # noqa: D102
    @property
    def lease_s(self) -> float: ...  # noqa: D102
    @property
    def max_command_age_s(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetKeys:
    """Times of sessions in seconds; what they mean is in control.md, "The two ends of a set point".

    `required` names nodes, by name or target, without which the system is BLOCKED. `announce` tells the local network of this
    node; not given, it does where the node listens off loopback.
    """

    heartbeat_s: float = 0.5
    stale_s: float = 1.5
    lease_s: float = 3.0
    max_command_age_s: float = 1.0
    required: tuple[str, ...] = ()
    announce: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetConfig(FleetKeys):
    """The whole section; `addresses` says where nodes are that stubs name by serial, where nothing better is known."""

    addresses: Mapping[str, str] = field(default_factory=dict)


def read_fleet(tables: Mapping[str, object], faults: FileFaults) -> FleetConfig:
    """Return the section, its defaults where it is absent or faulty."""
    table = tables.get("fleet", {})
    if not isinstance(table, dict):
        faults.add("fleet", f"expected a [fleet] section, got {shown(table)}")
        return FleetConfig()
    keys = {key: value for key, value in table.items() if key != "addresses"}
    found = read_table(FleetKeys, keys, "fleet", faults) or FleetKeys()
    check_fleet(found, faults)
    return FleetConfig(**asdict(found), addresses=_addresses(table.get("addresses", {}), faults))


def _addresses(value: object, faults: FileFaults) -> dict[str, str]:
    if not isinstance(value, dict):
        faults.add("fleet.addresses", f"expected a table, got {shown(value)}")
        return {}
    found: dict[str, str] = {}
    for serial, address in value.items():
        place = f'fleet.addresses."{serial}"'
        if fault := name_fault(serial):
            faults.add(place, fault)
        elif not isinstance(address, str) or ((split := host_port(address)) is None or split[1] == 0):
            faults.add(place, f"expected where that node listens, such as 192.168.1.20:4004, got {shown(address)}")
        else:
            found[serial] = address
    return found


def check_announced(fleet: FleetConfig, off_loopback: Sequence[str], faults: FileFaults) -> None:
    """Add that a node has nothing to announce: loopback never is."""
    if fleet.announce and not off_loopback:
        faults.add("fleet.announce", "there is nothing to announce: this node listens on loopback and sockets alone")


def check_fleet(fleet: FleetKeys, faults: FileFaults) -> None:
    """Add what does not fit together (satellites.md 3.2)."""
    for index, node in enumerate(fleet.required):
        if not node or node in fleet.required[:index]:
            faults.add(f"fleet.required[{index}]", f"{node!r} is named twice" if node else "is empty: name a node")
    for key, fault in time_faults(fleet):
        faults.add(f"fleet.{key}", fault)


def time_faults(times: SessionTimes) -> Iterator[tuple[str, str]]:
    """Yield which of a session's times does not fit the others, and why (satellites.md 3.2)."""
    lease_s, heartbeat_s = times.lease_s, times.heartbeat_s
    if not 0.0 < lease_s <= _LONGEST_LEASE_S:
        yield "lease_s", f"{lease_s!r} is not above 0 and at most {_LONGEST_LEASE_S:g} s"
        return
    if not 0.0 < heartbeat_s <= lease_s / 4.0:
        yield "heartbeat_s", f"{heartbeat_s!r} is not above 0 and at most a quarter of lease_s ({lease_s!r})"
        return
    for key, value in (("stale_s", times.stale_s), ("max_command_age_s", times.max_command_age_s)):
        if not heartbeat_s < value < lease_s:
            yield key, f"{value!r} is not between heartbeat_s ({heartbeat_s!r}) and lease_s ({lease_s!r})"
