"""Foresight: ends of partitions over a source that holds something else than their meters say."""

import math

import pytest

from bosd.bal.foresight import ends_s, shares_move_s
from bosd.bal.splitter import Splitter
from tests.support.bal_makers import aggregate, pseudo, run, split


def halves(holds_ah: float, *, by: str = "proportional") -> Splitter:
    """Return two halves of a source of 200 Ah that expects 25 Ah in each and is found to hold so much."""
    source = pseudo("s", 100.0, 200.0, 50.0)
    splitter = split(source, 0.5, 0.5, by=by)
    for partition in splitter.partitions:
        partition.status(0.0)
    source.modify({"charge_ah": holds_ah}, 0.0)
    return splitter


def test_a_meter_that_reaches_0_ends_it() -> None:
    """45 Ah held at 30 A would last 90 min; proportionally to meters it is nothing when the meter is 0: 25 Ah / 30 A = 50 min."""
    splitter = halves(90.0)
    run(splitter, 0.0, 30.0, 0.0)
    assert splitter.partitions[0].status(0.0).charge_ah == pytest.approx(45.0)
    assert ends_s(splitter.partitions[0], 0.0) == pytest.approx(25.0 / 30.0 * 3600.0)
    assert ends_s(splitter.partitions[1], 0.0) == math.inf


def test_full_before_a_straight_line_says() -> None:
    """It holds (90 + 30 t) * (25 + 30 t) / (50 + 30 t) Ah after t hours: 100 Ah where 900 t² + 450 t - 2750 = 0."""
    splitter = halves(90.0)
    run(splitter, 0.0, -30.0, 0.0)
    full_h = (-450.0 + math.sqrt(450.0**2 + 4.0 * 900.0 * 2750.0)) / 1800.0
    assert ends_s(splitter.partitions[0], 0.0) == pytest.approx(full_h * 3600.0)


def test_what_comes_later_than_a_straight_line_says() -> None:
    """Tranched, 40 of 50 Ah held: the bottom has 15 of 25 Ah, and its sibling's charging at 10 A does not fill it up."""
    splitter = halves(40.0, by="tranched")
    run(splitter, 0.0, -10.0, 10.0)
    assert [part.status(0.0).charge_ah for part in splitter.partitions] == pytest.approx([25.0, 15.0])
    assert ends_s(splitter.partitions[1], 0.0) == pytest.approx(1.5 * 3600.0)


def test_without_deviations_it_is_a_straight_line() -> None:
    """25 Ah at 10 A last 2.5 h; a sibling at rest never ends."""
    splitter = halves(50.0)
    run(splitter, 0.0, 10.0, 0.0)
    assert ends_s(splitter.partitions[0], 0.0) == pytest.approx(2.5 * 3600.0)
    assert ends_s(splitter.partitions[1], 0.0) == math.inf


def test_a_partition_of_a_partition() -> None:
    """The upper splitter's source holds nothing once its own meter is 0, so neither does what is split off it."""
    below = halves(90.0)
    above = split(below.partitions[0], 0.5, 0.5)
    for partition in above.partitions:
        partition.status(0.0)
    below.step(0.0)
    below.partitions[0].applied_a = 30.0
    above.step(0.0)
    above.partitions[0].applied_a = 30.0
    below.source.apply(30.0, 0.0)  # type: ignore[attr-defined]
    for partition in (*below.partitions, *above.partitions):
        partition.touch()
    end_s = ends_s(above.partitions[0], 0.0)
    assert (above.partitions[0].status(0.999 * end_s).charge_ah or 0.0) > 1e-3
    assert above.partitions[0].status(end_s).charge_ah == pytest.approx(0.0, abs=1e-9)


def test_shares_move_when_members_run_at_different_rates() -> None:
    """10 A of 50 Ah beside 0 A of 50 Ah: weights move apart by 0.2 an hour, a hundredth in 180 s; at equal rates never."""
    fast, slow = pseudo("a", 50.0, 100.0, 50.0), pseudo("b", 50.0, 100.0, 50.0)
    both = aggregate(fast, slow)
    fast.apply(10.0, 0.0)
    assert shares_move_s(both, 0.0, 0.01) == pytest.approx(180.0)
    slow.apply(10.0, 0.0)
    assert shares_move_s(both, 0.0, 0.01) == math.inf
