"""What the demo is made of: three packs, two nodes, who rests on whom."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GARAGE, HOUSE = "garage", "house"
PREFERRED_PORTS = {GARAGE: 4004, HOUSE: 4005}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A simulated JBD pack of four LFP cells; limits are magnitudes in amperes, `soc` is 0 to 1."""

    name: str
    node: str
    capacity_ah: float
    soc: float
    max_discharge_current_a: float
    max_charge_current_a: float

    def link(self, directory: Path) -> Path:
        """Return where its pseudo-terminal appears."""
        return directory / self.name

    def control(self, directory: Path) -> Path:
        """Return its control socket: the simulated regulator's end, and where its line is cut."""
        return directory / f"{self.name}.sock"

    def arguments(self, directory: Path, seed: int) -> list[str]:
        """Return the arguments of `bosd` that simulate it."""
        values = ("--link", self.link(directory), "--control", self.control(directory), "--capacity-ah", self.capacity_ah)
        return ["sim", "jbd", *map(str, values), "--soc", str(self.soc), "--seed", str(seed)]


PACKS = (
    Pack(name="b1", node=GARAGE, capacity_ah=100.0, soc=0.62, max_discharge_current_a=50.0, max_charge_current_a=50.0),
    Pack(name="b2", node=GARAGE, capacity_ah=50.0, soc=0.45, max_discharge_current_a=25.0, max_charge_current_a=25.0),
    Pack(name="b3", node=HOUSE, capacity_ah=200.0, soc=0.8, max_discharge_current_a=100.0, max_charge_current_a=60.0),
)

_GARAGE_TOPOLOGY = """
[[battery]]
name = "pack"
kind = "aggregator"
sources = ["b1", "b2"]
voltage_v = 13.2
voltage_tolerance_v = 1.0

[[splitter]]
name = "sharing"
policy = "proportional"
source = "pack"
partitions = [{{ name = "workshop", fraction = 0.4 }}, {{ name = "lent", fraction = 0.6 }}]
"""
_HOUSE_TOPOLOGY = """
[[battery]]
name = "garage"
kind = "network"
target = "{garage}"
remote_name = "lent"

[[battery]]
name = "home"
kind = "aggregator"
sources = ["b3", "garage"]
voltage_v = 13.2
voltage_tolerance_v = 1.0

[[splitter]]
name = "flats"
policy = "proportional"
source = "home"
partitions = [{{ name = "flat-1", fraction = 0.5 }}, {{ name = "flat-2", fraction = 0.5 }}]
"""
_TOPOLOGIES = {GARAGE: _GARAGE_TOPOLOGY, HOUSE: _HOUSE_TOPOLOGY}


def configuration(node: str, addresses: dict[str, str], directory: Path) -> str:
    """Return the configuration file of a node; `addresses` says where each listens."""
    head = f'[node]\nname = "{node}"\nlisten = ["{addresses[node]}"]\nstate_dir = "{directory / node}"\n'
    packs = "".join(_pack_table(pack, directory) for pack in PACKS if pack.node == node)
    return head + packs + _TOPOLOGIES[node].format(garage=addresses[GARAGE])


def _pack_table(pack: Pack, directory: Path) -> str:
    return f"""
[[battery]]
name = "{pack.name}"
kind = "jbd"
port = "{pack.link(directory)}"
max_discharge_current_a = {pack.max_discharge_current_a}
max_charge_current_a = {pack.max_charge_current_a}
current_control = "external"
regulator = {{ kind = "simulated", port = "{pack.control(directory)}" }}
"""


def claim_preferred_ports() -> socket.socket | None:
    """Return a claim on the preferred ports, good until it is closed; None while another demo has it.

    Between looking for a free port and a daemon's listening on it another demo might look too. The claim is a name in Linux's
    abstract socket namespace (unix(7)): it leaves no file and goes with its process.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind("\0bosd-demo")
    except OSError:
        claim.close()
        return None
    return claim


def free_addresses(preferred: Sequence[tuple[str, int]] = tuple(PREFERRED_PORTS.items())) -> dict[str, str]:
    """Return a loopback address for each node: the preferred port where nobody has it, else any free one."""
    held: list[socket.socket] = []
    try:
        for _node, port in preferred:
            held.append(_bound(port) or _bound(0) or _refuse())
        return {node: f"127.0.0.1:{each.getsockname()[1]}" for (node, _), each in zip(preferred, held, strict=True)}
    finally:
        for each in held:
            each.close()


def _bound(port: int) -> socket.socket | None:
    each = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was closed a moment ago is free
    try:
        each.bind(("127.0.0.1", port))
    except OSError:
        each.close()
        return None
    return each


def _refuse() -> socket.socket:
    raise OSError("no port is free on 127.0.0.1")
