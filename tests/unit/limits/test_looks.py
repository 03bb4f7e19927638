"""What is looked at four times a second, over many batteries: each is looked at once, however many rest on it."""

from typing import Any, cast

import pytest

from bosd.bal import caps
from bosd.bal.battery import Battery
from bosd.bal.cap import Cap, OwnLimit
from bosd.bal.directory import Directory
from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import AggregatorSpec, BatterySpec, JbdSpec, PartitionSpec, SplitterSpec, Topology
from bosd.limits import unreached
from bosd.limits.grants import Grants
from bosd.limits.own import OwnLimits
from bosd.limits.unreached import Reach
from bosd.policy.registry import policy
from tests.support.bal_makers import FakeDevice, jbd_spec, sample
from tests.unit.node.test_controller import pseudo

COUNT = 40
NAMES = tuple(f"p{number}" for number in range(COUNT))


def split(*leaves: BatterySpec) -> Directory:
    """Return these leaves as `agg`, that as 40 partitions, and two of those as `both`."""
    parts = tuple(PartitionSpec(name=f"q{number}", fraction=1.0 / COUNT) for number in range(COUNT))
    batteries = (
        *leaves,
        AggregatorSpec(name="agg", sources=NAMES, voltage_v=48.0, voltage_tolerance_v=4.0),
        AggregatorSpec(name="both", sources=("q0", "q1"), voltage_v=48.0, voltage_tolerance_v=4.0),
    )
    splitters = (SplitterSpec(name="s", policy="proportional", source="agg", partitions=parts),)
    directory = Directory(_device, policy)
    directory.change(Topology(batteries=batteries, splitters=splitters), 0.0)
    return directory


def _device(spec: BatterySpec) -> Battery:
    assert isinstance(spec, JbdSpec)
    return PhysicalBattery(spec, FakeDevice())


class StillClock:
    """A clock that stands."""

    def __init__(self, at_s: float) -> None:
        self._at_s = at_s

    def now_s(self) -> float:
        return self._at_s

    def utc_s(self) -> float:
        return self._at_s


class Counter:
    """Counts the calls of a function that it stands in place of."""

    def __init__(self, patch: pytest.MonkeyPatch, module: object, name: str) -> None:
        self._called = getattr(module, name)
        self.calls = 0
        patch.setattr(module, name, self)

    def __call__(self, *args: Any, **more: Any) -> Any:
        self.calls += 1
        return self._called(*args, **more)


def test_what_own_limits_let_partitions_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    """15 A of one of 40 leaves of 40 A: each of 40 partitions can carry 39 * 40 A + 15 A; leaves are looked at once."""
    directory = split(*map(pseudo, NAMES))
    limited = Cap(source="book", discharging=False, limit_a=15.0, text="the limit")
    directory[NAMES[-1]].put_caps("book", (limited,))
    looked = Counter(monkeypatch, caps, "tightest")
    OwnLimits(directory, StillClock(0.0)).attend()
    for name in ("agg", "q0", f"q{COUNT - 1}"):
        assert directory[name].own_limits == (OwnLimit(1575.0, "limits below"), None)
    assert directory[NAMES[-1]].own_limits == (OwnLimit(15.0, "the limit"), None)
    assert directory[NAMES[0]].own_limits == (None, None)
    assert looked.calls <= 4 * COUNT


def test_what_is_not_reached_below_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 devices that hold 1 A each are not reached: 40 A of the sum are theirs, of a partition nobody can say it."""
    directory = split(*(jbd_spec(name, current_control="external") for name in NAMES))
    for name in NAMES:
        leaf = directory[name]
        assert isinstance(leaf, PhysicalBattery)
        leaf.sampled(sample(0.0, current_a=-1.0))
        leaf.settled(-1.0, 0.0)
    added = Counter(monkeypatch, unreached, "_added")
    Reach(directory, StillClock(1000.0), cast(Grants, None)).attend()
    charge, _ = directory["agg"].unreached
    assert charge is not None
    assert charge.aside_a == pytest.approx(COUNT)
    for name in ("q0", f"q{COUNT - 1}", "both"):
        told, _ = directory[name].unreached
        assert told is not None
        assert (told.aside_a, told.why) == (0.0, "p0 is not reached and holds what it was told")
    assert added.calls <= 10 * COUNT
