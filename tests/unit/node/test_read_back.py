"""Reading back in virtual time: a supply in memory under a battery, and what is said of it (bosd/node/read_back.py)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bosd.bal.device import Sample
from bosd.bal.physical import PhysicalBattery
from bosd.bal.status import BatteryStatus
from bosd.clock import LoopClock
from bosd.drivers.regulated import Regulated
from bosd.errors import BosError, UnavailableError
from bosd.node.read_back import ReadBack, rule_of
from tests.support.bal_makers import FakeDevice, jbd_spec
from tests.support.supply import Bench, bench

pytestmark = pytest.mark.jumping


class WiredPack(FakeDevice):
    """A pack that measures what the supply gives; `others_a` flows besides."""

    def __init__(self, rig: Bench, clock: LoopClock) -> None:
        self.rig = rig
        self.clock = clock
        self.others_a = 0.0

    async def read(self) -> Sample:
        return Sample(
            sampled_s=self.clock.now_s(),
            sampled_utc_s=self.clock.utc_s(),
            voltage_v=self.rig.simulator.plant.battery_voltage_v,
            current_a=self.others_a - self.rig.simulator.plant.current_a,
            charge_ah=50.0,
            capacity_ah=100.0,
            soc=0.5,
        )


@dataclass
class Site:
    """A battery that a supply charges, sampled each second and read back."""

    rig: Bench
    pack: WiredPack
    battery: PhysicalBattery
    begun: list[BosError] = field(default_factory=list)
    told_again: int = 0

    async def command(self, current_a: float) -> None:
        await self.battery.command(current_a, None)
        self.battery.settled(current_a, self.pack.clock.now_s())

    async def told(self) -> None:
        """Tell the device again what is in force, as the controller does."""
        self.told_again += 1
        await self.command(0.0)

    @property
    def status(self) -> BatteryStatus:
        return self.battery.status(self.pack.clock.now_s())

    @property
    def deviation(self) -> str:
        return str(self.battery.deviation or "")


@asynccontextmanager
async def site(**keys: Any) -> AsyncIterator[Site]:
    """Run it."""
    clock = LoopClock(asyncio.get_running_loop())
    async with bench() as rig:
        pack = WiredPack(rig, clock)
        spec = jbd_spec("b1", 5.0, **{"current_control": "external", **keys})
        battery = PhysicalBattery(spec, Regulated(pack, rig.regulator, "b1"))
        made = Site(rig, pack, battery)

        async def sample() -> None:
            while True:
                battery.sampled(await battery.device.read())
                await asyncio.sleep(1.0)

        async with asyncio.TaskGroup() as group:

            def tell_again() -> None:
                group.create_task(made.told())

            following = ReadBack(
                battery,
                clock,
                begun=lambda _leaf, error: made.begun.append(error),
                tell_again=tell_again,
                sample_soon=lambda _leaf: None,
            )
            tasks = [group.create_task(sample()), group.create_task(following.run())]
            yield made
            for task in tasks:
                task.cancel()
        pack.rig.simulator.close()


def test_keys_and_usual_values() -> None:
    """0.5 A and 5 s unless the battery says otherwise; a gate is judged as one."""
    rule = rule_of(jbd_spec("b1", current_control="gate"))
    assert (rule.tolerance_a, rule.within_s, rule.gate) == (0.5, 5.0, True)
    rule = rule_of(jbd_spec("b1", current_control="external", follow_tolerance_a=0.1, follow_within_s=20.0))
    assert (rule.tolerance_a, rule.within_s, rule.gate) == (0.1, 20.0, False)


async def test_what_follows_is_not_complained_of() -> None:
    """An hour at 3 A, then at rest: nothing stands against it."""
    async with site() as here:
        await here.command(-3.0)
        await asyncio.sleep(3600.0)
        await here.command(0.0)
        await asyncio.sleep(3600.0)
        assert (here.deviation, here.begun, here.told_again) == ("", [], 0)
        assert here.status.max_charge_current_a == 5.0


async def test_front_panel_off_and_on() -> None:
    """Not within 5 s but within 8: the error has all three numbers; on again it is gone within 8 s. Nothing is told meanwhile."""
    async with site() as here:
        await here.command(-3.0)
        await asyncio.sleep(10.0)
        here.rig.simulator.set(output=False)
        await asyncio.sleep(4.5)
        assert here.deviation == ""
        await asyncio.sleep(3.5)
        assert here.deviation == "commanded -3 A, held 0 A, measured 0 A"
        (error,) = here.begun
        assert error.reason == "NOT_FOLLOWED"
        assert error.metadata == {"battery": "b1", "commanded_a": "-3.0", "held_a": "0.0", "measured_a": "0.0"}
        assert "NOT_FOLLOWED: commanded -3 A, held 0 A, measured 0 A" in here.status.reason
        assert (here.status.max_charge_current_a, here.status.max_discharge_current_a) == (3.0, 0.0)
        assert (here.status.current_a, here.status.applied_current_a) == (0.0, -3.0)
        await asyncio.sleep(600.0)
        assert (len(here.begun), here.told_again) == (1, 0)
        here.rig.simulator.set(output=True)
        await asyncio.sleep(8.0)
        assert here.deviation == ""
        assert here.status.max_charge_current_a == 5.0


async def test_constant_voltage_is_following() -> None:
    """Near full the supply gives less at its voltage: no error."""
    async with site() as here:
        await here.command(-3.0)
        here.rig.simulator.set(battery_voltage_v=14.55)
        await asyncio.sleep(120.0)
        assert here.pack.rig.simulator.plant.current_a == pytest.approx(1.0)
        assert here.deviation == ""


async def test_turned_up_is_taken_to_nothing() -> None:
    """It holds 4.5 A of 2: nothing may be asked, it is told again, and it is trusted after a minute."""
    async with site() as here:
        await here.command(-2.0)
        here.rig.simulator.set(set_current_a=4.5)
        await asyncio.sleep(8.0)
        assert here.told_again == 1
        assert here.begun[0].metadata["held_a"] == "-4.5"
        assert not here.rig.simulator.plant.output_on
        assert here.status.max_charge_current_a == 0.0
        await asyncio.sleep(50.0)
        assert here.status.max_charge_current_a == 0.0
        await asyncio.sleep(20.0)
        assert (here.deviation, here.status.max_charge_current_a) == ("", 5.0)


async def test_another_voltage_is_running_away() -> None:
    """More than the pack's highest voltage: the same, with the voltage in the error."""
    async with site() as here:
        await here.command(-2.0)
        here.rig.simulator.set(set_voltage_v=15.0)
        await asyncio.sleep(8.0)
        assert here.told_again == 1
        assert "it holds -2 A at 15 V" in here.begun[0].message


async def test_a_silent_supply_is_unknown() -> None:
    """No answer is no mismatch: the pack measures what was commanded, and nothing stands against it."""
    async with site() as here:
        await here.command(-3.0)
        here.rig.simulator.inject(fault="silent", seconds=60.0)
        await asyncio.sleep(30.0)
        assert here.deviation == ""


async def test_a_silent_supply_whose_pack_measures_nothing() -> None:
    """Then the measurement alone tells: what is held is unknown."""
    async with site() as here:
        await here.command(-3.0)
        here.rig.simulator.inject(fault="power_cycle", seconds=60.0)
        await asyncio.sleep(12.0)
        assert here.deviation == "commanded -3 A, held unknown, measured 0 A"


async def test_others_on_the_pack() -> None:
    """A load beside the supply: at 0 A it is none of the supply's doing, under a set point the numbers do not fit."""
    async with site() as here:
        await here.command(0.0)
        here.pack.others_a = 7.0
        await asyncio.sleep(60.0)
        assert here.deviation == ""
        await here.command(-3.0)
        await asyncio.sleep(8.0)
        assert here.deviation == "commanded -3 A, held -3 A, measured 4 A"
        assert here.told_again == 0


async def test_a_command_that_failed_is_a_command() -> None:
    """What was told and not confirmed counts: a supply that trips at once is named with its protection."""
    async with site() as here:
        here.rig.simulator.set(excess_v=5.0)
        with pytest.raises(BosError):
            await here.battery.command(-3.0, None)
        here.battery.lost_answer(-3.0)
        await asyncio.sleep(8.0)
        assert here.deviation.startswith("commanded -3 A, held 0 A, measured 0 A; OVP: its own protection")


async def test_unreachable_raises_nothing() -> None:
    """Unplugged: what follows is unknown, and the task goes on."""
    async with site() as here:
        await here.command(-3.0)
        here.rig.simulator.inject(fault="unplug", seconds=20.0)
        with pytest.raises(UnavailableError):
            await here.rig.regulator.read()
        await asyncio.sleep(40.0)
        assert here.deviation == ""
