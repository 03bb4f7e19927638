"""Random topologies, and counting how often their leaves are read."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.spec import AggregatorSpec, BatterySpec, PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.bal.status import BatteryStatus
from bosd.policy.registry import policy


def random_topology(chance: random.Random) -> Topology:
    """Return a topology of one tree: 1 to 40 leaves, aggregators and splitters until one battery is on top."""
    batteries: list[BatterySpec] = [_leaf(number) for number in range(chance.randint(1, 40))]
    splitters: list[SplitterSpec] = []
    free = [battery.name for battery in batteries]
    levels = chance.randint(1, 12)
    while len(free) > 1 or levels > 0:
        levels -= 1
        number = len(batteries) + len(splitters)
        if chance.random() < 0.3:
            source = free.pop(chance.randrange(len(free)))
            count = chance.randint(2, 4)
            parts = tuple(PartitionSpec(name=f"part{number}x{each}", fraction=1.0 / count) for each in range(count))
            splitters.append(SplitterSpec(name=f"split{number}", policy="proportional", source=source, partitions=parts))
            free += [part.name for part in parts]
            continue
        taken = [free.pop(chance.randrange(len(free))) for _ in range(min(len(free), chance.randint(1, 6)))]
        batteries.append(AggregatorSpec(name=f"agg{number}", sources=tuple(taken), voltage_v=48.0, voltage_tolerance_v=5.0))
        free.append(f"agg{number}")
        if levels < -200:
            batteries.append(AggregatorSpec(name="top", sources=tuple(free), voltage_v=48.0, voltage_tolerance_v=5.0))
            free = ["top"]
    return Topology(batteries=tuple(batteries), splitters=tuple(splitters))


def _leaf(number: int) -> PseudoSpec:
    return PseudoSpec(
        name=f"leaf{number}",
        voltage_v=48.0,
        charge_ah=50.0 + number,
        capacity_ah=100.0 + number,
        max_discharge_current_a=50.0,
        max_charge_current_a=25.0,
    )


class Tree:
    """The batteries of a topology; `top` is the one with the highest rank, `leaves` are what can change."""

    def __init__(self, topology: Topology, now_s: float) -> None:
        self._directory = Directory(_no_device, policy)
        self._directory.change(topology, now_s)
        self.leaves = [battery for battery in self._directory if isinstance(battery, PseudoBattery)]
        self.top: Battery = max(self._directory, key=lambda battery: battery.rank)


def _no_device(spec: BatterySpec) -> Battery:
    raise TypeError(f"no devices here: {spec}")


@contextmanager
def counted_reads() -> Iterator[Counter[str]]:
    """Count by name how often leaves compute a status inside the block."""
    reads: Counter[str] = Counter()
    compute = PseudoBattery._compute  # noqa: SLF001 (the count is of what is inside)

    def counting(self: PseudoBattery, now_s: float) -> BatteryStatus:
        reads[self.name] += 1
        return compute(self, now_s)

    with mock.patch.object(PseudoBattery, "_compute", counting):
        yield reads
