"""The ledger's books: who gave charge to whom (bal.md, "Partition accounting")."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.bal.ledger import DEVIATION, MOST_CLOSED, OUTSIDE, Book, matched


def test_who_discharges_gives_first_to_who_charges() -> None:
    """80 Ah out of P1 and 100 Ah into P2 in two hours: 80 between them, 20 from outside."""
    assert list(matched([("P1", 80.0), ("P2", -100.0)])) == [("P1", "P2", 80.0), (OUTSIDE, "P2", 20.0)]


def test_transfers_are_in_proportion() -> None:
    """30 and 10 Ah are given, 20 and 4 taken: 24 of the 40 stay inside, 3 : 1 and 5 : 1; 16 go outside, 3 : 1."""
    flows = {
        (giver, taker): charge_ah for giver, taker, charge_ah in matched([("a", 30.0), ("b", 10.0), ("c", -20.0), ("d", -4.0)])
    }
    assert flows == pytest.approx(
        {("a", "c"): 15, ("a", "d"): 3, ("b", "c"): 5, ("b", "d"): 1, ("a", OUTSIDE): 12, ("b", OUTSIDE): 4}
    )


amounts = st.lists(st.floats(-50.0, 50.0, allow_subnormal=False), min_size=1, max_size=60)


@given(amounts)
def test_both_entries_of_every_party_add_up(discharged_ah: list[float]) -> None:
    """Whoever discharged gave just that, whoever was charged got it, and nothing is negative; also where pairs are many."""
    names = [f"p{number}" for number in range(len(discharged_ah))]
    net = dict.fromkeys([*names, OUTSIDE], 0.0)
    for giver, taker, charge_ah in matched(zip(names, discharged_ah, strict=True)):
        assert charge_ah >= 0.0
        net[giver] += charge_ah
        net[taker] -= charge_ah
    for name, charge_ah in zip(names, discharged_ah, strict=True):
        assert net[name] == pytest.approx(charge_ah, abs=1e-9)
    assert net[OUTSIDE] == pytest.approx(-math.fsum(discharged_ah), abs=1e-9)


def test_lines_of_a_thousand_parties_stay_few() -> None:
    """500 that give and 500 that take are 999 lines at most, not 250,000."""
    parties = [(f"p{number}", 1.0 if number % 2 else -1.001) for number in range(1000)]
    assert len(list(matched(parties))) <= 1001


def test_energy_is_charge_at_the_mean_voltage() -> None:
    """10 Ah while the source falls from 52 to 50 V are 510 Wh; without a voltage there is no energy, and charge all the same."""
    book = Book()
    book.begin(0.0, 52.0)
    book.flow([("p", 10.0)], 3600.0, 50.0)
    (line,) = book.open_lines()
    assert (line.giver, line.taker, line.charge_ah) == ("p", OUTSIDE, 10.0)
    assert line.energy_wh == pytest.approx(510.0)
    unpriced = Book()
    unpriced.begin(0.0, None)
    unpriced.flow([("p", 10.0)], 3600.0, None)
    assert [(line.charge_ah, line.energy_wh) for line in unpriced.open_lines()] == [(10.0, None)]


def test_a_close_ends_an_entry_and_the_next_one_begins_there() -> None:
    """Lines are drained once, with begin and end; what flows afterwards is of the next entry."""
    book = Book()
    book.begin(100.0, 50.0)
    book.flow([("p", 1.0)], 200.0, 50.0)
    book.close(200.0)
    book.moved(DEVIATION, ["p"], [-0.5], 250.0, 50.0)
    book.close(300.0)
    first, second = book.drain()
    assert (first.start_s, first.end_s, first.charge_ah) == (100.0, 200.0, 1.0)
    assert (second.giver, second.taker, second.start_s, second.end_s, second.charge_ah) == ("p", DEVIATION, 200.0, 300.0, 0.5)
    assert book.drain() == book.open_lines() == ()


def test_what_nobody_drains_stays_open() -> None:
    """Books are bounded: when too many lines wait, flows go on in the open entry, and none is lost."""
    book = Book()
    book.begin(0.0, 50.0)
    steps = MOST_CLOSED + 100
    for instant in range(1, steps + 1):
        book.flow([("p", 0.25)], float(instant), 50.0)
        book.close(float(instant))
    waiting = book.drain()
    assert len(waiting) == MOST_CLOSED
    total = sum(Fraction(line.charge_ah) for line in (*waiting, *book.open_lines()))
    assert total == Fraction(steps, 4)
