"""A source that grows, shrinks, becomes unavailable, or comes back different (bal.md, "Splitters")."""

from dataclasses import replace
from typing import Any

import pytest

from bosd.bal.directory import Directory
from bosd.bal.spec import AggregatorSpec, NullSpec, PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.bal.status import Quality
from bosd.policy.registry import policy
from tests.support.bal_makers import jbd_spec, physical, sample

PARTS = tuple(PartitionSpec(name=name, fraction=part) for name, part in (("top", 0.5), ("middle", 0.3), ("bottom", 0.2)))


def leaf(name: str, **fields: Any) -> PseudoSpec:
    """Return 50 of 100 Ah, 100 A both ways."""
    usual: dict[str, Any] = {"voltage_v": 48.0, "charge_ah": 50.0, "capacity_ah": 100.0}
    return PseudoSpec(name=name, max_discharge_current_a=100.0, max_charge_current_a=100.0, **{**usual, **fields})


def whole(*sources: str) -> AggregatorSpec:
    """Return `bank`, an aggregate around 48 V."""
    return AggregatorSpec(name="bank", sources=sources, voltage_v=48.0, voltage_tolerance_v=4.0)


def over(source: str, kind: str) -> SplitterSpec:
    """Return a splitter of 50, 30 and 20 %."""
    return SplitterSpec(name="sp", policy=kind, source=source, partitions=PARTS)


def made(topology: Topology) -> Directory:
    """Return a directory whose partitions have been read once."""
    directory = Directory(lambda spec: physical(spec.name), policy)
    directory.change(topology, 0.0)
    charges(directory)
    return directory


def charges(directory: Directory, now_s: float = 0.0) -> list[float | None]:
    """Return the partitions' charges, top first."""
    return [directory[part.name].status(now_s).charge_ah for part in PARTS]


def capacities(directory: Directory, now_s: float = 0.0) -> list[float | None]:
    """Return the partitions' capacities, top first."""
    return [directory[part.name].status(now_s).capacity_ah for part in PARTS]


@pytest.mark.parametrize(
    ("kind", "less_ah", "more_ah"),
    [
        ("proportional", (40, 24, 16), (60, 36, 24)),
        ("tranched", (50, 30, 0), (70, 30, 20)),
        ("reserved", (50, 30, 0), (50, 30, 40)),
    ],
)
def test_capacity_follows_the_same_rule(kind: str, less_ah: tuple[float, ...], more_ah: tuple[float, ...]) -> None:
    """100 Ah expected, 80 there: 20 are taken from the bottom or from all; 120 there: 20 go where the policy says."""
    directory = made(Topology(batteries=(leaf("s"),), splitters=(over("s", kind),)))
    for capacity_ah, expected in ((80.0, less_ah), (120.0, more_ah), (100.0, (50, 30, 20))):
        directory["s"].modify({"capacity_ah": capacity_ah}, 0.0)  # type: ignore[attr-defined]
        assert capacities(directory) == pytest.approx(list(expected))
        assert sum(each or 0.0 for each in charges(directory)) == pytest.approx(50.0)


def test_charge_that_no_longer_fits_cascades() -> None:
    """Full, 100 of 100 Ah as 50/30/20; 90 of 90 left: tranched, the bottom has 10 of 10 Ah, nobody more than fits."""
    directory = made(Topology(batteries=(leaf("s", charge_ah=100.0),), splitters=(over("s", "tranched"),)))
    directory["s"].modify({"capacity_ah": 90.0, "charge_ah": 90.0}, 0.0)  # type: ignore[attr-defined]
    assert capacities(directory) == pytest.approx([50, 30, 10])
    assert charges(directory) == pytest.approx([50, 30, 10])


def test_a_bottom_that_lost_its_room_passes_charge_upward() -> None:
    """50 of 100 Ah as 25/15/10; 80 Ah left, the bottom has no room: its 10 go up, reserved to the middle, tranched to the top."""
    for kind, expected in (("reserved", (25, 25, 0)), ("tranched", (35, 15, 0))):
        directory = made(Topology(batteries=(leaf("s"),), splitters=(over("s", kind),)))
        directory["s"].modify({"capacity_ah": 80.0}, 0.0)  # type: ignore[attr-defined]
        assert charges(directory) == pytest.approx(list(expected))


@pytest.mark.parametrize(
    ("kind", "grown_ah"), [("proportional", (100, 60, 40)), ("tranched", (150, 30, 20)), ("reserved", (50, 30, 120))]
)
def test_a_member_is_added_below(kind: str, grown_ah: tuple[float, ...]) -> None:
    """The aggregate below grows from 100 to 200 Ah: what was not expected goes where the policy says, and back on removal."""
    small = Topology(batteries=(leaf("a"), leaf("b"), whole("a")), splitters=(over("bank", kind),))
    directory = made(small)
    large = replace(small, batteries=(leaf("a"), leaf("b"), whole("a", "b")))
    directory.change(large, 0.0)
    assert capacities(directory) == pytest.approx(list(grown_ah))
    assert sum(each or 0.0 for each in charges(directory)) == pytest.approx(100.0)
    directory.change(small, 0.0)
    assert capacities(directory) == pytest.approx([50, 30, 20])


def packs() -> Directory:
    """Return two packs of 100 Ah, 50 Ah each, as one that is split; both sampled at 0 s."""
    directory = Directory(lambda spec: physical(spec.name), policy)
    directory.change(
        Topology(batteries=(jbd_spec("a"), jbd_spec("b"), whole("a", "b")), splitters=(over("bank", "tranched"),)), 0.0
    )
    return directory


def test_members_that_come_one_after_the_other() -> None:
    """At the start one pack answers first: what is expected waits for both, so the second is no windfall for the top."""
    directory = packs()
    directory["a"].sampled(sample(0.0))  # type: ignore[attr-defined]
    assert capacities(directory) == pytest.approx([50, 30, 20])
    directory["b"].sampled(sample(0.1))  # type: ignore[attr-defined]
    assert capacities(directory, 0.1) == pytest.approx([100, 60, 40])
    assert charges(directory, 0.1) == pytest.approx([50, 30, 20])


def test_a_member_is_lost_and_comes_back() -> None:
    """100 of 200 Ah as 50/30/20; one pack is gone after 9 s: the top keeps what fits, and all is as before once it is back."""
    directory = packs()
    for name in ("a", "b"):
        directory[name].sampled(sample(0.0))  # type: ignore[attr-defined]
    assert charges(directory) == pytest.approx([50, 30, 20])
    directory["a"].sampled(sample(10.0))  # type: ignore[attr-defined]
    directory["b"].touch_if_older(10.0)
    assert directory["b"].status(10.0).quality is Quality.UNAVAILABLE
    assert capacities(directory, 10.0) == pytest.approx([100, 0, 0])
    assert charges(directory, 10.0) == pytest.approx([50, 0, 0])
    assert directory["bottom"].status(10.0).max_discharge_current_a == 0.0
    directory["b"].sampled(sample(11.0))  # type: ignore[attr-defined]
    assert capacities(directory, 11.0) == pytest.approx([100, 60, 40])
    assert charges(directory, 11.0) == pytest.approx([50, 30, 20])


def test_it_comes_back_different() -> None:
    """Away, then back with 80 of 160 Ah where 100 of 200 were expected: the bottom bears both deficits."""
    directory = packs()
    for name in ("a", "b"):
        directory[name].sampled(sample(0.0))  # type: ignore[attr-defined]
    charges(directory)
    directory["a"].sampled(sample(10.0))  # type: ignore[attr-defined]
    directory["b"].touch_if_older(10.0)
    charges(directory, 10.0)
    directory["b"].sampled(sample(12.0, 30.0, capacity_ah=60.0))  # type: ignore[attr-defined]
    assert capacities(directory, 12.0) == pytest.approx([100, 60, 0])
    assert charges(directory, 12.0) == pytest.approx([50, 30, 0])


def test_absent_on_purpose_and_back() -> None:
    """A source replaced by a null battery: nothing there, nothing to be asked; replaced again, capacity is expected as before."""
    topology = Topology(batteries=(leaf("s"),), splitters=(over("s", "tranched"),))
    directory = made(topology)
    directory.change(replace(topology, batteries=(NullSpec(name="s", voltage_v=48.0),)), 0.0)
    assert capacities(directory) == charges(directory) == [0.0, 0.0, 0.0]
    assert directory["top"].status(0.0).max_discharge_current_a == 0.0
    assert "absent on purpose" in directory["s"].status(0.0).reason
    directory.change(topology, 0.0)
    assert capacities(directory) == pytest.approx([50, 30, 20])
    directory["s"].modify({"capacity_ah": 120.0}, 0.0)  # type: ignore[attr-defined]
    assert capacities(directory) == pytest.approx([70, 30, 20])
