"""Split and merge (bal.md, "Split and merge"): fractions are re-based, everybody else keeps charge, meter and limits."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from bosd.bal.directory import Directory
from bosd.bal.edits import Add, EditOperation, Remove, Replace, Whole, apply_edits
from bosd.bal.partition import Partition
from bosd.bal.portions import Merge, Recuts, Split
from bosd.bal.setpoint import SetPoint
from bosd.bal.spec import AggregatorSpec, PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.bal.spec_rules import fraction_of
from bosd.bal.status import BatteryStatus
from bosd.errors import (
    BadNameError,
    BatteryInUseError,
    ClaimedError,
    InvalidArgumentError,
    NameTakenError,
    NoResourcesError,
    UnavailableError,
)
from bosd.policy.registry import policy
from tests.support.bal_makers import jbd_spec, physical, sample

POLICIES = ("proportional", "tranched", "reserved")


def source(**fields: float) -> PseudoSpec:
    """Return 100 of 200 Ah, 100 A out and 80 A in."""
    usual = {"charge_ah": 100.0, "capacity_ah": 200.0, "max_discharge_current_a": 100.0, "max_charge_current_a": 80.0}
    values: dict[str, Any] = {**usual, **fields}
    return PseudoSpec(name="s", voltage_v=48.0, **values)


def three(kind: str, *fractions: float, of: str = "s", name: str = "sp") -> SplitterSpec:
    """Return a splitter into p1, p2, ... of these fractions."""
    parts = tuple(PartitionSpec(name=f"{name[1:]}{i}", fraction=each) for i, each in enumerate(fractions, 1))
    return SplitterSpec(name=name, policy=kind, source=of, partitions=parts)


def house(kind: str = "proportional", *fractions: float, **fields: float) -> Directory:
    """Return a source that is split 50/30/20 unless told otherwise."""
    directory = Directory(lambda spec: physical(spec.name), policy)
    splitter = three(kind, *(fractions or (0.5, 0.3, 0.2)))
    directory.change(Topology(batteries=(source(**fields),), splitters=(splitter,)), 0.0)
    read(directory)
    return directory


def edit(directory: Directory, *edits: EditOperation, now_s: float = 0.0) -> None:
    """Apply a transaction."""
    recuts = Recuts(lambda splitter: directory.portions(splitter, now_s))
    topology = apply_edits(directory.topology, edits, recuts=recuts)
    directory.change(topology, now_s, recuts.steps())


def read(directory: Directory, now_s: float = 0.0) -> dict[str, BatteryStatus]:
    """Return all statuses by name."""
    return {battery.name: battery.status(now_s) for battery in directory}


def has(status: BatteryStatus) -> tuple[float | None, ...]:
    """Return what a split must leave to the others."""
    return (
        status.charge_ah,
        status.capacity_ah,
        status.expected_ah(0.0),
        status.max_discharge_current_a,
        status.max_charge_current_a,
        status.ideal_max_discharge_current_a,
        status.ideal_max_charge_current_a,
    )


def fractions(directory: Directory, kind: str = "capacity") -> list[float]:
    """Return the fractions of one kind as the topology has them."""
    return [fraction_of(part, kind) or 0.0 for part in directory.topology.splitters[0].partitions]  # type: ignore[arg-type]


def modify(directory: Directory, now_s: float = 0.0, **values: float) -> None:
    """Have the source report something else."""
    directory["s"].modify(values, now_s)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("holds_ah", [90.0, 100.0, 110.0])
def test_the_others_keep_what_they_have(kind: str, holds_ah: float) -> None:
    """Half of the middle one is split off while the source holds 10 Ah less, as much, or more than it is metered to."""
    directory = house(kind)
    modify(directory, charge_ah=holds_ah)
    before = read(directory)
    edit(directory, Split(splitter="sp", name="new", donor="p2", fraction=0.15))
    after = read(directory)
    for name in ("p1", "p3"):
        assert has(after[name]) == pytest.approx(has(before[name]), rel=1e-12)
    new, donor, old = has(after["new"]), has(after["p2"]), has(before["p2"])
    assert [mine + left for mine, left in zip(new, donor, strict=True)] == pytest.approx(old)  # type: ignore[operator]
    assert (after["new"].capacity_ah, after["new"].ideal_max_discharge_current_a) == pytest.approx((30.0, 15.0))
    assert after["new"].expected_ah(0.0) == pytest.approx(
        30.0 * (after["new"].charge_ah or 0.0) / (before["p2"].charge_ah or 1.0)
    )
    assert sum(fractions(directory)) == pytest.approx(1.0, abs=1e-9)
    assert sum(fractions(directory, "charge")) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("kind", POLICIES)
def test_back_where_it_was(kind: str) -> None:
    """Split off and merged back: charge, meter, limits and fractions are those of before."""
    directory = house(kind)
    modify(directory, charge_ah=93.0)
    before = read(directory)
    edit(directory, Split(splitter="sp", name="new", donor="p2", capacity_ah=24.0, charge_ah=5.0, above="p1"))
    assert [part.name for part in directory.topology.splitters[0].partitions] == ["new", "p1", "p2", "p3"]
    edit(directory, Merge(name="new", into="p2"))
    after = read(directory)
    assert list(after) == list(before)
    for name in before:
        assert has(after[name]) == pytest.approx(has(before[name]), rel=1e-12)
    assert fractions(directory) == pytest.approx([0.5, 0.3, 0.2], abs=1e-12)


def test_what_comes_later_is_shared_as_the_policy_says() -> None:
    """Tranched, 100 held as expected, 10 % split off the top: a deficit of 15 takes the new bottom's 10, then 5 above it."""
    directory = house("tranched")
    edit(directory, Split(splitter="sp", name="new", donor="p1", fraction=0.1))
    modify(directory, charge_ah=85.0)
    assert [read(directory)[name].charge_ah for name in ("p1", "p2", "p3", "new")] == pytest.approx([40, 30, 15, 0])


def test_a_surplus_after_a_split_during_a_deficit() -> None:
    """Tranched at 90: 50/30/10; the bottom is split in halves of 5; back at 100 the surplus of 10 goes to the top: 60."""
    directory = house("tranched")
    modify(directory, charge_ah=90.0)
    edit(directory, Split(splitter="sp", name="new", donor="p3", fraction=0.1))
    assert [read(directory)[name].charge_ah for name in ("p3", "new")] == pytest.approx([5, 5])
    modify(directory, charge_ah=100.0)
    assert [read(directory)[name].charge_ah for name in ("p1", "p2", "p3", "new")] == pytest.approx([60, 30, 5, 5])


def test_amounts_and_what_follows_the_capacity() -> None:
    """Of 50 of 100 Ah, 50 A out and 40 A in: 40 Ah capacity, 30 Ah charge, 10 A out; charging follows, 40 % of 40 A."""
    directory = house()
    asked = Split(splitter="sp", name="new", donor="p1", capacity_ah=40.0, charge_ah=30.0, max_discharge_current_a=10.0)
    edit(directory, asked)
    after = read(directory)
    new, donor = after["new"], after["p1"]
    assert (new.charge_ah, new.capacity_ah) == pytest.approx((30, 40))
    assert (new.ideal_max_discharge_current_a, new.ideal_max_charge_current_a) == pytest.approx((10, 16))
    assert (donor.charge_ah, donor.capacity_ah) == pytest.approx((20, 60))
    assert (donor.ideal_max_discharge_current_a, donor.ideal_max_charge_current_a) == pytest.approx((40, 24))
    spec = directory.topology.splitters[0].partitions[-1]
    parts = (spec.fraction, spec.charge_fraction, spec.current_fraction, spec.charge_current_fraction)
    assert parts == pytest.approx((0.2, 0.3, 0.1, 0.2))


def test_unchanged_partitions_are_the_same_objects() -> None:
    """A set point and a listener of another partition stay; the donor is the same object, smaller."""
    directory = house()
    others = [directory["p1"], directory["p2"], directory["p3"]]
    directory["p1"].setpoint = SetPoint(current_a=5.0, ends_s=60.0, holder="ann", request_id="")
    directory["p1"].applied_a = 5.0
    edit(directory, Split(splitter="sp", name="new", donor="p2", fraction=0.1, above="p1"))
    assert [directory["p1"], directory["p2"], directory["p3"]] == others
    assert directory["p1"].setpoint is not None
    assert directory["p1"].applied_a == 5.0
    assert [part.index for part in others if isinstance(part, Partition)] == [1, 2, 3]
    assert directory.topology.splitters[0].partitions[1] == PartitionSpec(name="p1", fraction=0.5)


def test_meters_go_on_from_where_they_stood() -> None:
    """p1 gave 20 A for an hour; p3 is split, half of its 20 Ah; p1 goes on and the sum stays the source's."""
    directory = house()
    splitter = directory.splitters["sp"]
    splitter.step(0.0)
    directory["p1"].applied_a = 20.0
    directory["s"].apply(20.0, 0.0)  # type: ignore[attr-defined]
    edit(directory, Split(splitter="sp", name="new", donor="p3", fraction=0.1), now_s=3600.0)
    metered = {name: status.expected_ah(7200.0) for name, status in read(directory, 7200.0).items()}
    assert [metered[name] for name in ("p1", "p2", "p3", "new", "s")] == pytest.approx([10, 30, 10, 10, 60])


def test_under_a_nested_source() -> None:
    """A partition is a source itself: it is split again, and a part of that is split and merged."""
    directory = house()
    edit(directory, Add(Topology(splitters=(three("tranched", 1.0, of="p1", name="sq"),))))
    edit(directory, Split(splitter="sq", name="guest", donor="q1", capacity_ah=20.0))
    statuses = read(directory)
    assert [statuses[name].charge_ah for name in ("q1", "guest", "p2")] == pytest.approx([40, 10, 30])
    modify(directory, charge_ah=90.0)
    assert [read(directory)[name].charge_ah for name in ("q1", "guest", "p1")] == pytest.approx([40, 5, 45])
    edit(directory, Merge(name="guest", into="q1"))
    assert read(directory)["q1"].charge_ah == pytest.approx(45)
    with pytest.raises(BatteryInUseError, match=r"p1.*sq"):
        edit(directory, Split(splitter="sp", name="x", donor="p1", fraction=0.1))


def test_several_in_one_transaction() -> None:
    """Split twice from the same donor, the second from what the first left, and merge one of them: one edit."""
    directory = house()
    edit(
        directory,
        Split(splitter="sp", name="a", donor="p1", fraction=0.3),
        Split(splitter="sp", name="b", donor="p1", fraction=0.2),
        Merge(name="a", into="p3"),
    )
    statuses = read(directory)
    assert [statuses[name].charge_ah for name in ("p1", "p2", "p3", "b")] == pytest.approx([0, 30, 50, 20])
    with pytest.raises(NoResourcesError):
        edit(
            directory,
            Split(splitter="sp", name="c", donor="p3", fraction=0.3),
            Split(splitter="sp", name="d", donor="p3", fraction=0.3),
        )
    assert read(directory) == statuses


def test_a_new_partition_is_used_in_the_same_transaction() -> None:
    """Split off and made the source of another splitter in one edit."""
    directory = house()
    edit(
        directory,
        Split(splitter="sp", name="new", donor="p1", fraction=0.2),
        Add(Topology(splitters=(three("reserved", 1.0, of="new", name="sq"),))),
    )
    assert read(directory)["q1"].charge_ah == pytest.approx(20)
    with pytest.raises(NameTakenError):
        edit(
            directory,
            Split(splitter="sp", name="twice", donor="p2", fraction=0.1),
            Split(splitter="sp", name="twice", donor="p2", fraction=0.1),
        )


def test_a_source_that_is_empty() -> None:
    """Nothing to share out, but capacity and limits: the new one begins empty and takes its part of what comes."""
    directory = house("proportional", 1.0, charge_ah=0.0)
    edit(directory, Split(splitter="sp", name="new", donor="p1", fraction=0.25))
    modify(directory, charge_ah=40.0)
    assert [read(directory)[name].charge_ah for name in ("p1", "new")] == pytest.approx([30, 10])


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        (Split(splitter="sp", name="n", donor="p3", capacity_ah=50.0), NoResourcesError, "capacity_ah 40; 50 is asked"),
        (Split(splitter="sp", name="n", donor="p3", fraction=0.3), NoResourcesError, "0.2; 0.3 is asked"),
        (
            Split(splitter="sp", name="n", donor="p3", capacity_ah=10.0, max_charge_current_a=17.0),
            NoResourcesError,
            "max_charge_current_a 16; 17 is asked",
        ),
        (Split(splitter="sp", name="n", donor="p3", capacity_ah=30.0, charge_ah=21.0), NoResourcesError, "charge_ah 20"),
        (Split(splitter="sp", name="n", donor="p3", capacity_ah=10.0, charge_ah=12.0), InvalidArgumentError, '"n" would hold 12'),
        (Split(splitter="sp", name="n", donor="p3", capacity_ah=30.0, charge_ah=0.0), InvalidArgumentError, '"p3" would hold 20'),
        (Split(splitter="sp", name="n", donor="p3", charge_ah=1.0), InvalidArgumentError, "say how much"),
        (Split(splitter="sp", name="n", donor="p3", capacity_ah=-1.0), InvalidArgumentError, "0 or above"),
        (Split(splitter="sp", name="n", donor="p3", fraction=math.nan), InvalidArgumentError, "0 or above"),
        (Split(splitter="sp", name="-n", donor="p3", fraction=0.1), InvalidArgumentError, "is no name"),
        (Split(splitter="sp", name="p1", donor="p3", fraction=0.1), NameTakenError, '"p1" is taken'),
        (Split(splitter="sp", name="s", donor="p3", fraction=0.1), NameTakenError, '"s" is taken'),
        (Split(splitter="s", name="n", donor="p3", fraction=0.1), BadNameError, "there are: sp"),
        (Split(splitter="sp", name="n", donor="p9", fraction=0.1), BadNameError, "it has p1, p2, p3"),
        (Split(splitter="sp", name="n", donor="p3", fraction=0.1, above="p9"), BadNameError, "to stand above"),
        (Merge(name="p9", into="p1"), BadNameError, 'no partition "p9"'),
        (Merge(name="p1", into="p9"), BadNameError, 'no partition "p9"'),
        (Merge(name="p1", into="p1"), InvalidArgumentError, "into itself"),
    ],
)
def test_refusals_change_nothing(asked: Split | Merge, error: type[Exception], says: str) -> None:
    """50/30/20 of 200 Ah holding 100, 100 A out and 80 A in: what p3 does not have, what does not fit, what is not there."""
    directory = house()
    before = read(directory)
    with pytest.raises(error, match=says):
        edit(directory, asked)
    assert read(directory) == before


@pytest.mark.parametrize("asked", [Split(splitter="sp", name="n", donor="p2", fraction=0.1), Merge(name="p2", into="p1")])
def test_not_while_it_carries_something(asked: Split | Merge) -> None:
    """A set point of 5 A, or a safe current that it runs, is in the way; 0 A is not."""
    directory = house()
    directory["p2"].setpoint = SetPoint(current_a=5.0, ends_s=30.0, holder="ann@desk", request_id="")
    with pytest.raises(ClaimedError, match="5 A for another 30 s, held by ann@desk") as caught:
        edit(directory, asked)
    assert caught.value.metadata["holder"] == "ann@desk"
    directory["p2"].setpoint, directory["p2"].applied_a = None, -3.0
    with pytest.raises(ClaimedError, match="runs -3 A"):
        edit(directory, asked)
    directory["p2"].applied_a = 0.0
    directory["p2"].setpoint = SetPoint(current_a=0.0, ends_s=30.0, holder="ann@desk", request_id="")
    edit(directory, asked)


def test_not_while_something_is_away() -> None:
    """One of two packs is not there: a split would take its half away for good."""
    whole = AggregatorSpec(name="ab", sources=("a", "b"), voltage_v=48.0, voltage_tolerance_v=4.0)
    directory = Directory(lambda spec: physical(spec.name), policy)
    topology = Topology(batteries=(jbd_spec("a"), jbd_spec("b"), whole), splitters=(three("tranched", 1.0, of="ab"),))
    directory.change(topology, 0.0)
    directory["a"].sampled(sample(0.0))  # type: ignore[attr-defined]
    asked = Split(splitter="sp", name="n", donor="p1", fraction=0.5)
    with pytest.raises(UnavailableError, match="without b"):
        edit(directory, asked)
    directory["b"].sampled(sample(0.0))  # type: ignore[attr-defined]
    edit(directory, asked)
    assert read(directory)["n"].charge_ah == pytest.approx(50)


@pytest.mark.parametrize(
    "edits",
    [
        [Replace("sp", Topology(splitters=(three("tranched", 1.0),)))],
        [Whole(Topology(batteries=(source(),), splitters=(three("tranched", 1.0),)))],
        [Remove("sp"), Add(Topology(splitters=(three("tranched", 1.0),)))],
    ],
)
def test_a_splitter_that_is_written_anew(edits: Sequence[EditOperation]) -> None:
    """What its partitions will have is not known in the same edit: that is refused, before as after is a split for nothing."""
    directory = house()
    asked = Split(splitter="sp", name="n", donor="p1", fraction=0.1)
    with pytest.raises(InvalidArgumentError, match="written anew"):
        edit(directory, *edits, asked)
    edit(directory, asked, *edits)
    assert [part.name for part in directory.topology.splitters[0].partitions] == ["p1"]
    assert read(directory)["p1"].charge_ah == pytest.approx(100)
