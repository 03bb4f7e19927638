"""From replies to a sample: signs, doubts, and which direction is shut."""

from typing import Any

import pytest

from bosd.bal.device import Sample
from bosd.drivers.jbd.codec import decode_basic
from bosd.drivers.jbd.sample import build_sample
from tests.support.jbd_frames import basic_payload, load_captures


def sample(*cells_v: float, opened: int = 0, cells_age_s: float = 0.0, **basic: Any) -> Sample:
    """Build a sample of a 4S pack at 13.2 V, changed as the test says."""
    return build_sample(
        decode_basic(basic_payload(**basic)),
        cells_v or (3.3, 3.3, 3.3, 3.3),
        sampled_s=100.0,
        sampled_utc_s=1e9,
        cells_s=100.0 - cells_age_s,
        opened=opened,
    )


@pytest.mark.parametrize(
    ("name", "current_a"),
    [("fl4p_7s_basic", 6.04), ("aces_4s_basic", -6.43), ("aiobmsble_basic", 2.87), ("itech_4s_basic", -3.86)],
)
def test_sign(name: str, current_a: float) -> None:
    """Recorded discharging packs are positive, recorded charging ones negative."""
    found = [frame for frame in load_captures() if frame["name"] == name]
    if not found:
        pytest.skip("no captures")
    info = decode_basic(bytes.fromhex(found[0]["response_hex"])[4:-3])
    built = build_sample(info, None, sampled_s=0.0, sampled_utc_s=0.0, cells_s=None, opened=0)
    assert built.current_a == current_a


def test_no_current_has_no_sign() -> None:
    """0 A is 0.0, not -0.0, which would print as such."""
    assert str(sample().current_a) == "0.0"


def test_plain_values() -> None:
    """What a healthy board says is what the sample says; soc is the board's own percentage."""
    built = sample(soc=48)
    assert (built.voltage_v, built.charge_ah, built.capacity_ah, built.soc) == (13.2, 50.0, 100.0, 0.48)
    assert (built.cells_v, built.cells_s, built.temperatures_c) == ((3.3, 3.3, 3.3, 3.3), 100.0, (25.0, 25.0))
    assert (built.discharge_allowed, built.charge_allowed, built.blocked_by, built.faults) == (True, True, (), ())
    assert built.notes == ()


@pytest.mark.parametrize(
    ("protection", "discharge", "charge", "fault"),
    [
        (0x0001, True, False, "cell_overvoltage"),
        (0x0002, False, True, "cell_undervoltage"),
        (0x0004, True, False, "pack_overvoltage"),
        (0x0008, False, True, "pack_undervoltage"),
        (0x0010, True, False, "charge_overtemperature"),
        (0x0020, True, False, "charge_undertemperature"),
        (0x0040, False, True, "discharge_overtemperature"),
        (0x0080, False, True, "discharge_undertemperature"),
        (0x0100, True, False, "charge_overcurrent"),
        (0x0200, False, True, "discharge_overcurrent"),
        (0x0400, False, False, "short_circuit"),
        (0x0800, False, False, "afe_error"),
    ],
)
def test_which_direction_a_protection_shuts(protection: int, discharge: bool, charge: bool, fault: str) -> None:
    """Overvoltage and the charge ones shut charging, undervoltage and the discharge ones discharging, two shut both."""
    built = sample(protection=protection)
    assert (built.discharge_allowed, built.charge_allowed) == (discharge, charge)
    assert built.faults == built.blocked_by == (fault,)


@pytest.mark.parametrize(
    ("fets", "discharge", "charge"), [(3, True, True), (2, True, False), (1, False, True), (0, False, False), (0x0B, True, True)]
)
def test_open_fet_shuts_its_direction(fets: int, discharge: bool, charge: bool) -> None:
    """Status bit 0 is the charge FET, bit 1 the discharge FET; other bits mean nothing."""
    built = sample(fets=fets)
    assert (built.discharge_allowed, built.charge_allowed) == (discharge, charge)
    assert ("discharge_fet_open" in built.blocked_by, "charge_fet_open" in built.blocked_by) == (not discharge, not charge)


def test_lock_by_command_is_no_fault() -> None:
    """Bit 12 says that 0xE1 switched a FET off: nothing is wrong with the cells."""
    built = sample(protection=0x1000, fets=2)
    assert built.faults == ()
    assert built.blocked_by == ("charge_fet_open",)


def test_own_opened_fet_shuts_nothing() -> None:
    """A FET that this daemon opened does not lower the limit; a protection still does."""
    assert sample(fets=0, protection=0x1000, opened=3).blocked_by == ()
    assert sample(fets=0, protection=0x0001, opened=3).blocked_by == ("cell_overvoltage",)
    assert sample(fets=0, opened=1).blocked_by == ("discharge_fet_open",)


def test_unknown_protection_is_reported() -> None:
    """An undefined bit is a fault with its number and shuts nothing by itself."""
    built = sample(protection=0x8000)
    assert built.faults == ("unknown_protection_bit_15",)
    assert (built.discharge_allowed, built.charge_allowed) == (True, True)


def test_impossible_cell_takes_the_cells() -> None:
    """A cell at 56.581 V is none: the cells go, the pack stays, the note names the cell."""
    built = sample(3.3, 3.3, 56.581, 3.3)
    assert (built.voltage_v, built.cells_v, built.cells_s) == (13.2, None, None)
    assert built.notes == ("cells_v: cell 3 reads 56.581 V",)


def test_dead_pack_reading_beside_live_cells() -> None:
    """The recorded 16S board shows 0.0 V beside fifteen cells at 3.6 V and one at 0: the pack voltage goes, 0 V stays."""
    built = sample(*[3.6] * 15, 0.0, voltage_10mv=0, cells=16)
    assert built.voltage_v is None
    assert built.cells_v == (*[3.6] * 15, 0.0)
    assert built.notes == ("voltage_v: 0.00 V where the cells add up to 54.00 V",)


def test_impossible_pack_voltage() -> None:
    """30 V from four cells cannot be: above 5 V a cell."""
    built = sample(voltage_10mv=3000)
    assert (built.voltage_v, built.cells_v) == (None, (3.3, 3.3, 3.3, 3.3))


def test_pack_and_cells_that_contradict_each_other() -> None:
    """18 V beside a sum of 13.2 V: either could be wrong, so neither is shown."""
    built = sample(voltage_10mv=1800)
    assert (built.voltage_v, built.cells_v) == (None, None)
    assert "cannot both be true" in built.notes[0]


def test_broken_sense_wire() -> None:
    """A cell that reads 0 V counts as unknown in the sum: 13.2 V of pack beside 9.9 V of cells is possible."""
    built = sample(3.3, 3.3, 0.0, 3.3)
    assert (built.voltage_v, built.cells_v) == (13.2, (3.3, 3.3, 0.0, 3.3))
    assert built.notes == ()


def test_old_cells_do_not_judge_the_pack() -> None:
    """Cells of a minute ago say nothing about the pack's voltage now."""
    built = sample(2.0, 2.0, 2.0, 2.0, cells_age_s=60.0)
    assert (built.voltage_v, built.cells_v, built.cells_s) == (13.2, (2.0, 2.0, 2.0, 2.0), 40.0)


@pytest.mark.parametrize(("remaining", "charge_ah"), [(10579, 105.79), (12000, 120.0), (12001, None), (0, 0.0)])
def test_charge_against_capacity(remaining: int, charge_ah: float | None) -> None:
    """More than the nominal capacity is legal (recorded: 105.79 of 100 Ah), more than 1.2 times is not."""
    built = sample(remaining_10mah=remaining)
    assert (built.charge_ah, built.capacity_ah) == (charge_ah, 100.0)
    assert bool(built.notes) == (charge_ah is None)


def test_no_capacity() -> None:
    """A nominal capacity of 0 is unknown, not 0."""
    built = sample(capacity_10mah=0, remaining_10mah=0)
    assert (built.charge_ah, built.capacity_ah) == (None, None)


def test_soc_beyond_full() -> None:
    """A percentage above 100 is kept out."""
    built = sample(soc=180)
    assert built.soc is None
    assert built.notes == ("soc: reads 180 %",)


def test_broken_sensor() -> None:
    """A sensor at absolute zero (raw 0) is open; the temperatures are kept out and named."""
    built = sample(temperatures=(2981, 0))
    assert built.temperatures_c is None
    assert "-273.1" in built.notes[0]


def test_no_sensor() -> None:
    """A board without sensors has unknown temperatures."""
    assert sample(temperatures=()).temperatures_c is None


@pytest.mark.parametrize(("current_10ma", "current_a"), [(-250, 2.5), (250, -2.5)])
def test_sign_is_turned_once(current_10ma: int, current_a: float) -> None:
    """The protocol counts charging positive (basic information, offset 2), the sample discharging."""
    assert sample(current_10ma=current_10ma).current_a == current_a
