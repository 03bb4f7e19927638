"""Protections and MOSFETs: trip, delay, release, and which way current still flows."""

import pytest

from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.plant import Plant


def make_plant(**options: object) -> Plant:
    """Return a plant of equal cells at time 0."""
    plant = Plant(SimulatorOptions(**{"capacity_spread": 0.0, **options}))  # type: ignore[arg-type]
    plant.update(0.0)
    return plant


def test_cell_over_voltage_trips_after_its_delay_and_blocks_charging_only() -> None:
    """3650 mV for 2 s (registers 24 and 3D of the captured board) set bit 0 and open the charge MOSFET."""
    plant = make_plant(load_current_a=-10.0)
    plant.pack.cells[2].override_v = 3.66
    plant.update(1.0)
    assert plant.protection_word == 0
    assert plant.current_a == -10.0
    plant.update(2.0)
    assert plant.protection_word == 1 << 0
    assert (plant.charge_fet, plant.discharge_fet, plant.current_a) == (False, True, 0.0)
    plant.load_current_a = 10.0
    assert plant.current_a == 10.0


def test_a_condition_that_passes_does_not_trip() -> None:
    """The delay starts again once the reading was good in between."""
    plant = make_plant()
    for start_s in (0.0, 10.0, 20.0):
        plant.pack.cells[0].override_v = 3.70
        plant.update(start_s + 1.0)
        plant.pack.cells[0].override_v = None
        plant.update(start_s + 10.0)
    assert plant.protection_word == 0


def test_over_voltage_is_released_below_its_release_point() -> None:
    """Between release and trip the alarm stays; at 3450 mV it goes."""
    plant = make_plant()
    plant.pack.cells[0].override_v = 3.70
    plant.advance(5.0)
    plant.pack.cells[0].override_v = 3.50
    plant.advance(5.0)
    assert plant.protection_word == 1
    plant.pack.cells[0].override_v = 3.45
    plant.advance(1.0)
    assert (plant.protection_word, plant.charge_fet) == (0, True)


def test_over_discharge_empties_the_pack_down_to_the_trip_point() -> None:
    """10 A from a 100 Ah pack at 1 % for an hour: under-voltage stops it near empty, counter place 4."""
    plant = make_plant(soc=0.01, load_current_a=10.0)
    plant.words[0x27] = 5000
    plant.advance(3600.0)
    assert plant.protection_word & 1 << 1
    assert plant.current_a == 0.0
    assert plant.protections.counters[4] == 1
    assert -0.02 <= plant.pack.cells[0].charge_ah / 100.0 <= 0.0


def test_charging_ends_at_over_voltage() -> None:
    """50 A into a pack at 95 % meet the cell's over-voltage just past full."""
    plant = make_plant(soc=0.95, load_current_a=-50.0)
    plant.words[0x25] = 2000
    plant.words[0x21] = 800
    plant.advance(3600.0)
    assert plant.protection_word & 1
    assert plant.current_a == 0.0
    assert 1.0 <= plant.pack.cells[0].charge_ah / 100.0 <= 1.02


def test_over_current_trips_after_ten_seconds_and_releases_after_thirty_two() -> None:
    """Register 29 = A628 is 230 A, 3F = 0A20: delay 10 s, release 32 s; counter place 2."""
    plant = make_plant(load_current_a=231.0)
    plant.advance(9.0)
    assert plant.protection_word == 0
    plant.advance(1.0)
    assert plant.protection_word == 1 << 9
    assert plant.protections.counters[2] == 1
    plant.load_current_a = 5.0
    plant.advance(31.0)
    assert plant.current_a == 0.0
    plant.advance(1.0)
    assert (plant.protection_word, plant.current_a) == (0, 5.0)


def test_short_circuit_trips_at_once() -> None:
    """Word 8D5C is 78 mV doubled over 0.1 mOhm: 1560 A."""
    plant = make_plant(load_current_a=1560.0, soc=0.9)
    plant.advance(0.001)
    assert plant.protection_word == 1 << 10
    assert plant.current_a == 0.0


@pytest.mark.parametrize(
    ("temperature_c", "word"),
    [(76.0, 1 << 4 | 1 << 6), (-11.0, 1 << 5), (-21.0, 1 << 5 | 1 << 7)],
)
def test_temperature_protections(temperature_c: float, word: int) -> None:
    """75.0 and -10.0 degC stop charging (captured 0D99 and 0A47), 75 and -20 discharging."""
    plant = make_plant(ambient_c=temperature_c)
    plant.advance(3.0)
    assert plant.protection_word == word


@pytest.mark.parametrize(
    ("charge", "discharge", "load_current_a", "flows_a"),
    [
        (False, True, -5.0, 0.0),
        (False, True, 1.5, 1.5),
        (True, False, 5.0, 0.0),
        (True, False, -1.5, -1.5),
        (False, False, 5.0, 0.0),
        (False, False, -5.0, 0.0),
    ],
)
def test_a_disabled_mosfet_blocks_its_direction(charge: bool, discharge: bool, load_current_a: float, flows_a: float) -> None:
    """The other direction passes the body diode; bit 12 is up while anything is off."""
    plant = make_plant(load_current_a=load_current_a)
    plant.switch(charge=charge, discharge=discharge)
    plant.advance(10.0)
    assert plant.current_a == flows_a
    assert plant.protection_word == 1 << 12
    assert (plant.charge_fet, plant.discharge_fet) == (charge, discharge)


@pytest.mark.parametrize("load_current_a", [2.1, -2.1])
def test_more_than_two_amperes_the_other_way_close_a_disabled_mosfet_again(load_current_a: float) -> None:
    """The board spares the body diode: the command is undone and bit 12 falls."""
    plant = make_plant(load_current_a=load_current_a)
    plant.switch(charge=load_current_a < 0, discharge=load_current_a > 0)
    assert (plant.charge_fet, plant.discharge_fet, plant.protection_word) == (True, True, 0)


def test_cells_above_the_window_are_balanced_while_charging() -> None:
    """Start 3200 mV, window 15 mV: cells 2 and 4 (bits 1 and 3), only while current flows in."""
    plant = make_plant(load_current_a=-5.0)
    for cell, cell_v in zip(plant.pack.cells, (3.300, 3.320, 3.310, 3.400), strict=True):
        cell.override_v = cell_v
    assert plant.balance_word == 0b1010
    plant.load_current_a = 0.0
    assert plant.balance_word == 0


def test_balancing_brings_cells_together() -> None:
    """50 mA of bleed for 10 h take 0.5 Ah from the fuller cell."""
    plant = make_plant(soc=0.5, load_current_a=-0.001)
    plant.pack.cells[1].charge_ah += 30.0
    plant.words[0x2B] = 10
    before_ah = plant.pack.cells[1].charge_ah - plant.pack.cells[0].charge_ah
    plant.advance(36000.0)
    assert before_ah - (plant.pack.cells[1].charge_ah - plant.pack.cells[0].charge_ah) == pytest.approx(0.5)
