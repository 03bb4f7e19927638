"""Limits judged at a meter (control.md, "Limits over a distance"): the closed loop over a converter and what else flows there."""

import asyncio
import math
from dataclasses import dataclass, field, replace

import pytest
import structlog

from bosd.bal.battery import Battery
from bosd.bal.cap import Cap
from bosd.bal.caps import amperes
from bosd.bal.directory import Directory
from bosd.bal.dispatch import plan
from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import AggregatorSpec, BatterySpec, JbdSpec, PartitionSpec, SplitterSpec, Topology
from bosd.bal.topology import graph_faults
from bosd.clock import LoopClock
from bosd.config.topology_toml import format_topology, parse_topology
from bosd.limits.meters import Meters, meters_of
from bosd.policy.registry import policy
from tests.support.bal_makers import FakeDevice, jbd_spec, sample

pytestmark = pytest.mark.jumping
LOOK_S = 0.25
VOLTAGE_V = 48.0
LIMIT_W = 1000.0
TOLERANCE_W = 0.02 * LIMIT_W + 20.0
"""control.md: 2 % + 20 W."""
WITHIN_S = 2.5
"""A sample of the meter, one of the pack, and a look."""


@dataclass
class Site:
    """A pack `b` behind a converter of true efficiency `part`, a load and the meter `m` at the grid; discharge is positive."""

    part: float = 1.0
    load_w: float = 0.0
    asked_a: float = -60.0
    efficiency: float = 1.0
    flows_a: float = 0.0
    silent: bool = False
    over_s: float = 0.0
    longest_over_s: float = 0.0
    told: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = LoopClock(asyncio.get_running_loop())
        self.directory = Directory(self.make, policy)
        specs = (jbd_spec("b", 100.0, meter="m", efficiency=self.efficiency), jbd_spec("m", 100.0))
        self.directory.change(Topology(batteries=specs), 0.0)
        self.meters = Meters(self.directory, self.clock)
        self.battery = self.directory["b"]
        self.looks = 0

    @staticmethod
    def make(spec: BatterySpec) -> Battery:
        """Return a battery of a device."""
        assert isinstance(spec, JbdSpec)
        return PhysicalBattery(spec, FakeDevice())

    @property
    def grid_w(self) -> float:
        """What truly flows at the grid: fed in positive."""
        power_w = self.flows_a * VOLTAGE_V
        return (power_w * self.part if power_w > 0.0 else power_w / self.part) - self.load_w

    def limit(self, limit_w: float | None, *, discharging: bool = False) -> None:
        """Limit a direction at the grid."""
        caps = [Cap(source="book", discharging=discharging, limit_w=limit_w, text="the limit", at_grid=True)]
        self.battery.put_caps("book", tuple(caps if limit_w is not None else ()))

    async def run(self, duration_s: float, limit_w: float = LIMIT_W) -> None:
        """Let time pass: packs and meter are sampled each second, half a second apart; the plan is followed at once."""
        for _ in range(round(duration_s / LOOK_S)):
            now_s = self.clock.now_s()
            if self.looks % 4 == 0:
                self._sampled("b", self.flows_a)
            if self.looks % 4 == 2 and not self.silent:
                self._sampled("m", self.grid_w / VOLTAGE_V)
            self.looks += 1
            self.meters.attend()
            self.flows_a = plan({self.battery: self.asked_a}, now_s).clamped[self.battery].current_a
            self.battery.applied_a = self.flows_a
            within = abs(self.grid_w) <= limit_w + TOLERANCE_W or self.flows_a == 0.0
            self.over_s = 0.0 if within else self.over_s + LOOK_S
            self.longest_over_s = max(self.longest_over_s, self.over_s)
            await asyncio.sleep(LOOK_S)

    def _sampled(self, name: str, current_a: float) -> None:
        battery = self.directory[name]
        assert isinstance(battery, PhysicalBattery)
        battery.sampled(sample(self.clock.now_s(), current_a=current_a))


@pytest.mark.parametrize(("asked_a", "part"), [(-60.0, 0.8), (60.0, 0.8), (-60.0, 1.0)])
async def test_a_converter_nobody_described(asked_a: float, part: float) -> None:
    """Efficiency is left at 1.0: the meter shows 1000 W all the same, not 1250 W, within a sample of each."""
    site = Site(part=part, asked_a=asked_a)
    site.limit(LIMIT_W, discharging=asked_a > 0.0)
    await site.run(20.0)
    assert site.longest_over_s <= WITHIN_S
    assert abs(site.grid_w) == pytest.approx(LIMIT_W, abs=TOLERANCE_W)


async def test_with_the_efficiency_nothing_is_above_even_at_first() -> None:
    """The efficiency says what is to be expected, the meter mends it."""
    site = Site(part=0.8, efficiency=0.8)
    site.limit(LIMIT_W)
    await site.run(10.0)
    assert site.longest_over_s == 0.0
    assert site.grid_w == pytest.approx(-LIMIT_W, abs=TOLERANCE_W)


async def test_a_load_beside_it() -> None:
    """The house draws 600 W: 400 W are left; it draws 1500 W: nothing is; it stops: all is."""
    site = Site()
    site.limit(LIMIT_W)
    await site.run(5.0)
    for load_w, left_w in ((600.0, 400.0), (1500.0, 0.0), (0.0, 1000.0)):
        site.load_w, site.longest_over_s = load_w, 0.0
        await site.run(8.0)
        assert -site.flows_a * VOLTAGE_V == pytest.approx(left_w, abs=TOLERANCE_W), load_w
        assert site.longest_over_s <= WITHIN_S


async def test_a_roof_beside_it() -> None:
    """A roof gives 500 W: 1500 W may be charged, and fed in no more than 500 W of the battery's."""
    site = Site(load_w=-500.0)
    site.limit(LIMIT_W)
    await site.run(8.0)
    assert site.flows_a * VOLTAGE_V == pytest.approx(-1500.0, abs=TOLERANCE_W)
    site.asked_a = 60.0
    site.limit(LIMIT_W, discharging=True)
    await site.run(8.0)
    assert site.flows_a * VOLTAGE_V == pytest.approx(500.0, abs=TOLERANCE_W)


async def test_steps_of_the_battery_are_not_taken_for_a_load() -> None:
    """What is asked jumps each second and a bit: the current is what is asked or what is allowed, never less."""
    site = Site()
    site.limit(LIMIT_W)
    await site.run(4.0)
    for turn in range(40):
        site.asked_a = -60.0 if turn % 2 else -5.0
        await site.run(1.25)
        assert site.flows_a == pytest.approx(max(site.asked_a, -LIMIT_W / VOLTAGE_V), abs=STEP_A)
    assert site.longest_over_s == 0.0


STEP_A = TOLERANCE_W / VOLTAGE_V


@pytest.mark.parametrize(("load_w", "left_w"), [(600.0, 400.0), (-500.0, 1000.0)])
async def test_a_meter_that_is_silent_allows_nothing_more(load_w: float, left_w: float) -> None:
    """The load that was seen last counts on, the roof does not; heard again, both do."""
    site = Site(load_w=load_w)
    site.limit(LIMIT_W)
    await site.run(8.0)
    site.silent = True
    await site.run(6.0)  # GOOD for three periods
    assert -site.flows_a * VOLTAGE_V == pytest.approx(left_w, abs=TOLERANCE_W)
    site.silent = False
    await site.run(4.0)
    assert -site.flows_a * VOLTAGE_V == pytest.approx(LIMIT_W - load_w, abs=TOLERANCE_W)


async def test_limits_of_an_aggregate_count_its_members_meters() -> None:
    """One of two packs loses 20 % on the way: the whole has what that leaves, 1000 W at the grid."""
    site = Site(part=0.8)
    spec = AggregatorSpec(name="all", sources=("b", "c"), voltage_v=48.0, voltage_tolerance_v=4.0)
    site.directory.change(Topology(batteries=(*site.directory.topology.batteries, jbd_spec("c", 100.0), spec)), 0.0)
    site.limit(LIMIT_W)
    await site.run(10.0)
    cap = Cap(source="book", discharging=False, limit_w=LIMIT_W, text="the limit", at_grid=True)
    most_w = amperes(cap, site.directory["all"], site.clock.now_s()) * VOLTAGE_V
    assert most_w == pytest.approx(LIMIT_W - 200.0, abs=TOLERANCE_W)
    assert math.isclose(most_w, LIMIT_W + site.battery.beside_w.charge_w)


@pytest.mark.parametrize("own", [None, "n"])
async def test_a_meter_of_an_aggregate_with_and_without_one_at_a_member(own: str | None) -> None:
    """M measures b, c and a roof of 500 W: 1000 W at m are 1500 W of both, whether n measures b apart from that or not.

    What b may have at n, where nothing else flows, is not touched by what c and the roof do at m.
    """
    clock = LoopClock(asyncio.get_running_loop())
    directory = Directory(Site.make, policy)
    packs = (jbd_spec("b", 100.0, meter=own), jbd_spec("c", 100.0), jbd_spec("m", 100.0), jbd_spec("n", 100.0))
    whole = AggregatorSpec(name="all", sources=("b", "c"), voltage_v=48.0, voltage_tolerance_v=4.0, meter="m")
    directory.change(Topology(batteries=(*packs, whole)), 0.0)
    top, b, c = (directory[name] for name in ("all", "b", "c"))
    top.put_caps("book", (Cap(source="book", discharging=False, limit_w=LIMIT_W, text="the limit", at_grid=True),))
    meters = Meters(directory, clock)
    powers_w = []
    for _ in range(60):
        flows_a = {"b": b.applied_a, "c": c.applied_a, "n": b.applied_a, "m": b.applied_a + c.applied_a + 500.0 / VOLTAGE_V}
        for name, current_a in flows_a.items():
            battery = directory[name]
            assert isinstance(battery, PhysicalBattery)
            battery.sampled(sample(clock.now_s(), current_a=current_a))
        meters.attend()
        planned = plan({top: -100.0}, clock.now_s())
        for battery in (top, b, c):
            battery.applied_a = planned.clamped[battery].current_a
        powers_w.append((b.applied_a + c.applied_a) * VOLTAGE_V)
        await asyncio.sleep(LOOK_S)
    assert powers_w[-20:] == pytest.approx([-LIMIT_W - 500.0] * 20, abs=TOLERANCE_W)
    at_n = Cap(source="book", discharging=False, limit_w=240.0, text="b's", at_grid=True)
    assert amperes(at_n, b, clock.now_s()) * VOLTAGE_V == pytest.approx(240.0, abs=TOLERANCE_W)


async def test_which_meters_count_for_a_limit() -> None:
    """A battery's own, an aggregate's own in place of those of its members, theirs without one, and none below a partition."""
    whole = AggregatorSpec(name="all", sources=("b", "c"), voltage_v=48.0, voltage_tolerance_v=4.0)
    for own, above, below in ((None, ["m", "n"], ["m"]), ("o", ["o"], ["m"])):
        directory = Directory(Site.make, policy)
        packs = (jbd_spec("b", meter="m"), jbd_spec("c", meter="n"), *(jbd_spec(name) for name in "mno"))
        parts = (PartitionSpec(name="p", fraction=0.5), PartitionSpec(name="q", fraction=0.5))
        splitter = SplitterSpec(name="s", policy="proportional", source="all", partitions=parts)
        directory.change(Topology(batteries=(*packs, replace(whole, meter=own)), splitters=(splitter,)), 0.0)
        assert [meters_of(directory[name]) for name in ("all", "b", "p")] == [above, below, []]


async def test_a_meter_is_lost_only_after_it_was_heard() -> None:
    """Silent from the start it is no news; heard it is, and lost after that."""
    site = Site(silent=True)
    with structlog.testing.capture_logs() as lines:
        await site.run(2.0)
        assert lines == []
        site.silent = False
        await site.run(2.0)
        site.silent = True
        await site.run(6.0)
    assert [line["event"] for line in lines] == ["meter_heard", "meter_lost"]


METERED = """
[[battery]]
name = "b"
kind = "jbd"
port = "/dev/ttyUSB0"
meter = "m"

[[battery]]
name = "m"
kind = "jbd"
port = "/dev/ttyUSB1"
"""


def test_as_a_key() -> None:
    """It reads back equal; one that is not there, is the battery itself or is read when asked alone is a fault."""
    topology = parse_topology(METERED)
    assert parse_topology(format_topology(topology)) == topology
    assert list(graph_faults(topology)) == []
    for text, fault in (
        (METERED.replace('meter = "m"', 'meter = "x"'), 'no battery "x", which is the meter of "b"'),
        (METERED.replace('meter = "m"', 'meter = "b"'), '"b" measures "b" itself'),
        (METERED + 'refresh = "lazy"\n', '"m" is read when somebody asks; write refresh = "active"'),
    ):
        (found,) = graph_faults(parse_topology(text))
        assert fault in found.error.message


def test_a_meter_of_two() -> None:
    """Each would take the other for a load beside it: 1000 W, a roof of 500 W, and the grid between +500 and -1500 W for ever."""
    whole = AggregatorSpec(name="all", sources=("b", "c"), voltage_v=48.0, voltage_tolerance_v=4.0)
    for b, c, top, fault in (
        ("m", "m", None, '"c".meter: "m" is the meter of "b" already; write it at the aggregate of both'),
        ("m", None, "m", '"all".meter: "m" is the meter of "b" already; write it at "all" alone'),
        ("m", "n", None, ""),
        ("n", None, "m", ""),
    ):
        packs = (jbd_spec("b", meter=b), jbd_spec("c", meter=c), jbd_spec("m"), jbd_spec("n"))
        found = list(graph_faults(Topology(batteries=(*packs, replace(whole, meter=top)))))
        assert [fault in each.error.message for each in found] == ([True] if fault else [])
