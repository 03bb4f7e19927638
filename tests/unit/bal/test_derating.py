"""Derating curves: monotone, continuous, never above what is configured, and never loosened by old cells."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.bal.derating import CHEMISTRIES, LFP, Curve, Derating, DeratingSpec, Readings, factor_at, with_defaults

FACTORS = st.floats(0.0, 1.0)
VOLTS = st.floats(0.0, 5.0)


@st.composite
def curves(draw: st.DrawFn, *, falling: bool | None = None) -> Curve:
    """Draw a curve; values lie at least 1 mV (or 1 mK) apart."""
    steps = draw(st.lists(st.integers(1, 500), min_size=1, max_size=6))
    factors = draw(st.lists(FACTORS, min_size=len(steps), max_size=len(steps)))
    if falling is not None:
        factors.sort(reverse=falling)
    values = [2.0 + sum(steps[: index + 1]) / 1000.0 for index in range(len(steps))]
    return tuple(zip(values, factors, strict=True))


@given(curves(), VOLTS)
def test_between_its_smallest_and_largest_factor(curve: Curve, value: float) -> None:
    """A factor is never above 1, nor outside what the curve says anywhere."""
    factors = [factor for _, factor in curve]
    assert min(factors) - 1e-9 <= factor_at(curve, value) <= max(factors) + 1e-9 <= 1.0 + 1e-9


@given(curves(falling=True), VOLTS, VOLTS)
def test_monotone(curve: Curve, one: float, other: float) -> None:
    """A falling curve falls everywhere."""
    low, high = sorted((one, other))
    assert factor_at(curve, low) >= factor_at(curve, high) - 1e-9


@given(curves(), VOLTS)
def test_continuous(curve: Curve, value: float) -> None:
    """Over 1 uV a factor moves by no more than the steepest piece allows: 1 per mV, so 1e-3."""
    assert abs(factor_at(curve, value + 1e-6) - factor_at(curve, value)) <= 1e-3 + 1e-9


@given(curves())
def test_meets_its_points(curve: Curve) -> None:
    """Each point is on the curve, and half-way lies the mean."""
    for value, factor in curve:
        assert factor_at(curve, value) == pytest.approx(factor)
    for (left, low), (right, high) in pairwise(curve):
        assert factor_at(curve, (left + right) / 2) == pytest.approx((low + high) / 2)


@given(
    st.lists(st.tuples(VOLTS | st.none(), VOLTS, st.booleans()), min_size=1, max_size=30),
    curves(falling=True),
)
def test_old_cells_never_loosen(readings: list[tuple[float | None, float, bool]], curve: Curve) -> None:
    """While cells are old or unknown the limit only falls."""
    derating = Derating(DeratingSpec(cell_v_charge=curve))
    before = 0.0
    for highest_v, mean_v, old in readings:
        now = derating.charge(Readings(highest_v=highest_v, mean_v=mean_v, cells_old=old)).factor
        if old or highest_v is None:
            assert now <= before
        else:
            assert now == factor_at(curve, highest_v)
        before = now


def test_halfway_between_two_points() -> None:
    """3.525 V lies half-way between 3.45 V (all) and 3.60 V (nothing): half."""
    share = Derating(DeratingSpec(cell_v_charge=LFP.cell_v_charge)).charge(Readings(highest_v=3.525, lowest_v=3.3))
    assert share.factor == pytest.approx(0.5)
    assert share.why == "highest cell at 3.525 V"


def test_the_worst_sensor_counts() -> None:
    """Of two sensors at 20 and 52.5 degC the hot one halves charging (45 to 60 degC, all to nothing)."""
    spec = DeratingSpec(temperature_c_charge=LFP.temperature_c_charge)
    share = Derating(spec).charge(Readings(temperatures_c=(20.0, 52.5)))
    assert share.factor == pytest.approx(0.5)
    assert share.why == "a sensor at 52.5 degC"


def test_unknown_is_not_fine() -> None:
    """A curve without anything to read it at lets nothing flow, and says what is missing."""
    derating = Derating(LFP)
    assert derating.charge(Readings(temperatures_c=(25.0,))) == (0.0, "cell voltages are not known")
    assert derating.discharge(Readings(highest_v=3.3, lowest_v=3.3)) == (0.0, "no temperature is known")


def test_old_cells_follow_the_mean_downwards() -> None:
    """Old cells at 3.40 V held everything; a pack whose mean has risen to 3.525 V halves charging."""
    derating = Derating(DeratingSpec(cell_v_charge=LFP.cell_v_charge))
    assert derating.charge(Readings(highest_v=3.40)).factor == 1.0
    share = derating.charge(Readings(highest_v=3.40, mean_v=3.525, cells_old=True))
    assert share.factor == pytest.approx(0.5)
    assert derating.charge(Readings(highest_v=3.40, mean_v=3.30, cells_old=True)).factor == share.factor
    assert derating.charge(Readings(highest_v=3.40)).factor == 1.0


def test_given_curves_replace_the_chemistrys_one_by_one() -> None:
    """`[]` does without a curve, what is not given stays."""
    spec = with_defaults(DeratingSpec(temperature_c_charge=(), cell_v_charge=((3.4, 1.0), (3.5, 0.0))), "lfp")
    assert spec.temperature_c_charge == ()
    assert spec.cell_v_charge == ((3.4, 1.0), (3.5, 0.0))
    assert spec.cell_v_discharge == LFP.cell_v_discharge
    assert Derating(with_defaults(None, "none")).is_off


@pytest.mark.parametrize("name", ["lfp", "nmc"])
def test_the_defaults_are_sound(name: str) -> None:
    """The shipped curves pass their own rules, and leave everything at 25 degC in the middle of the voltage range."""
    spec = CHEMISTRIES[name]
    assert list(spec.faults()) == []
    middle_v = {"lfp": 3.3, "nmc": 3.7}[name]
    readings = Readings(highest_v=middle_v, lowest_v=middle_v, temperatures_c=(25.0,))
    assert (Derating(spec).charge(readings).factor, Derating(spec).discharge(readings).factor) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("curve", "fault"),
    [
        (((3.45,),), "each point is a value"),
        (((3.45, 1.0), (3.45, 0.0)), "values must rise"),
        (((3.45, 1.5),), "factors are 0 to 1"),
        (((3450.0, 1.0),), "values are in V per cell, 0 to 5"),
        (((3.45, 0.0), (3.60, 1.0)), "must not rise with the voltage"),
    ],
)
def test_bad_curves(curve: Curve, fault: str) -> None:
    """Each bad curve is named with what would be right."""
    [(key, text)] = DeratingSpec(cell_v_charge=curve).faults()
    assert key == "derating.cell_v_charge"
    assert fault in text
