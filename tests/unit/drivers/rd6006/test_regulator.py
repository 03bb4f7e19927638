"""The regulator against a simulated supply in memory, in virtual time (bosd/drivers/rd6006/regulator.py)."""

import asyncio
import contextlib
import math

import pytest

from bosd.drivers.rd6006.regulator import TRIP_PAUSE_S, Rd6006Regulator
from bosd.drivers.regulator import Regulator
from bosd.errors import (
    CurrentOutOfRangeError,
    DriverError,
    InvalidArgumentError,
    NotFollowedError,
    UnavailableError,
    UnsupportedError,
)
from tests.support.supply import bench

pytestmark = pytest.mark.jumping

V_SET, I_SET, OUTPUT, OVP, OCP = 8, 9, 18, 82, 83


def now_s() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


async def test_a_charge_is_set_before_the_output_is_on() -> None:
    """Protections, voltage, current, then output; each as the map counts it: 0.01 V, 0.001 A. Read back as a charge."""
    async with bench() as rig:
        regulator: Regulator = rig.regulator
        await regulator.set_current(-3.0)
        assert rig.writes == [(OVP, 1510), (OCP, 5500), (V_SET, 1460), (I_SET, 3000), (OUTPUT, 1)]
        assert await regulator.read() == -3.0
        assert await regulator.measured_a() == -3.0
        assert regulator.restrained_by == ""
        assert rig.simulator.get()["current_a"] == 3.0


async def test_what_is_held_already_is_not_written_again() -> None:
    """A second set point changes the current alone; the same again writes nothing."""
    async with bench() as rig:
        await rig.regulator.set_current(-3.0)
        await rig.regulator.set_current(-2.0)
        await rig.regulator.set_current(-2.0)
        assert rig.writes[5:] == [(I_SET, 2000)]


async def test_zero_is_output_off_first() -> None:
    """Output off, then the current to 0, so that a hand at the front panel begins at nothing."""
    async with bench() as rig:
        await rig.regulator.set_current(-3.0)
        before = len(rig.writes)
        await rig.regulator.set_current(0.0)
        assert rig.writes[before:] == [(OUTPUT, 0), (I_SET, 0)]
        assert await rig.regulator.read() == 0.0
        assert rig.simulator.plant.current_a == 0.0


async def test_zero_comes_first_even_when_nothing_is_known() -> None:
    """A process that has only just begun switches off before it asks what it speaks to."""
    async with bench() as rig:
        rig.simulator.set(output=True)
        await rig.regulator.set_current(0.0)
        assert rig.requests[0][1:6] == bytes((6, 0, OUTPUT, 0, 0))
        assert not rig.simulator.plant.output_on


@pytest.mark.parametrize(
    ("model", "current_word", "voltage_word"),
    [("rd6006", 3000, 1460), ("rd6006p", 30000, 14600), ("rd6012", 300, 1460), ("rd6018", 300, 1460)],
)
async def test_scales_follow_the_model(model: str, current_word: int, voltage_word: int) -> None:
    """3 A and 14.6 V in each model's counts."""
    async with bench(model=model) as rig:
        await rig.regulator.set_current(-3.0)
        assert (V_SET, voltage_word) in rig.writes
        assert (I_SET, current_word) in rig.writes
        assert rig.simulator.plant.current_a == pytest.approx(3.0)


async def test_a_model_of_unknown_scale_is_refused() -> None:
    """Nothing is written to an RD6012P."""
    async with bench(model="rd6012p") as rig:
        with pytest.raises(DriverError, match=r"60125 .* is no known RD60xx"):
            await rig.regulator.set_current(-1.0)
        assert rig.writes == []


async def test_it_cannot_discharge() -> None:
    """A source: refused with the numbers, before anything goes over the line."""
    async with bench() as rig:
        assert rig.regulator.directions == {"charge"}
        assert rig.regulator.hold_s is None
        with pytest.raises(UnsupportedError, match="only charges, asked were 2 A") as caught:
            await rig.regulator.set_current(2.0)
        assert (caught.value.metadata["lower_a"], caught.value.metadata["upper_a"]) == ("-5.0", "0.0")
        assert rig.requests == []


async def test_never_above_what_is_configured() -> None:
    """5 A by max_current_a: 5.001 A is refused with the numbers, and so is what is no number."""
    async with bench() as rig:
        with pytest.raises(CurrentOutOfRangeError) as caught:
            await rig.regulator.set_current(-5.001)
        assert caught.value.metadata == {"asked_a": "-5.001", "lower_a": "-5.0", "upper_a": "0.0"}
        with pytest.raises(InvalidArgumentError):
            await rig.regulator.set_current(-math.inf)
        assert rig.requests == []
        await rig.regulator.set_current(-5.0)
        assert rig.simulator.plant.current_a == 5.0


async def test_counts_round_towards_less() -> None:
    """An RD6018 counts 0.01 A: 2.999 A become 2.99 A, 14.609 V become 14.60 V."""
    async with bench(model="rd6018", max_voltage_v=14.609) as rig:
        await rig.regulator.set_current(-2.999)
        assert (I_SET, 299) in rig.writes
        assert (V_SET, 1460) in rig.writes


async def test_a_configuration_beyond_the_model() -> None:
    """8 A of an RD6006: named with what it gives, and nothing is written."""
    async with bench(max_current_a=8.0) as rig:
        with pytest.raises(DriverError, match="the RD6006 gives at most 6 A and 60 V"):
            await rig.regulator.set_current(-1.0)
        assert rig.writes == []


async def test_input_voltage_too_low() -> None:
    """14.6 V from 15 V: a buck converter needs 1.1 times that, 16.06 V. The output stays off."""
    async with bench(input_voltage_v=15.0) as rig:
        with pytest.raises(DriverError, match=r"input voltage 15 V is too low for 14.6 V: it needs 16.06 V"):
            await rig.regulator.set_current(-1.0)
        assert not rig.simulator.plant.output_on


async def test_constant_voltage_is_said() -> None:
    """Near full, 14.5 V behind 0.05 ohm take (14.6 - 14.5) / 0.05 = 2 A of the 3 A: held 3, measured 2, and why."""
    async with bench(battery_voltage_v=14.5) as rig:
        await rig.regulator.set_current(-3.0)
        assert await rig.regulator.read() == -3.0
        assert await rig.regulator.measured_a() == pytest.approx(-2.0)
        assert rig.regulator.restrained_by == "constant voltage at 14.6 V"


@pytest.mark.parametrize(
    ("change", "name"), [({"excess_v": 2.0}, "OVP"), ({"excess_a": 4.0}, "OCP"), ({"temperature_c": 95.0}, "protection 3")]
)
async def test_a_trip_is_named_and_not_fought(change: dict[str, float], name: str) -> None:
    """The output is off, the error says which protection; it is not switched on again for 30 s, whatever is asked."""
    async with bench() as rig:
        await rig.regulator.set_current(-3.0)
        rig.simulator.set(**change)
        assert await rig.regulator.read() == 0.0
        assert rig.regulator.restrained_by.startswith(f"{name}: its own protection switched it off")
        tripped_s = now_s()
        await rig.regulator.set_current(0.0)
        with pytest.raises(DriverError, match=f"{name}: its own protection.*not switched on again for") as caught:
            await rig.regulator.set_current(-3.0)
        assert caught.value.metadata["protection"] == name
        assert rig.simulator.get()["output_on"] is False
        rig.simulator.set(excess_v=0.0, excess_a=0.0, temperature_c=30.0)
        await asyncio.sleep(tripped_s + TRIP_PAUSE_S - now_s())
        await rig.regulator.set_current(-3.0)
        assert rig.simulator.plant.output_on
        assert rig.regulator.restrained_by == ""


async def test_a_trip_at_switching_on() -> None:
    """What trips at once is named at once."""
    async with bench() as rig:
        rig.simulator.set(excess_v=5.0)
        with pytest.raises(DriverError, match="OVP: its own protection"):
            await rig.regulator.set_current(-3.0)


async def test_switched_off_at_the_front_panel() -> None:
    """It holds nothing then; back on, it holds what it was told."""
    async with bench() as rig:
        await rig.regulator.set_current(-3.0)
        rig.simulator.set(output=False)
        assert await rig.regulator.read() == 0.0
        rig.simulator.set(output=True)
        assert await rig.regulator.read() == -3.0


async def test_another_voltage_at_the_front_panel() -> None:
    """A hand that turns the voltage up is found out at the next look: the pack's highest voltage is not to be passed."""
    async with bench() as rig:
        await rig.regulator.set_current(-3.0)
        rig.simulator.set(set_voltage_v=15.0)
        with pytest.raises(NotFollowedError, match=r"told -3 A at up to 14.6 V, it holds -3 A at 15 V, output on"):
            await rig.regulator.read()
        await rig.regulator.set_current(-3.0)
        assert rig.simulator.plant.set_voltage_v == 14.6


async def test_a_power_cycle_comes_back_off() -> None:
    """Silent meanwhile; then off, holding nothing; the next set point identifies it and checks its protections again."""
    async with bench() as rig:
        await rig.regulator.set_current(-3.0)
        rig.simulator.inject(fault="power_cycle", seconds=5.0)
        with pytest.raises(UnavailableError):
            await rig.regulator.read()
        await asyncio.sleep(6.0)
        assert await rig.regulator.read() == 0.0
        rig.simulator.set(ovp_v=62.0)
        await rig.regulator.set_current(-3.0)
        assert rig.simulator.plant.ovp_v == pytest.approx(15.1)
        assert rig.simulator.plant.output_on


async def test_a_power_cycle_that_comes_back_on() -> None:
    """With its boot option it charges on by itself: that is what it holds."""
    async with bench(boot_output=True) as rig:
        await rig.regulator.set_current(-3.0)
        rig.simulator.inject(fault="power_cycle", seconds=1.0)
        await asyncio.sleep(2.0)
        assert await rig.regulator.read() == -3.0


@pytest.mark.parametrize("fault", ["drop", "corrupt", "flip_bit", "noise"])
async def test_one_fault_is_survived(fault: str) -> None:
    """A reply that is lost, damaged, or behind noise costs an attempt, not the set point."""
    async with bench() as rig:
        rig.simulator.inject(fault=fault, count=1, register=OUTPUT)
        await rig.regulator.set_current(-3.0)
        assert await rig.regulator.read() == -3.0
        assert rig.simulator.injector.struck == 1


async def test_exceptions_have_their_names() -> None:
    """A refusal is no silence: it is told with its number and meaning, and asked no second time."""
    async with bench() as rig:
        rig.simulator.inject(fault="exception", code=4, function=6)
        with pytest.raises(DriverError, match="refused with 4: device failure") as caught:
            await rig.regulator.set_current(-3.0)
        assert caught.value.metadata["exception"] == "4"
        assert rig.simulator.injector.struck == 1


async def test_silence_is_unavailable_within_its_bound() -> None:
    """0 A of a silent supply fails within failsafe_time_s; of one that speaks it takes far less."""
    async with bench() as rig:
        await rig.regulator.set_current(-3.0)
        rig.simulator.inject(fault="silent", seconds=60.0)
        began_s = now_s()
        with pytest.raises(UnavailableError):
            await rig.regulator.set_current(0.0)
        assert now_s() - began_s < Rd6006Regulator.failsafe_time_s


async def test_late_replies_are_never_taken_for_others() -> None:
    """All replies 0.4 s late, which is after the attempt: whatever is taken in the end is the truth of its time."""
    async with bench() as rig:
        await rig.regulator.set_current(-3.0)
        rig.simulator.inject(fault="delay", delay_s=0.4, probability=0.5)
        answered = 0
        for number in range(200):
            rig.simulator.set(set_current_a=3.0 + number / 100.0 % 2.0)
            held_a = rig.simulator.plant.set_current_a
            with contextlib.suppress(UnavailableError, DriverError):
                assert await rig.regulator.read() == pytest.approx(-held_a)
                answered += 1
        assert answered > 50
        assert rig.simulator.injector.struck > 50


@pytest.mark.parametrize("after_s", [0.01 * step for step in range(0, 120, 3)])
async def test_cancelled_at_any_moment(after_s: float) -> None:
    """Whenever a set point is cancelled: never more than was asked, never on above the voltage, and 0 A works at once."""
    async with bench() as rig:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(after_s):
                await rig.regulator.set_current(-3.0)
        plant = rig.simulator.plant
        assert not plant.output_on or (plant.set_current_a, plant.set_voltage_v) == (3.0, 14.6)
        await rig.regulator.set_current(0.0)
        assert not plant.output_on
        assert await rig.regulator.read() == 0.0


async def test_unplugged_and_back() -> None:
    """A hang-up is unavailable at once, the next request after the return is answered."""
    async with bench() as rig:
        await rig.regulator.set_current(-3.0)
        rig.simulator.inject(fault="unplug", seconds=2.0)
        with pytest.raises(UnavailableError):
            await rig.regulator.read()
        await asyncio.sleep(3.0)
        assert await rig.regulator.read() == -3.0


async def test_one_request_at_a_time() -> None:
    """Commands and looks at the same time: each reading is whole, and the last command is what is held."""
    async with bench() as rig:
        await asyncio.gather(
            rig.regulator.set_current(-1.0), *(rig.regulator.read() for _ in range(5)), rig.regulator.set_current(-2.0)
        )
        assert await rig.regulator.read() == -2.0
        assert rig.simulator.station.counts.bad_requests == 0


async def test_another_address() -> None:
    """Device 7 is asked as 7; one that is not there is silent."""
    async with bench(address=7) as rig:
        rig.simulator.bank.address = 7
        await rig.regulator.set_current(-1.0)
        assert rig.requests[0][0] == 7
        rig.simulator.bank.address = 8
        with pytest.raises(UnavailableError):
            await rig.regulator.read()


async def test_closing_twice_leaves_it_as_it_is() -> None:
    """Letting go of the line changes nothing at the supply: it holds."""
    async with bench() as rig:
        await rig.regulator.set_current(-3.0)
        await rig.regulator.close()
        await rig.regulator.close()
        assert rig.simulator.plant.current_a == 3.0


async def test_facts() -> None:
    """Nothing before it was asked; then who it is and what it did when it was last read back, from memory."""
    async with bench() as rig:
        assert rig.regulator.facts().identity == ()
        await rig.regulator.set_current(-3.0)
        asked = len(rig.requests)
        facts = rig.regulator.facts()
        identity, flags = dict(facts.identity), dict(facts.flags)
        assert (identity["model"], identity["set to"]) == ("RD6006", "3 A at up to 14.6 V")
        assert flags == {"output_on": True, "constant_current": True}
        assert [(each.direction, each.limit_a) for each in facts.limits] == [("charge", 5.0)]
        assert facts.traffic.requests == asked == len(rig.requests)
