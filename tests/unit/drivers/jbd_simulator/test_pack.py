"""The pack's physics against formulas written beside each test."""

import math

import pytest

from bosd.drivers.jbd.simulator.chemistry import LFP, NMC
from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.pack import THERMAL_TIME_CONSTANT_S, Pack
from bosd.drivers.jbd.simulator.plant import Plant
from bosd.errors import InvalidArgumentError


def make_pack(**options: object) -> Pack:
    """Return a pack of equal cells unless told otherwise."""
    made = SimulatorOptions(**{"capacity_spread": 0.0, **options})  # type: ignore[arg-type]
    return Pack(made, made.rng("cells"))


def test_ten_amperes_for_an_hour_take_ten_ampere_hours() -> None:
    """Coulomb counting: charge = current x time, in the counter and in every cell."""
    pack = make_pack(capacity_ah=100.0, soc=0.5)
    for _ in range(3600):
        pack.step(1.0, 10.0)
    assert pack.remaining_ah == pytest.approx(40.0)
    assert [cell.charge_ah for cell in pack.cells] == pytest.approx([40.0] * 4)


def test_charging_adds_what_discharging_took() -> None:
    """A negative current fills the pack."""
    pack = make_pack(soc=0.5)
    pack.step(360.0, -100.0)
    assert pack.remaining_ah == pytest.approx(60.0)


def test_voltage_drops_by_current_times_resistance() -> None:
    """A 100 Ah LFP cell has 0.05 ohm Ah / 100 Ah = 0.5 mOhm: 40 A cost 20 mV a cell, 80 mV over four."""
    pack = make_pack(capacity_ah=100.0)
    at_rest, loaded, charging = (sum(pack.cell_voltages_v(current_a)) for current_a in (0.0, 40.0, -40.0))
    assert at_rest - loaded == pytest.approx(4 * 40.0 * 0.0005)
    assert charging - at_rest == pytest.approx(4 * 40.0 * 0.0005)


@pytest.mark.parametrize(("chemistry", "empty_v", "half_v", "full_v"), [(LFP, 2.8, 3.30, 3.45), (NMC, 3.0, 3.72, 4.18)])
def test_open_circuit_voltage_passes_through_its_textbook_points(
    chemistry: object, empty_v: float, half_v: float, full_v: float
) -> None:
    """Empty, half and full cells show the voltages typical of their chemistry."""
    assert [chemistry.open_circuit_v(soc) for soc in (0.0, 0.5, 1.0)] == pytest.approx([empty_v, half_v, full_v])  # type: ignore[attr-defined]


@pytest.mark.parametrize("chemistry", [LFP, NMC])
def test_open_circuit_voltage_rises_and_is_held_at_its_ends(chemistry: object) -> None:
    """The curve is monotonic, and nothing is extrapolated."""
    curve = [chemistry.open_circuit_v(step / 1000.0) for step in range(-100, 1200)]  # type: ignore[attr-defined]
    assert curve == sorted(curve)
    assert chemistry.open_circuit_v(-9.0) == curve[0]  # type: ignore[attr-defined]
    assert chemistry.open_circuit_v(9.0) == curve[-1]  # type: ignore[attr-defined]


def test_heat_settles_at_power_times_thermal_resistance() -> None:
    """P = I^2 R; the rise settles at P / G with G = C / tau, and reaches 1 - 1/e of it after tau."""
    pack = make_pack(capacity_ah=100.0, ambient_c=20.0)
    power_w = 100.0**2 * 4 * 0.0005
    rise_k = power_w * THERMAL_TIME_CONSTANT_S / (4 * 100.0 * 20.0)
    pack.step(THERMAL_TIME_CONSTANT_S, 100.0)
    assert pack.temperature_c == pytest.approx(20.0 + rise_k * (1.0 - math.exp(-1.0)))
    pack.step(50 * THERMAL_TIME_CONSTANT_S, 100.0)
    assert pack.temperature_c == pytest.approx(20.0 + rise_k)


def test_the_spread_of_the_cells_follows_the_seed() -> None:
    """Same seed, same cells; another seed, others."""
    first, again, other = ([cell.capacity_ah for cell in make_pack(seed=seed, capacity_spread=0.01).cells] for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 4


def test_catching_up_in_one_go_equals_many_small_updates() -> None:
    """The model is moved when somebody looks; how often does not change the charge."""
    often, once = (Plant(SimulatorOptions(load_current_a=20.0)) for _ in range(2))
    often.update(0.0)
    once.update(0.0)
    for second in range(1, 601):
        often.update(second * 1.0)
    once.update(600.0)
    assert once.pack.remaining_ah == pytest.approx(often.pack.remaining_ah) == pytest.approx(50.0 - 20.0 / 6.0)


def test_time_that_runs_backwards_changes_nothing() -> None:
    """An instant before the last one is ignored."""
    plant = Plant(SimulatorOptions(load_current_a=20.0))
    plant.update(100.0)
    plant.update(50.0)
    plant.update(100.0)
    assert plant.pack.remaining_ah == 50.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("series", 33),
        ("series", 0),
        ("soc", 1.1),
        ("soc", math.nan),
        ("capacity_ah", 700.0),
        ("chemistry", "lead"),
        ("wake_artefact", "loud"),
        ("turnaround_ms", (20.0, 10.0)),
        ("turnaround_ms", 15),
        ("password", "12345"),
        ("baud", 10**400),
    ],
)
def test_bad_options_are_named(key: str, value: object) -> None:
    """What cannot be is refused with the option's name."""
    with pytest.raises(InvalidArgumentError, match=key) as caught:
        SimulatorOptions(**{key: value})  # type: ignore[arg-type]
    assert caught.value.metadata["key"] == key
