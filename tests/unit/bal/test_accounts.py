"""Partitions' meters and what hardware does beyond what was asked (bal.md, "Splitters", "The meter").

The causes of the earlier implementation's drifting meters are each a test here, with the naive way beside it that fails.
"""

import pytest

from bosd.bal.ledger import DEVIATION, OUTSIDE, REPLACED, UNATTRIBUTED
from bosd.bal.physical import PhysicalBattery
from bosd.bal.portions import Join
from bosd.bal.recut import follow
from bosd.bal.reset import reset_meter
from bosd.bal.spec import PartitionSpec, SplitterSpec
from bosd.bal.splitter import Splitter
from bosd.errors import UnavailableError, UnsupportedError
from tests.support.bal_makers import aggregate, physical, pseudo, sample, sampled, split

HOUR_S = 3600.0


def run(splitter: Splitter, now_s: float, *currents_a: float) -> None:
    """Put set points on the partitions in force: a step, then their sum on a software source."""
    splitter.step(now_s)
    for partition, current_a in zip(splitter.partitions, currents_a, strict=True):
        partition.applied_a = current_a
        partition.touch()
    if not isinstance(splitter.source, PhysicalBattery):
        splitter.source.apply(sum(currents_a), now_s)  # type: ignore[attr-defined]


def metered(splitter: Splitter, now_s: float) -> list[float]:
    """Return the partitions' meters, top first."""
    return [partition.status(now_s).expected_ah(now_s) or 0.0 for partition in splitter.partitions]


def lines(splitter: Splitter) -> dict[tuple[str, str], float]:
    """Return what flowed from whom to whom so far, in Ah."""
    sums: dict[tuple[str, str], float] = {}
    book = splitter.accounts.book
    for line in (*book.drain(), *book.open_lines()):
        sums[line.giver, line.taker] = sums.get((line.giver, line.taker), 0.0) + line.charge_ah
    return sums


# --- causes of the earlier implementation's known bug


def test_siblings_are_up_to_date_when_meters_are_summed() -> None:
    """Reading one partition after an hour at +40 and -50 A: the sum is the source's, although nobody asked the other."""
    source = pseudo("s", 100.0, 200.0, 100.0)
    splitter = split(source, 0.5, 0.5)
    run(splitter, 0.0, 40.0, -50.0)
    read_ah = splitter.partitions[0].status(HOUR_S).expected_ah(HOUR_S)
    naive_sum_ah = (50.0 - 40.0) + 50.0  # the sibling's meter as it was last touched
    assert read_ah == pytest.approx(10.0)
    assert sum(metered(splitter, HOUR_S)) == pytest.approx(source.status(HOUR_S).expected_ah(HOUR_S), abs=1e-9) == 110.0
    assert naive_sum_ah != pytest.approx(110.0)


def test_a_step_ends_the_interval_of_all_above_and_below() -> None:
    """A nested partition goes from 0 to 30 A after half an hour: every meter up and down saw 0 A before and 30 A after."""
    source = pseudo("s", 100.0, 200.0, 100.0)
    lower = split(source, 0.5, 0.5, name="p")
    upper = split(lower.partitions[0], 0.5, 0.5, name="q")
    run(lower, 0.0, 0.0, 20.0)
    half_s = HOUR_S / 2
    upper.step(half_s)
    lower.step(half_s)
    upper.partitions[0].applied_a = lower.partitions[0].applied_a = 30.0
    source.apply(50.0, half_s)
    naive_sibling_ah = 50.0 - (50.0 - 30.0) * 1.0  # the source's new current over the whole interval, its own step forgotten
    assert metered(upper, HOUR_S) == pytest.approx([25.0 - 15.0, 25.0], abs=1e-9)
    assert metered(lower, HOUR_S) == pytest.approx([50.0 - 15.0, 50.0 - 20.0], abs=1e-9)
    assert source.status(HOUR_S).expected_ah(HOUR_S) == pytest.approx(65.0, abs=1e-9)
    assert naive_sibling_ah == pytest.approx(30.0)
    naive_p1_ah = 50.0 - 30.0 * 1.0
    assert naive_p1_ah != pytest.approx(35.0)


def test_a_partition_that_is_gone_leaves_no_fraction_behind() -> None:
    """50/30/20 % of 100 Ah, the middle one merged into the first: 80 and 20, which are all of it."""
    splitter = split(pseudo("s", 100.0, 200.0, 100.0), 0.5, 0.3, 0.2)
    assert metered(splitter, 0.0) == pytest.approx([50.0, 30.0, 20.0])
    parts = (PartitionSpec(name="sp1", fraction=0.8), PartitionSpec(name="sp3", fraction=0.2))
    spec = SplitterSpec(name="sp", policy="proportional", source="s", partitions=parts)
    before, after = ["sp1", "sp2", "sp3"], ["sp1", "sp3"]
    splitter.recut(spec, lambda each: follow(each, before, [Join("sp2", "sp1")], after), 0.0)
    naive = {"sp1": 0.5, "sp2": 0.3, "sp3": 0.2}
    del naive["sp2"]
    assert sum(naive.values()) != pytest.approx(1.0)
    assert metered(splitter, 0.0) == pytest.approx([80.0, 20.0], abs=1e-9)
    run(splitter, 0.0, 8.0, 0.0)
    assert metered(splitter, HOUR_S) == pytest.approx([72.0, 20.0], abs=1e-9)
    flows = lines(splitter)
    assert flows["sp2", REPLACED] == pytest.approx(flows[REPLACED, "sp1"]) == pytest.approx(30.0)


def test_reads_end_no_interval() -> None:
    """0 A and 40 A sampled an hour apart are 20 Ah, whoever looked in between; ending it at each read gives 0 or nearly 40."""
    batteries = [physical(name, charge_ah) for name, charge_ah in (("read", 50.0), ("unread", 50.0))]
    splitters = [split(battery, 0.5, 0.5) for battery in batteries]
    for battery in batteries:
        battery.unavailable_after_s = 2 * HOUR_S
        battery.sampled(sample(0.0, 50.0, 0.0))
    first = [metered(splitter, 0.0) for splitter in splitters]
    naive_ah = 0.0
    for instant in range(0, 3600, 36):
        metered(splitters[0], float(instant))
        naive_ah += 0.0 * 36 / HOUR_S  # each read ends an interval at the old current
    for battery in batteries:
        battery.sampled(sample(HOUR_S, 30.0, 40.0))
    for begun, splitter in zip(first, splitters, strict=True):
        splitter.sampled(HOUR_S)
        assert sum(begun) - sum(metered(splitter, HOUR_S)) == pytest.approx(20.0, abs=1e-9)
    assert metered(splitters[0], HOUR_S) == metered(splitters[1], HOUR_S)
    assert naive_ah != pytest.approx(20.0)


def test_source_and_partitions_see_the_current_at_the_same_moment() -> None:
    """The pack swings between 10 and 30 A, sampled each second; partitions that look half a second later drift, these do not."""
    battery = physical("s")
    splitter = split(battery, 0.5, 0.5)
    battery.sampled(sample(0.0, 50.0, 10.0))
    begun_ah = sum(metered(splitter, 0.0))
    naive_ah, seen_a = 0.0, 10.0
    for second in range(1, 602):
        current_a = 10.0 if second % 3 else 30.0
        battery.sampled(sample(float(second), 50.0, current_a))
        if second % 2:  # a partition with a meter of its own, looking every other time
            naive_ah += 0.5 * (seen_a + current_a) * 2.0 / HOUR_S
            seen_a = current_a
            splitter.sampled(second + 0.5)
        assert sum(metered(splitter, second + 0.5)) == pytest.approx(
            battery.status(second + 0.5).expected_ah(second + 0.5), abs=1e-9
        )
    meter = battery.meter
    assert meter is not None
    assert begun_ah - sum(metered(splitter, 601.0)) == pytest.approx(50.0 - meter.charge_ah, abs=1e-9)
    assert naive_ah != pytest.approx(50.0 - meter.charge_ah, abs=1e-3)


# --- the residual


def found(battery: PhysicalBattery, splitter: Splitter, at_s: float, charge_ah: float, current_a: float) -> None:
    """Sample the pack and take the sample up."""
    battery.sampled(sample(at_s, charge_ah, current_a))
    splitter.sampled(at_s)


def measured(
    *fractions: float, parts: tuple[PartitionSpec, ...] = (), charge_ah: float = 50.0
) -> tuple[PhysicalBattery, Splitter]:
    """Return a pack of 100 Ah whose samples may lie hours apart, and its splitter."""
    battery = physical("s", 100.0)
    battery.unavailable_after_s = 1e6
    battery.sampled(sample(0.0, charge_ah, 0.0))
    splitter = split(battery, *fractions, parts=parts)
    splitter.sampled(0.0)
    return battery, splitter


def test_a_residual_is_shared_by_the_size_of_set_points() -> None:
    """Asked 20 and -10 A, the pack does 13: 3 A too much are shared 2 : 1; who asked nothing pays nothing."""
    battery, splitter = measured(0.4, 0.4, 0.2)
    run(splitter, 0.0, 20.0, -10.0, 0.0)
    battery.settled(10.0, 0.0)
    half_s = HOUR_S / 2
    found(battery, splitter, half_s, 43.5, 13.0)
    assert [partition.status(half_s).current_a for partition in splitter.partitions] == pytest.approx([22.0, -9.0, 0.0])
    assert metered(splitter, half_s) == pytest.approx([20.0 - 11.0, 20.0 + 4.5, 10.0], abs=1e-9)


def test_without_set_points_a_residual_is_shared_by_capacity() -> None:
    """A pack that draws 2 A by itself for an hour takes 1.2 and 0.8 Ah of 60 % and 40 %."""
    battery, splitter = measured(0.6, 0.4)
    found(battery, splitter, 0.5, 50.0, 2.0)
    begun = metered(splitter, 0.5)
    found(battery, splitter, 0.5 + HOUR_S, 48.0, 2.0)
    assert [before - after for before, after in zip(begun, metered(splitter, 0.5 + HOUR_S), strict=True)] == pytest.approx(
        [1.2, 0.8]
    )


EMPTY_TOP = (
    PartitionSpec(name="top", fraction=0.5, charge_fraction=0.0),
    PartitionSpec(name="low", fraction=0.5, charge_fraction=1.0),
)


def test_an_empty_partition_takes_no_discharge_while_another_can() -> None:
    """Half and half by capacity, the top one empty: the low one pays the 2 A alone; charging goes to both."""
    battery, splitter = measured(parts=EMPTY_TOP, charge_ah=40.0)
    found(battery, splitter, 1.0, 40.0, 2.0)
    assert [partition.status(1.0).current_a for partition in splitter.partitions] == pytest.approx([0.0, 2.0])
    begun = metered(splitter, 1.0)
    found(battery, splitter, 1.0 + HOUR_S, 38.0, 2.0)
    assert metered(splitter, 1.0 + HOUR_S) == pytest.approx([begun[0], begun[1] - 2.0], abs=1e-9)
    found(battery, splitter, 1.5 + HOUR_S, 38.0, -4.0)
    assert [partition.status(1.5 + HOUR_S).current_a for partition in splitter.partitions] == pytest.approx([-2.0, -2.0])


def test_a_full_partition_takes_no_charge_while_another_can() -> None:
    """51 Ah are there, the low one holds its 50 of 50: what the pack charges by itself is the top one's."""
    battery, splitter = measured(parts=EMPTY_TOP, charge_ah=51.0)
    found(battery, splitter, 1.0, 51.0, -4.0)
    assert [partition.status(1.0).current_a for partition in splitter.partitions] == pytest.approx([-4.0, 0.0])


def test_what_nobody_can_take_is_unattributed() -> None:
    """All empty, and the pack gives 2 A for an hour all the same: nobody's meter moves, the account does, the sum holds."""
    battery, splitter = measured(0.5, 0.5, charge_ah=0.0)
    found(battery, splitter, 1.0, 0.0, 2.0)
    begun = [*metered(splitter, 1.0), splitter.accounts.unattributed_ah]
    source_ah = battery.status(1.0).expected_ah(1.0) or 0.0
    found(battery, splitter, 1.0 + HOUR_S, 0.0, 2.0)
    ended = [*metered(splitter, 1.0 + HOUR_S), splitter.accounts.unattributed_ah]
    assert [before - after for before, after in zip(begun, ended, strict=True)] == pytest.approx([0.0, 0.0, 2.0], abs=1e-9)
    assert source_ah - (battery.status(1.0 + HOUR_S).expected_ah(1.0 + HOUR_S) or 0.0) == pytest.approx(2.0, abs=1e-9)
    assert lines(splitter)[UNATTRIBUTED, OUTSIDE] == pytest.approx(2.0, abs=1e-3)


# --- deviations, replacements, resets


def test_a_deviation_is_a_line_of_the_ledger() -> None:
    """100 Ah expected, 90 held, 50/30/20 %: 5, 3 and 2 Ah go to `deviation`; meters stay. Found again, they come back."""
    source = pseudo("s", 100.0, 200.0, 100.0)
    splitter = split(source, 0.5, 0.3, 0.2)
    splitter.sampled(0.0)
    source.modify({"charge_ah": 90.0}, 10.0)
    splitter.sampled(10.0)
    assert lines(splitter) == pytest.approx({("sp1", DEVIATION): 5.0, ("sp2", DEVIATION): 3.0, ("sp3", DEVIATION): 2.0})
    assert metered(splitter, 10.0) == pytest.approx([50.0, 30.0, 20.0])


def test_a_source_that_is_replaced_is_a_line_of_the_ledger() -> None:
    """50 and 50 of 100 Ah; another source of 40 Ah in its place: 30 each are `replaced`."""
    splitter = split(pseudo("s", 100.0, 200.0, 100.0), 0.5, 0.5)
    splitter.sampled(0.0)
    splitter.rest_on(pseudo("s", 100.0, 200.0, 40.0))
    splitter.sampled(1.0)
    assert metered(splitter, 1.0) == pytest.approx([20.0, 20.0])
    assert lines(splitter) == pytest.approx({("sp1", REPLACED): 30.0, ("sp2", REPLACED): 30.0})


def test_a_reset_re_bases_all_above() -> None:
    """An aggregate of two, split and split again; one pack is 10 Ah short: its reset takes 10 of 100 from all, as charges are."""
    packs = [pseudo("a", 50.0, 100.0, 50.0), pseudo("b", 50.0, 100.0, 50.0)]
    lower = split(aggregate(*packs), 0.6, 0.4, name="p")
    upper = split(lower.partitions[0], 0.5, 0.5, name="q")
    for splitter in (lower, upper):
        splitter.sampled(0.0)
    packs[0].modify({"charge_ah": 40.0}, 0.0)
    charges_ah = [partition.status(5.0).charge_ah for partition in (*lower.partitions, *upper.partitions)]
    shift_ah, undo = reset_meter(packs[0], 5.0)
    assert shift_ah == pytest.approx(-10.0)
    assert [*metered(lower, 5.0), *metered(upper, 5.0)] == pytest.approx([54.0, 36.0, 27.0, 27.0], abs=1e-9)
    assert [partition.status(5.0).charge_ah for partition in (*lower.partitions, *upper.partitions)] == pytest.approx(charges_ah)
    undo()
    assert [*metered(lower, 5.0), *metered(upper, 5.0)] == pytest.approx([60.0, 40.0, 30.0, 30.0], abs=1e-9)


def test_a_reset_happens_at_a_leaf_that_is_known() -> None:
    """Of a partition or an aggregate it is refused with the leaves named; before the first sample too."""
    packs = [pseudo("a", 50.0, 100.0), pseudo("b", 50.0, 100.0)]
    whole = aggregate(*packs)
    splitter = split(whole, 0.5, 0.5)
    for battery in (whole, splitter.partitions[0]):
        with pytest.raises(UnsupportedError, match=r"here a, b|here b, a"):
            reset_meter(battery, 0.0)
    with pytest.raises(UnavailableError):
        reset_meter(physical("never"), 0.0)


def test_a_reset_forgets_time_that_nobody_observed() -> None:
    """A pack away for 100 s counts them; its reset starts at 0 s, undone it has them again."""
    battery = sampled("s")
    battery.sampled(sample(100.0, 45.0, 1.0))
    assert battery.status(100.0).unobserved_s == 100.0
    _, undo = reset_meter(battery, 100.0)
    assert battery.status(100.0).unobserved_s == 0.0
    assert battery.status(100.0).expected_ah(100.0) == pytest.approx(45.0)
    undo()
    assert battery.status(100.0).unobserved_s == 100.0


def test_a_reset_below_a_diamond_is_shared_once() -> None:
    """80/20 % of 100 Ah, room for 60 each: re-based they are 60 and 40 Ah, also where two ways lead up to them."""
    leaf = pseudo("s", 10.0, 120.0, 100.0)
    whole = aggregate(*split(leaf, 0.5, 0.5, name="lower").partitions)
    parts = (
        PartitionSpec(name="a", fraction=0.5, charge_fraction=0.8),
        PartitionSpec(name="b", fraction=0.5, charge_fraction=0.2),
    )
    upper = split(whole, parts=parts)
    assert [part.status(0.0).expected_ah(0.0) for part in upper.partitions] == pytest.approx([80.0, 20.0])
    assert reset_meter(leaf, 0.0)[0] == 0.0
    assert [part.status(0.0).expected_ah(0.0) for part in upper.partitions] == pytest.approx([60.0, 40.0])
