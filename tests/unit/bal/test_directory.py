"""The directory under edits: what does not change stays the same object."""

import pytest

from bosd.bal.directory import Directory
from bosd.bal.setpoint import SetPoint
from bosd.bal.spec import AggregatorSpec, NullSpec, PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.errors import BadNameError
from bosd.policy.registry import policy
from tests.support.bal_makers import jbd_spec, physical


def leaf(name: str, charge_ah: float = 50.0) -> PseudoSpec:
    """Return a pseudo battery of 100 Ah."""
    return PseudoSpec(
        name=name,
        voltage_v=48.0,
        charge_ah=charge_ah,
        capacity_ah=100.0,
        max_discharge_current_a=40.0,
        max_charge_current_a=40.0,
    )


def whole(name: str, *sources: str) -> AggregatorSpec:
    """Return an aggregate around 48 V."""
    return AggregatorSpec(name=name, sources=sources, voltage_v=48.0, voltage_tolerance_v=4.0)


def halves(name: str, source: str) -> SplitterSpec:
    """Return a splitter into two halves called after it."""
    parts = tuple(PartitionSpec(name=f"{name}{i}", fraction=0.5) for i in (1, 2))
    return SplitterSpec(name=name, policy="proportional", source=source, partitions=parts)


BASE = Topology(batteries=(leaf("a"), leaf("b"), whole("ab", "a", "b"), leaf("c")), splitters=(halves("sp", "ab"),))


def directory(topology: Topology = BASE) -> Directory:
    """Return a directory holding `topology`."""
    made = Directory(lambda spec: physical(spec.name), policy)
    made.change(topology, 0.0)
    return made


def replaced(topology: Topology, *specs: PseudoSpec | NullSpec | AggregatorSpec) -> Topology:
    """Return the topology with these specifications in the place of those of the same name."""
    by_name = {spec.name: spec for spec in specs}
    return Topology(batteries=tuple(by_name.get(each.name, each) for each in topology.batteries), splitters=topology.splitters)


def test_built_in_written_order() -> None:
    """Batteries as written, then partitions; each knows its user and stands above its sources."""
    made = directory()
    assert [battery.name for battery in made] == ["a", "b", "ab", "c", "sp1", "sp2"]
    assert made.users_of(made["a"]) == ("ab",)
    assert made.users_of(made["ab"]) == ("sp",)
    assert [made[name].rank for name in ("a", "ab", "sp1")] == [0, 1, 2]
    with pytest.raises(BadNameError, match="is a splitter"):
        made["sp"]


def test_unchanged_batteries_stay_the_same_objects() -> None:
    """An added battery replaces nothing."""
    made = directory()
    before = dict(made.batteries)
    change = made.change(Topology(batteries=(*BASE.batteries, leaf("d")), splitters=BASE.splitters), 1.0)
    assert [battery.name for battery in change.added] == ["d"]
    assert change.removed == ()
    assert all(made[name] is battery for name, battery in before.items())


def test_a_replaced_source_relinks_what_rests_on_it() -> None:
    """A becomes a null battery: ab, sp1 and sp2 stay the same objects and hold b's 50 Ah."""
    made = directory()
    made["sp1"].status(0.0)
    before = dict(made.batteries)
    change = made.change(replaced(BASE, NullSpec(name="a", voltage_v=48.0)), 1.0)
    assert [battery.name for battery in change.removed] == ["a"]
    assert made["ab"] is before["ab"]
    assert made["sp1"] is before["sp1"]
    assert made["ab"].sources[0] is made["a"] is not before["a"]
    assert made["ab"].status(1.0).charge_ah == 50.0
    assert made["sp1"].status(1.0).charge_ah == pytest.approx(25.0)
    assert made["sp1"].status(1.0).expected_ah(1.0) == pytest.approx(25.0)


def test_removal_frees_the_sources() -> None:
    """Without ab and sp, a and b are free again, held back by nothing."""
    made = directory()
    freed = made["a"]
    freed.target_a, freed.held_out = 5.0, True
    made.change(Topology(batteries=(leaf("a"), leaf("b"), leaf("c"))), 1.0)
    assert made["a"] is freed
    assert [made["a"].user, made["a"].target_a, made["a"].held_out] == [None, None, False]
    assert {battery.name for battery in made} == {"a", "b", "c"}


def test_a_battery_that_comes_into_use_loses_its_set_point() -> None:
    """C follows 5 A and becomes a member: its own request is over, what it runs is its user's to bring down."""
    made = directory()
    taken = made["c"]
    taken.setpoint = SetPoint(current_a=5.0, ends_s=60.0, holder="h")
    made.change(Topology(batteries=(*BASE.batteries, whole("top", "c")), splitters=BASE.splitters), 1.0)
    assert made["c"].setpoint is None
    assert made["c"].status(1.0).setpoint_source is None


def test_stop_and_set_point_pass_to_the_new_object() -> None:
    """C with another charge is a new battery, stopped like the old and with its set point."""
    made = directory()
    setpoint = SetPoint(current_a=5.0, ends_s=60.0, holder="h")
    made["c"].stopped, made["c"].setpoint = True, setpoint
    made.change(replaced(BASE, leaf("c", 80.0)), 1.0)
    assert (made["c"].stopped, made["c"].setpoint, made["c"].status(1.0).charge_ah) == (True, setpoint, 80.0)


def test_a_member_moves_to_another_aggregate() -> None:
    """B leaves ab for cb: a clean member there, and no longer one here."""
    made = directory()
    made["b"].held_out = True
    after = Topology(
        batteries=(leaf("a"), leaf("b"), whole("ab", "a"), leaf("c"), whole("cb", "c", "b")), splitters=BASE.splitters
    )
    b = made["b"]
    made.change(after, 1.0)
    assert made["b"] is b
    assert (b.held_out, made.users_of(b)) == (False, ("cb",))
    assert (made["ab"].status(1.0).charge_ah, made["cb"].status(1.0).charge_ah) == (50.0, 100.0)


def test_components_and_tops() -> None:
    """What shares a leaf belongs together: sp1 and sp2 are the free ones over a and b, c stands alone."""
    made = directory()
    assert [top.name for top in made.tops_with(made["a"])] == ["sp1", "sp2"]
    assert [top.name for top in made.tops_with(made["c"])] == ["c"]
    assert made["a"].component == made["sp2"].component != made["c"].component


def test_other_kinds_come_from_the_factory() -> None:
    """A JBD specification is made by the node, not by the core."""
    made = directory(Topology(batteries=(jbd_spec("j"),)))
    assert made["j"].kind == "jbd"
