"""The splitter with the proportional policy (bal.md, "Splitters" and "The meter")."""

import math

import pytest

from bosd.bal.battery import Battery
from bosd.bal.foresight import ends_s
from bosd.bal.spec import PartitionSpec
from bosd.bal.splitter import Splitter
from bosd.bal.status import BatteryStatus, Quality
from tests.support.bal_makers import aggregate, physical, pseudo, run, sample, sampled, split


def statuses(splitter: Splitter, now_s: float = 0.0) -> list[BatteryStatus]:
    """Return the partitions' statuses, top first."""
    return [partition.status(now_s) for partition in splitter.partitions]


def charges(splitter: Splitter, now_s: float = 0.0) -> list[float | None]:
    """Return the partitions' charges, top first."""
    return [status.charge_ah for status in statuses(splitter, now_s)]


@pytest.mark.parametrize(("holds_ah", "parts_ah"), [(90.0, (45, 27, 18)), (110.0, (55, 33, 22)), (100.0, (50, 30, 20))])
def test_the_table(holds_ah: float, parts_ah: tuple[float, ...]) -> None:
    """100 Ah expected, 90 or 110 held, 50/30/20 %: the proportional column."""
    source = pseudo("s", 100.0, 200.0, 100.0)
    splitter = split(source, 0.5, 0.3, 0.2)
    statuses(splitter)
    source.modify({"charge_ah": holds_ah}, 0.0)
    assert charges(splitter) == pytest.approx(parts_ah)
    assert [status.capacity_ah for status in statuses(splitter)] == pytest.approx([100.0, 60.0, 40.0])
    assert [status.expected_ah(0.0) for status in statuses(splitter)] == pytest.approx([50.0, 30.0, 20.0])


def test_a_part_takes_no_more_than_its_capacity() -> None:
    """80 % of 100 Ah charge but 50 % of 120 Ah capacity: 60 Ah, and the other gets the 40 left."""
    parts = (
        PartitionSpec(name="a", fraction=0.5, charge_fraction=0.8),
        PartitionSpec(name="b", fraction=0.5, charge_fraction=0.2),
    )
    splitter = split(pseudo("s", 10.0, 120.0, 100.0), parts=parts)
    assert charges(splitter) == pytest.approx([60.0, 40.0])


def test_dust_is_no_charge() -> None:
    """What rounding finds (200 - 133.3 - 66.7 = 3e-14 Ah) goes to the top, which can use no current for it."""
    parts = (
        PartitionSpec(name="a", fraction=0.0, current_fraction=0.4),
        PartitionSpec(name="b", fraction=2.0 / 3.0, current_fraction=0.3),
        PartitionSpec(name="c", fraction=1.0 / 3.0, current_fraction=0.3),
    )
    source = pseudo("s", 50.0, 200.0, 100.0)
    splitter = split(source, parts=parts, by="tranched")
    statuses(splitter)
    source.modify({"charge_ah": 150.0}, 0.0)
    top = statuses(splitter)[0]
    assert 0.0 < (top.charge_ah or 0.0) < 1e-9
    assert (top.max_discharge_current_a, top.max_charge_current_a, top.reason) == (0.0, 0.0, "empty")


def test_all_expectations_zero() -> None:
    """Made empty, then 30 Ah turn up: the room left decides, 5 : 3 : 2."""
    source = pseudo("s", 100.0, 200.0, 0.0)
    splitter = split(source, 0.5, 0.3, 0.2)
    assert charges(splitter) == [0.0, 0.0, 0.0]
    source.modify({"charge_ah": 30.0}, 0.0)
    assert charges(splitter) == pytest.approx([15.0, 9.0, 6.0])


def test_what_nobody_can_hold_is_the_sources_to_show() -> None:
    """A board says 110 of 100 Ah: the parts hold 100, 10 Ah are unallocated; a battery that is not split has no such key."""
    source = physical("s")
    splitter = split(source, 0.5, 0.5)
    source.sampled(sample(0.0, 110.0))
    assert sum(charge or 0.0 for charge in charges(splitter)) == pytest.approx(100.0)
    assert source.status(0.0).unallocated_ah == pytest.approx(10.0)
    assert sampled("free").status(0.0).unallocated_ah is None


def test_ideal_limits_by_fraction_and_present_ones_among_the_able() -> None:
    """50/30/20 of 100 A ideal; derated to 50 A with the top one empty: 0 / 30 / 20."""
    source = pseudo("s", 100.0, 200.0, 50.0)
    parts = tuple(
        PartitionSpec(name=f"p{i}", fraction=fraction, charge_fraction=charge)
        for i, (fraction, charge) in enumerate(((0.5, 0.0), (0.3, 0.6), (0.2, 0.4)))
    )
    splitter = split(source, parts=parts)
    assert [status.max_discharge_current_a for status in statuses(splitter)] == pytest.approx([0.0, 30.0, 20.0])
    source.modify({"max_discharge_current_a": 50.0}, 0.0)
    assert [status.max_discharge_current_a for status in statuses(splitter)] == pytest.approx([0.0, 30.0, 20.0])
    assert [status.ideal_max_discharge_current_a for status in statuses(splitter)] == pytest.approx([50.0, 30.0, 20.0])
    assert [status.max_charge_current_a for status in statuses(splitter)] == pytest.approx([50.0, 30.0, 20.0])
    assert statuses(splitter)[0].reason == "empty"


def test_a_derated_source_is_shared_in_proportion() -> None:
    """Derated from 100 to 50 A with all able: 25 / 15 / 10."""
    source = pseudo("s", 100.0, 200.0, 100.0)
    splitter = split(source, 0.5, 0.3, 0.2)
    source.modify({"max_discharge_current_a": 50.0}, 0.0)
    assert [status.max_discharge_current_a for status in statuses(splitter)] == pytest.approx([25.0, 15.0, 10.0])


def test_a_stopped_partition_leaves_its_part_to_the_others() -> None:
    """Source derated to 50 A, the top one stopped: 0 / 30 / 20."""
    source = pseudo("s", 100.0, 200.0, 100.0)
    splitter = split(source, 0.5, 0.3, 0.2)
    source.modify({"max_discharge_current_a": 50.0}, 0.0)
    splitter.partitions[0].stopped = True
    source.touch()
    assert [status.max_discharge_current_a for status in statuses(splitter)] == pytest.approx([0.0, 30.0, 20.0])


def test_a_stop_between_two_samples_holds_at_once() -> None:
    """A measured source of 40 A that says nothing new: the stopped half is at 0 A at once, released at 20 A again."""
    splitter = split(sampled("s", 40.0), 0.5, 0.5)
    assert [status.max_discharge_current_a for status in statuses(splitter)] == pytest.approx([20.0, 20.0])
    splitter.partitions[0].latch(stopped=True)
    assert [status.max_discharge_current_a for status in statuses(splitter)] == pytest.approx([0.0, 20.0])
    splitter.partitions[0].latch(stopped=False)
    assert [status.max_discharge_current_a for status in statuses(splitter)] == pytest.approx([20.0, 20.0])


def test_partition_accounting() -> None:
    """P1, 80 Ah full, at 40 A and P2, 120 Ah with 20 Ah, at -50 A: after two hours empty and full, 20 Ah came from outside."""
    parts = (
        PartitionSpec(name="P1", fraction=0.4, charge_fraction=0.8),
        PartitionSpec(name="P2", fraction=0.6, charge_fraction=0.2),
    )
    source = pseudo("s", 100.0, 200.0, 100.0)
    splitter = split(source, parts=parts)
    assert charges(splitter) == pytest.approx([80.0, 20.0])
    run(splitter, 0.0, 40.0, -50.0)
    assert source.status(0.0).current_a == -10.0
    assert [status.current_a for status in statuses(splitter)] == pytest.approx([40.0, -50.0])
    assert charges(splitter, 3600.0) == pytest.approx([40.0, 70.0])
    assert ends_s(splitter.partitions[0], 3600.0) == pytest.approx(7200.0)
    assert charges(splitter, 7200.0) == pytest.approx([0.0, 120.0], abs=1e-9)
    assert [status.reason for status in statuses(splitter, 7200.0)] == ["empty", "full"]
    assert source.status(7200.0).charge_ah == pytest.approx(120.0)


def test_a_transfer_between_parts_moves_charge_although_the_source_stands_still() -> None:
    """40 A from one half to the other of a battery that is at rest: after half an hour 30 and 70 Ah, whoever is read when."""
    splitter = split(pseudo("s", 100.0, 200.0, 100.0), 0.5, 0.5)
    statuses(splitter)
    run(splitter, 0.0, 40.0, -40.0)
    assert splitter.partitions[0].status(900.0).charge_ah == pytest.approx(40.0)
    assert charges(splitter, 1800.0) == pytest.approx([30.0, 70.0])


@pytest.mark.parametrize("reads", [(), (1.0, 2.0, 3.5, 1799.0, 1801.0)])
def test_the_meters_of_the_parts_add_up_whatever_is_read(reads: tuple[float, ...]) -> None:
    """A residual of 6 A on parts at 30 and 10 A is shared 3 : 1; steps in between, reads or none: the same to the last digit."""
    source = physical("s", max_staleness_s=1e5)
    source.sampled(sample(0.0, 80.0, 0.0))
    splitter = split(source, 0.5, 0.5)
    statuses(splitter)
    splitter.step(0.0)
    splitter.partitions[0].applied_a, splitter.partitions[1].applied_a = 30.0, 10.0
    source.settled(40.0, 0.0)
    for at_s in reads:
        statuses(splitter, at_s)
    source.sampled(sample(1800.0, 60.0, 46.0))
    for at_s in reads:
        statuses(splitter, 1800.0 + at_s)
    meters = [status.expected_ah(1800.0) or math.nan for status in statuses(splitter, 1800.0)]
    assert meters == pytest.approx([40.0 - 0.5 * 34.5, 40.0 - 0.5 * 11.5])
    splitter.step(3600.0)
    splitter.partitions[0].applied_a = 0.0
    source.settled(10.0, 3600.0)
    source.sampled(sample(7200.0, 0.0, 14.0))
    meters = [status.expected_ah(7200.0) or math.nan for status in statuses(splitter, 7200.0)]
    assert meters == pytest.approx([40.0 - 0.5 * 34.5 * 2, 40.0 - 0.5 * 11.5 * 2 - 14.0])
    assert sum(meters) == pytest.approx(source.status(7200.0).expected_ah(7200.0))


def test_a_residual_without_set_points_goes_by_capacity() -> None:
    """10 A that nobody asked for, 3 : 2 by capacity; the partitions' currents add up to the hardware's."""
    source = sampled("s")
    splitter = split(source, 0.6, 0.4)
    statuses(splitter)
    source.sampled(sample(1.0, 50.0, 10.0))
    assert [status.current_a for status in statuses(splitter, 1.0)] == pytest.approx([6.0, 4.0])


def test_a_set_point_does_not_change_the_residual_before_the_next_sample() -> None:
    """Sampled at 2 A beyond the asked 0; then 20 A asked of one: it shows 20 A more, the residual stays as it was shared."""
    source = physical("s")
    source.sampled(sample(0.0, 50.0, 2.0))
    splitter = split(source, 0.5, 0.5)
    statuses(splitter)
    splitter.step(1.0)
    splitter.partitions[0].applied_a = 20.0
    source.settled(20.0, 1.0)
    assert [status.current_a for status in statuses(splitter, 1.0)] == pytest.approx([21.0, 1.0])


def test_age_and_quality_are_the_sources() -> None:
    """A stale source makes stale partitions, with its sample times and its name in the reason."""
    splitter = split(sampled("s"), 0.5, 0.5)
    status = statuses(splitter, 5.0)[0]
    assert (status.quality, status.sampled_from_s) == (Quality.STALE, 0.0)
    assert status.reason == "s: no sample in time"


def test_unknown_is_unknown() -> None:
    """A source never sampled: nothing known, nothing to be asked; its ideal limits are configured and shared all the same."""
    splitter = split(physical("s"), 0.5, 0.5)
    status = statuses(splitter)[0]
    assert (status.charge_ah, status.capacity_ah, status.current_a, status.expected_charge_ah) == (None, None, None, None)
    assert (status.max_discharge_current_a, status.ideal_max_discharge_current_a) == (0.0, 20.0)


def test_another_source_begins_the_meters_anew() -> None:
    """Resting on a source of 60 Ah instead of 100: the meters begin at 30 : 30."""
    splitter = split(pseudo("s", 10.0, 100.0), 0.5, 0.5)
    statuses(splitter)
    splitter.rest_on(pseudo("t", 10.0, 100.0, 60.0))
    assert [status.expected_ah(0.0) for status in statuses(splitter)] == pytest.approx([30.0, 30.0])


@pytest.mark.parametrize("limits_a", [(60.0, 40.0), (5.0, 80.0)])
def test_partition_of_aggregate_keeps_the_charge(limits_a: tuple[float, float]) -> None:
    """All parts of an aggregate, aggregated again: charge, capacity and meter of the first aggregate."""
    members: list[Battery] = [pseudo("a", limits_a[0], 110.0, 70.0), pseudo("b", limits_a[1], 40.0, 33.0)]
    lower = aggregate(*members, name="lower")
    splitter = split(lower, 0.5, 0.3, 0.2)
    upper = aggregate(*splitter.partitions, name="upper")
    whole, again = lower.status(0.0), upper.status(0.0)
    assert again.charge_ah == pytest.approx(whole.charge_ah, abs=1e-9)
    assert again.capacity_ah == pytest.approx(whole.capacity_ah, abs=1e-9)
    assert again.expected_ah(0.0) == pytest.approx(whole.expected_ah(0.0), abs=1e-9)
