"""The configuration file: the node's own settings and its first topology."""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bosd.bal.spec import Topology
from bosd.bal.spec_rules import host_port, name_fault
from bosd.bal.topology import POLICIES
from bosd.config.eebus import EebusConfig, read_eebus
from bosd.config.faults import FileFaults, did_you_mean
from bosd.config.fleet import FleetConfig, check_announced, read_fleet
from bosd.config.reader import T, read_table, shown
from bosd.config.security import SecurityConfig, read_security
from bosd.config.topology_toml import NODE_TABLES, check_graph, read_toml, read_topology

_SECTIONS = (*NODE_TABLES, "battery", "splitter")
_LATER_SECTIONS = frozenset({"mqtt", "web", "metering", "fuelgauge", "grant"})
_LOOPBACK = re.compile(r"localhost|::1|127(?:\.[0-9]{1,3}){3}")
_SOCKET_PATH_BYTES = 107
_LONGEST_HOOK_S = 600.0
_LONGEST_RETENTION_DAYS = 36525.0
_LARGEST_AUDIT_MIB = 4096.0
_MOST_LEDGER_ENTRIES = 100_000_000


def _default_name() -> str:
    host = os.uname().nodename.partition(".")[0]
    return "node" if name_fault(host) else host


def _default_state_dir() -> Path:
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else Path("~/.local/state/bosd").expanduser()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """The node itself; `listen` holds `host:port` (off loopback only under mutual TLS) and `unix:PATH`, times are in seconds."""

    name: str = field(default_factory=_default_name)
    listen: tuple[str, ...] = ("127.0.0.1:4004",)
    state_dir: Path = field(default_factory=_default_state_dir)
    default_setpoint_ttl_s: float = 60.0
    max_setpoint_ttl_s: float = 3600.0
    trust_clock: bool = False

    @property
    def off_loopback(self) -> tuple[str, ...]:
        """Where it listens for other machines."""
        tcp = [address for address in self.listen if not address.startswith("unix:")]
        return tuple(each for each in tcp if (at := host_port(each)) is not None and not _LOOPBACK.fullmatch(at[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where durable state is; `sqlite` is a file in the state directory. Audit and ledger keep what is within their bounds."""

    url: str = "sqlite"
    audit_retention_days: float = 365.0
    audit_max_mib: float = 64.0
    ledger_retention_days: float = 400.0
    ledger_max_entries: int = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HooksConfig:
    """A command run on events, with a JSON document on stdin; without a command nothing is run."""

    command: tuple[str, ...] = ()
    events: tuple[Literal["UNAVAILABLE", "PROTECTION", "NOT_FOLLOWED"], ...] = ("UNAVAILABLE", "PROTECTION", "NOT_FOLLOWED")
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration file; `place` names it in messages. `eebus_fault`: why `[eebus]` gave no `eebus`."""

    node: NodeConfig
    store: StoreConfig
    topology: Topology
    place: str
    hooks: HooksConfig = field(default_factory=HooksConfig)
    fleet: FleetConfig = field(default_factory=FleetConfig)
    security: SecurityConfig | None = None
    eebus: EebusConfig | None = None
    eebus_fault: str = ""


def load_config(path: str | Path, policies: Collection[str] = POLICIES, *, stored: bool = False) -> Config:
    """Return the configuration in a file. Raises ConfigError with the path and the reason, or with all faults of its text.

    With `stored`, as a node that may have run before reads it, a battery whose driver cannot be had is an AbsentSpec.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        faults = FileFaults(str(path))
        faults.add("", f"cannot be read: {error.strerror}")
        faults.raise_any()
        raise
    return parse_config(_decoded(data, str(path)), str(path), policies, stored=stored)


def _decoded(data: bytes, place: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        faults = FileFaults(place)
        line = data.count(b"\n", 0, error.start) + 1
        faults.add("", f"not TOML: byte 0x{data[error.start]:02x} in line {line} is not UTF-8")
        faults.raise_any()
        raise


def parse_config(
    text: str, place: str = "configuration", policies: Collection[str] = POLICIES, *, stored: bool = False
) -> Config:
    """Return the configuration in a text, `stored` as in `load_config`.

    Raises one ConfigError with every fault and its place, those of `[eebus]` left out.
    """
    faults = FileFaults(place)
    tables = read_toml(text, place)
    _check_sections(tables, faults)
    node = _section(NodeConfig, tables, "node", faults)
    store = _section(StoreConfig, tables, "store", faults)
    before = len(faults)
    hooks = _section(HooksConfig, tables, "hooks", faults)
    if "hooks" in tables and len(faults) == before:
        _check_hooks(hooks, faults)
    fleet = read_fleet(tables, faults)
    security = read_security(tables, node.state_dir, faults)
    _check_node(node, faults, secured="security" in tables)
    _check_store(store, faults)
    check_announced(fleet, node.off_loopback, faults)
    topology, lost = read_topology(tables, faults, stored=stored)
    check_graph(topology, lost, policies, faults)
    eebus, eebus_fault = read_eebus(tables, node.state_dir, place)
    faults.raise_any()
    return Config(
        node=node,
        store=store,
        topology=topology,
        place=place,
        hooks=hooks,
        fleet=fleet,
        security=security,
        eebus=eebus,
        eebus_fault=eebus_fault,
    )


def _check_sections(tables: Mapping[str, object], faults: FileFaults) -> None:
    for key, value in tables.items():
        if key in _LATER_SECTIONS or (key == "node" and isinstance(value, list)):
            faults.add(f"[[{key}]]" if isinstance(value, list) else f"[{key}]", "not supported by this version; remove it")
        elif key not in _SECTIONS:
            faults.add(key, f"unknown section; {did_you_mean(key, _SECTIONS)}")


def _section(cls: type[T], tables: Mapping[str, object], key: str, faults: FileFaults) -> T:
    """Return a section, its defaults where it is absent or faulty."""
    value = tables.get(key, {})
    if isinstance(value, dict):
        return read_table(cls, value, key, faults) or cls()
    if not isinstance(value, list) or key != "node":
        faults.add(key, f"expected a [{key}] section, got {shown(value)}")
    return cls()


def _check_hooks(hooks: HooksConfig, faults: FileFaults) -> None:
    if not hooks.command or not all(word and "\0" not in word for word in hooks.command):
        faults.add("hooks.command", 'write the program and its arguments, such as ["/usr/local/bin/notify", "--urgent"]')
    elif not hooks.command[0].startswith("/"):
        faults.add("hooks.command", f"{shown(hooks.command[0])} is no absolute path; the daemon looks programs up nowhere")
    if not hooks.events:
        faults.add("hooks.events", "is empty: a hook runs on something")
    if not 0.0 < hooks.timeout_s <= _LONGEST_HOOK_S:
        faults.add("hooks.timeout_s", f"{hooks.timeout_s!r} lies outside 0 to {_LONGEST_HOOK_S:g}")


def _check_node(node: NodeConfig, faults: FileFaults, *, secured: bool) -> None:
    if fault := name_fault(node.name):
        faults.add("node.name", fault)
    if node.max_setpoint_ttl_s <= 0.0:
        faults.add("node.max_setpoint_ttl_s", f"{node.max_setpoint_ttl_s!r} is not above 0")
    if not 0.0 < node.default_setpoint_ttl_s <= node.max_setpoint_ttl_s:
        text = f"{node.default_setpoint_ttl_s!r} is not above 0 and at most max_setpoint_ttl_s ({node.max_setpoint_ttl_s!r})"
        faults.add("node.default_setpoint_ttl_s", text)
    if not node.listen:
        faults.add("node.listen", "is empty: a node listens somewhere")
    for index, address in enumerate(node.listen):
        if fault := _listen_fault(address, node.listen[:index], secured=secured):
            faults.add(f"node.listen[{index}]", fault)


def _listen_fault(address: str, before: tuple[str, ...], *, secured: bool) -> str | None:
    if address.startswith("unix:"):
        length = len(os.fsencode(address.removeprefix("unix:")))
        if not 0 < length <= _SOCKET_PATH_BYTES:
            return f"{address!r}: a socket's path has 1 to {_SOCKET_PATH_BYTES} bytes"
    else:
        target = host_port(address)
        if target is None:
            return f"{address!r} is no address: write 127.0.0.1:4004 or unix:PATH"
        if not secured and not _LOOPBACK.fullmatch(target[0]):
            return (
                f"{address!r} is not loopback and needs mutual TLS: add a [security] section (`bosctl ca install BUNDLE` prints "
                f"it), or write 127.0.0.1:{target[1]}"
            )
    repeated = address in before and not address.endswith(":0")
    return f"{address!r} is named twice" if repeated else None


def _check_store(store: StoreConfig, faults: FileFaults) -> None:
    if store.url != "sqlite":
        faults.add("store.url", f'{shown(store.url)} is not supported by this version; write "sqlite"')
    if not 1.0 <= store.audit_retention_days <= _LONGEST_RETENTION_DAYS:
        text = f"{store.audit_retention_days!r} is not 1 to {_LONGEST_RETENTION_DAYS:g} days"
        faults.add("store.audit_retention_days", text)
    if not 1.0 <= store.ledger_retention_days <= _LONGEST_RETENTION_DAYS:
        text = f"{store.ledger_retention_days!r} is not 1 to {_LONGEST_RETENTION_DAYS:g} days"
        faults.add("store.ledger_retention_days", text)
    if not 1000 <= store.ledger_max_entries <= _MOST_LEDGER_ENTRIES:
        faults.add("store.ledger_max_entries", f"{store.ledger_max_entries!r} is not 1000 to {_MOST_LEDGER_ENTRIES}")
    if not 1.0 <= store.audit_max_mib <= _LARGEST_AUDIT_MIB:
        faults.add("store.audit_max_mib", f"{store.audit_max_mib!r} is not 1 to {_LARGEST_AUDIT_MIB:g} MiB")
