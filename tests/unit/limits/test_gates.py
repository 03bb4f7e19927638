"""Limits on packs that can only be switched: opened after 2 s above, closed after 60 s at the earliest (control.md)."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from bosd.bal.battery import Battery
from bosd.bal.cap import Cap
from bosd.bal.caps import tightest
from bosd.bal.directory import Directory
from bosd.bal.dispatch import plan
from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import AggregatorSpec, BatterySpec, JbdSpec, Topology
from bosd.clock import LoopClock
from bosd.errors import DriverError
from bosd.limits.gates import Gates
from bosd.policy.registry import policy
from tests.support.bal_makers import FakeDevice, jbd_spec, sample

pytestmark = pytest.mark.jumping
LOOK_S = 0.25


class SwitchedDevice(FakeDevice):
    """A device that notes which directions are held open, as pairs of discharge and charge."""

    def __init__(self) -> None:
        self.held: list[tuple[bool, bool]] = []
        self.fails = False
        self.takes_s = 0.0

    async def hold_open(self, *, discharge: bool, charge: bool) -> None:
        await asyncio.sleep(self.takes_s)
        if self.fails:
            raise DriverError("no answer")
        self.held.append((discharge, charge))


class Bench:
    """A gate pack `g` and a regulated one `r`, both as `all`, and `more` gate packs; gates look four times a second."""

    def __init__(self, *more: str) -> None:
        self.clock = LoopClock(asyncio.get_running_loop())
        self.devices = {name: SwitchedDevice() for name in ("g", *more)}
        self.device = self.devices["g"]
        self.directory = Directory(self._make, policy)
        specs = (
            jbd_spec("g"),
            jbd_spec("r", current_control="external"),
            *(jbd_spec(name) for name in more),
            AggregatorSpec(name="all", sources=("g", "r"), voltage_v=48.0, voltage_tolerance_v=4.0),
        )
        self.directory.change(Topology(batteries=specs), 0.0)
        self.changed: list[str] = []
        self.gates = Gates(self.directory, self.clock, self._change)
        self.flows_a = dict.fromkeys(("g", "r", *more), 0.0)
        self.shown: dict[str, bool] = {}

    def _make(self, spec: BatterySpec) -> Battery:
        assert isinstance(spec, JbdSpec)
        return PhysicalBattery(spec, self.devices.get(spec.name) or FakeDevice())

    def _change(self, batteries: Iterable[Battery]) -> None:
        self.changed += [battery.name for battery in batteries]

    def rename(self, old: str, new: str) -> None:
        """Call a gate pack otherwise by an edit; its board stays."""
        self.devices[new], self.flows_a[new] = self.devices.pop(old), self.flows_a.pop(old)
        specs: list[BatterySpec] = []
        for spec in self.directory.topology.batteries:
            if isinstance(spec, AggregatorSpec):
                specs.append(replace(spec, sources=tuple(new if each == old else each for each in spec.sources)))
            else:
                specs.append(replace(spec, name=new) if spec.name == old else spec)
        self.directory.change(Topology(batteries=tuple(specs)), self.clock.now_s())

    def limit(self, name: str, limit_w: float | None) -> None:
        """Limit what a battery charges."""
        caps = () if limit_w is None else (Cap(source="book", discharging=False, limit_w=limit_w, text="the limit"),)
        self.directory[name].put_caps("book", caps)

    @property
    def gate(self) -> PhysicalBattery:
        """The gate pack."""
        battery = self.directory["g"]
        assert isinstance(battery, PhysicalBattery)
        return battery

    async def run(self, duration_s: float) -> None:
        """Let time pass, with fresh samples and looks."""
        async with asyncio.TaskGroup() as group:
            self.gates.start(group)
            for _ in range(round(duration_s / LOOK_S)):
                for name, current_a in self.flows_a.items():
                    battery = self.directory[name]
                    assert isinstance(battery, PhysicalBattery)
                    battery.sampled(sample(self.clock.now_s(), current_a=current_a, **self.shown))
                self.gates.attend()
                await asyncio.sleep(LOOK_S)

    def most_a(self, *, discharging: bool = False) -> float:
        """Return what the gate pack may run."""
        return tightest(self.directory["g"], self.clock.now_s(), discharging=discharging, ignoring=("book",)).limit_a


async def test_above_for_two_seconds() -> None:
    """480 W, 12 A flow at 48 V: nothing for 2 s, then the charging direction alone is open, though nobody asked for a current."""
    bench = Bench()
    bench.limit("g", 480.0)
    bench.flows_a["g"] = -12.0
    await bench.run(2.0)
    assert bench.most_a() == float("inf")
    await bench.run(0.5)
    assert (bench.most_a(), bench.most_a(discharging=True)) == (0.0, float("inf"))
    assert bench.device.held == [(False, True)]
    assert bench.changed == ["all"]
    assert plan({bench.directory["g"]: -10.0}, bench.clock.now_s()).clamped[bench.directory["g"]].current_a == 0.0


async def test_a_pack_that_hangs_holds_up_no_other() -> None:
    """Pack h takes 8 s to open; g, above its limit 1 s after h, is open 2 s later."""
    bench = Bench("h")
    bench.devices["h"].takes_s = 8.0
    bench.limit("h", 480.0)
    bench.limit("g", 480.0)
    bench.flows_a["h"] = -12.0
    opened: list[list[tuple[bool, bool]]] = []
    asyncio.get_running_loop().call_later(
        1.0 + 2.0 + 2 * LOOK_S, lambda: opened.extend(bench.devices[name].held[:] for name in "gh")
    )
    asyncio.get_running_loop().call_later(1.0, lambda: bench.flows_a.update(g=-12.0))
    await bench.run(5.0)
    assert opened == [[(False, True)], []]
    assert bench.devices["h"].held == [(False, True)]


async def test_a_dip_begins_anew() -> None:
    """1.5 s above, a moment below, 1.5 s above: nothing is switched. What flows the other way never counts."""
    bench = Bench()
    bench.limit("g", 480.0)
    for current_a, for_s in ((-12.0, 1.5), (-9.0, 0.5), (-12.0, 1.5), (40.0, 10.0)):
        bench.flows_a["g"] = current_a
        await bench.run(for_s)
    assert bench.device.held == []


async def test_it_closes_when_the_limit_is_gone_after_a_minute() -> None:
    """The limit goes after 10 s: open for 60 s all the same, then as before."""
    bench = Bench()
    bench.limit("g", 480.0)
    bench.flows_a["g"] = -12.0
    await bench.run(2.5)
    bench.flows_a["g"] = 0.0
    await bench.run(10.0)
    bench.limit("g", None)
    await bench.run(49.0)
    assert bench.most_a() == 0.0
    await bench.run(1.0)
    assert bench.most_a() == float("inf")
    assert bench.device.held == [(False, True), (False, False)]
    assert not bench.gates.busy


@pytest.mark.parametrize("limit_w", [None, 480.0])
async def test_what_is_open_is_looked_after_when_an_edit_writes_it_otherwise(limit_w: float | None) -> None:
    """Its limit goes just before the edit, or stays: the pack closes when its minute is over, or when the limit is gone."""
    bench = Bench()
    bench.limit("g", 480.0)
    bench.flows_a["g"] = -12.0
    await bench.run(2.5)
    bench.flows_a["g"] = 0.0
    bench.limit("g", limit_w)
    specs = [replace(spec, max_staleness_s=5.0) if spec.name == "g" else spec for spec in bench.directory.topology.batteries]
    bench.directory.change(Topology(batteries=tuple(specs)), bench.clock.now_s())
    await bench.run(59.0)
    assert bench.most_a() == 0.0
    await bench.run(600.0)
    assert bench.most_a() == (float("inf") if limit_w is None else 0.0)
    bench.limit("g", None)
    await bench.run(1.0)
    assert bench.most_a() == float("inf")
    assert bench.device.held == [(False, True), (False, False)]


@pytest.mark.parametrize("failing", [False, True])
async def test_what_is_open_is_closed_when_it_is_called_otherwise(*, failing: bool) -> None:
    """G is called h: no limit of g's is one of h's, so what was opened closes after its minute, or once the board answers."""
    bench = Bench()
    bench.limit("g", 480.0)
    bench.flows_a["g"] = -12.0
    await bench.run(2.5)
    bench.flows_a["g"] = 0.0
    if failing:
        bench.limit("g", None)
        await bench.run(59.0)
        bench.device.fails = True
        await bench.run(1.5)
    bench.rename("g", "h")
    await bench.run(59.0 if failing else 58.0)
    assert bench.device.held == [(False, True)]
    bench.device.fails = False
    await bench.run(4.0)
    assert bench.device.held == [(False, True), (False, False)]
    assert bench.directory["h"].caps == ()
    assert not bench.gates.busy


async def test_what_is_open_for_the_sum_stays_open_when_it_is_called_otherwise() -> None:
    """15 A and 10 A over 960 W of `all` opened g; as h it stays open under that limit, and closes when that is gone."""
    bench = Bench()
    bench.limit("all", 960.0)
    bench.flows_a.update(g=-15.0, r=-10.0)
    await bench.run(2.5)
    bench.flows_a.update(g=0.0, r=-10.0)
    bench.rename("g", "h")
    await bench.run(70.0)
    assert [cap.limit_a for cap in bench.directory["h"].caps if cap.source == "gate"] == [0.0]
    assert bench.device.held == [(False, True)]
    bench.limit("all", None)
    await bench.run(1.0)
    assert bench.device.held == [(False, True), (False, False)]


async def test_what_becomes_a_pack_of_current_keeps_no_switch_open() -> None:
    """G was opened, and is regulated from now on: nothing of what switches may do holds it at 0 A."""
    bench = Bench()
    bench.limit("g", 480.0)
    bench.flows_a["g"] = -12.0
    await bench.run(2.5)
    specs = [
        jbd_spec("g", current_control="external") if spec.name == "g" else spec for spec in bench.directory.topology.batteries
    ]
    bench.directory.change(Topology(batteries=tuple(specs)), bench.clock.now_s())
    await bench.run(70.0)
    assert [cap.source for cap in bench.directory["g"].caps] == ["book"]


async def test_two_packs_that_exchange_their_names_keep_their_switches() -> None:
    """G was opened and is called k, and k is called g: the board that is open closes, and the other one is not held at 0 A."""
    bench = Bench("k")
    bench.limit("g", 480.0)
    bench.flows_a["g"] = -12.0
    await bench.run(2.5)
    bench.flows_a["g"] = 0.0
    bench.rename("g", "x")
    bench.rename("k", "g")
    bench.rename("x", "k")
    bench.limit("g", 480.0)
    await bench.run(70.0)
    assert bench.device.held == [(False, True), (False, False)]
    assert bench.devices["g"].held == []
    assert [[cap.source for cap in bench.directory[name].caps] for name in ("g", "k")] == [["book"], []]


async def test_it_stays_open_under_the_same_limit_and_closes_under_a_wider_one() -> None:
    """12 A were seen: 480 W keep it open for an hour, 600 W are 12.5 A and close it."""
    bench = Bench()
    bench.limit("g", 480.0)
    bench.flows_a["g"] = -12.0
    await bench.run(2.5)
    bench.flows_a["g"] = 0.0
    await bench.run(600.0)
    assert bench.most_a() == 0.0
    bench.limit("g", 600.0)
    await bench.run(0.5)
    assert bench.most_a() == float("inf")


async def test_a_limit_above_opens_what_can_only_be_switched() -> None:
    """The sum is above 960 W: the pack that charges and cannot regulate is opened, the other one is left to its regulator."""
    bench = Bench()
    bench.limit("all", 960.0)
    bench.flows_a.update(g=-15.0, r=-10.0)
    await bench.run(2.5)
    assert bench.most_a() == 0.0
    assert [cap for cap in bench.directory["r"].caps if cap.source == "gate"] == []


async def test_a_switch_that_fails_is_tried_again() -> None:
    """No answer for a while: held open once it answers."""
    bench = Bench()
    bench.device.fails = True
    bench.limit("g", 480.0)
    bench.flows_a["g"] = -12.0
    await bench.run(5.0)
    assert bench.device.held == []
    bench.device.fails = False
    await bench.run(2.0)
    assert bench.device.held == [(False, True)]


async def test_what_an_earlier_run_opened_is_taken_up() -> None:
    """Found open under a limit: held open until that is gone; without a limit, or by a protection, it is left alone."""
    for limit_w, fields, expected in (
        (480.0, {}, 0.0),
        (None, {}, float("inf")),
        (480.0, {"charge_allowed": False}, float("inf")),
    ):
        bench = Bench()
        bench.limit("g", limit_w)
        now_s = bench.clock.now_s()
        bench.gate.sampled(sample(now_s, charge_switch_closed=False, discharge_switch_closed=True, **fields))
        bench.gates.adopt()
        bench.limit("g", 480.0)
        bench.gates.adopt()
        assert bench.most_a() == expected
        await bench.run(70.0)
        assert bench.most_a() == expected
        bench.limit("g", None)
        await bench.run(0.5)
        assert bench.most_a() == float("inf")
        assert bench.device.held == ([(False, False)] if expected == 0.0 else [])


@pytest.mark.parametrize("both_limited", [False, True])
async def test_two_switches_found_open_are_somebody_elses(both_limited: bool) -> None:
    """A set point of 0 A, a safe value or an app has opened both: nothing is closed, under the limit and when it goes."""
    bench = Bench()
    bench.limit("g", 480.0)
    if both_limited:
        caps = tuple(Cap(source="book", discharging=out, limit_w=480.0, text="the limit") for out in (True, False))
        bench.directory["g"].put_caps("book", caps)
    bench.shown = {"charge_switch_closed": False, "discharge_switch_closed": False}
    bench.gate.sampled(sample(bench.clock.now_s(), **bench.shown))
    bench.gates.adopt()
    await bench.run(70.0)
    bench.limit("g", None)
    await bench.run(1.0)
    assert bench.device.held == []


@pytest.mark.parametrize("allowed", [True, False])
async def test_the_other_direction_stays_as_it_is_found(allowed: bool) -> None:
    """One switch is open and the other is above its limit: what somebody opened stays so, before, under and after it.

    Open by a protection it is nobody's, and the protection's alone to close.
    """
    bench = Bench()
    bench.limit("g", 480.0)
    bench.shown = {"charge_switch_closed": True, "discharge_switch_closed": False, "discharge_allowed": allowed}
    bench.flows_a["g"] = -12.0
    await bench.run(2.5)
    bench.shown["charge_switch_closed"] = False
    bench.flows_a["g"] = 0.0
    await bench.run(60.0)
    bench.limit("g", None)
    await bench.run(0.5)
    assert bench.device.held == [(allowed, True), (allowed, False)]


async def test_nothing_is_taken_up_while_a_set_point_confirms() -> None:
    """An edit has made the leaf anew, and its 0 A is on the way: the switches show the way there, and are told by that alone."""
    bench = Bench()
    bench.limit("g", 480.0)
    bench.gate.telling_a = 0.0
    shown = {"charge_switch_closed": False, "discharge_switch_closed": True}
    bench.gate.sampled(sample(bench.clock.now_s(), **shown))
    bench.gates.adopt()
    bench.gate.telling_a = None
    bench.gate.settled(0.0, bench.clock.now_s())
    bench.gates.adopt()
    assert bench.most_a() == float("inf")


async def test_a_battery_that_an_edit_replaced_is_looked_at_again() -> None:
    """The new one is another one: what is found at it counts."""
    bench = Bench()
    topology = bench.directory.topology
    for limit_a in (40.0, 41.0, 42.0):
        specs = tuple(jbd_spec("g", limit_a) if each.name == "g" else each for each in topology.batteries)
        bench.directory.change(Topology(batteries=specs), 0.0)
        bench.limit("g", 480.0)
        bench.gate.sampled(sample(bench.clock.now_s(), charge_switch_closed=False, discharge_switch_closed=True))
        bench.gates.adopt()
        assert bench.most_a() == 0.0
        assert bench.gates._looked <= set(bench.directory)
