"""What an edit ends or begins anew, in words."""

from dataclasses import replace

from bosd.bal.cap import Cap
from bosd.bal.consequences import MOST, consequences
from bosd.bal.directory import Directory
from bosd.bal.edited import Edited
from bosd.bal.setpoint import SetPoint
from bosd.bal.spec import AggregatorSpec, BatterySpec, NullSpec, PartitionSpec, SplitterSpec, Topology
from bosd.policy.registry import policy
from tests.support.bal_makers import jbd_spec, physical, sample

WHOLE = AggregatorSpec(name="bank", sources=("a", "b"), voltage_v=48.0, voltage_tolerance_v=4.0)
PARTS = tuple(PartitionSpec(name=name, fraction=0.5) for name in ("p", "q"))
SPLIT = SplitterSpec(name="sp", policy="tranched", source="bank", partitions=PARTS)
BASE = Topology(batteries=(jbd_spec("a"), jbd_spec("b"), jbd_spec("c"), WHOLE), splitters=(SPLIT,))
NULL = NullSpec(name="a", voltage_v=48.0)


def house() -> Directory:
    """Return two packs as one that is split, and a third by itself; all sampled, p running 8 A of which a has 5."""
    directory = Directory(lambda spec: physical(spec.name), policy)
    directory.change(BASE, 0.0)
    for name in ("a", "b", "c"):
        directory[name].sampled(sample(0.0))  # type: ignore[attr-defined]
    directory["p"].setpoint = SetPoint(current_a=8.0, ends_s=60.0, holder="ann", request_id="")
    directory["a"].settled(5.0, 0.0)  # type: ignore[attr-defined]
    return directory


def told(directory: Directory, topology: Topology, *recut: str) -> tuple[str, ...]:
    """Return what is said about an edit."""
    return consequences(Edited(directory, topology), recut)


def test_nothing_to_say() -> None:
    """The same topology, or one with a battery more, concerns nobody."""
    directory = house()
    assert told(directory, BASE) == ()
    assert told(directory, replace(BASE, batteries=(*BASE.batteries, jbd_spec("d")))) == ()


def test_a_member_that_carries_something_is_replaced() -> None:
    """It is brought to 0 A, its meter begins anew and so do the partitions' above; the set point on p stays and is not named."""
    directory = house()
    after = replace(BASE, batteries=(NULL, *BASE.batteries[1:]))
    assert told(directory, after) == (
        "a carries 5 A: it is brought to 0 A first",
        "the switches of a stay open, nothing flows through it: only its maker's app closes them then",
        "a begins its meter anew",
        "the meters of p, q begin anew at their fractions of what is below sp then",
    )
    assert [leaf.name for leaf in Edited(directory, after).leaving] == ["a"]
    assert Edited(directory, BASE).leaving == ()


def test_a_gate_that_is_taken_away_leaves_its_switches() -> None:
    """A pack that goes dark for good is worth a sentence; one whose switches were never moved, or still are, is not."""
    directory = house()
    directory["c"].settled(0.0, 0.0)  # type: ignore[attr-defined]
    open_for_good = "the switches of c stay open, nothing flows through it: only its maker's app closes them then"
    gone = replace(BASE, batteries=(*BASE.batteries[:2], WHOLE))
    free = replace(BASE, batteries=(*BASE.batteries[:2], jbd_spec("c", current_control="none"), WHOLE))
    lower = replace(BASE, batteries=(*BASE.batteries[:2], jbd_spec("c", 10.0), WHOLE))
    assert [open_for_good in told(directory, after) for after in (gone, free, lower)] == [True, True, False]
    assert open_for_good not in told(house(), gone)


def test_set_points_that_end() -> None:
    """A battery that is removed, comes into use, or cannot follow any more loses its set point, with its holder named."""
    directory = house()
    directory["c"].setpoint = SetPoint(current_a=3.0, ends_s=60.0, holder="bob", request_id="")
    gone = replace(BASE, batteries=(BASE.batteries[0], BASE.batteries[1], WHOLE))
    assert "the set point of 3 A on c, held by bob, ends: c is gone" in told(directory, gone)
    used = replace(BASE, batteries=(*BASE.batteries, replace(WHOLE, name="x", sources=("c",))))
    assert told(directory, used) == ("the set point of 3 A on c, held by bob, ends: it is in use by x now",)
    absent = replace(BASE, batteries=(*BASE.batteries[:2], replace(NULL, name="c"), WHOLE))
    assert "the set point of 3 A on c, held by bob, is not followed while a null battery stands there" in told(directory, absent)
    free = replace(BASE, batteries=(*BASE.batteries[:2], jbd_spec("c", current_control="none"), WHOLE))
    assert "the set point of 3 A on c, held by bob, cannot be followed any more: no current control" in told(directory, free)


def test_a_stopped_battery_that_gets_another_name() -> None:
    """The stop of a device goes with it; that of a sum stays with the name, and who edits is told."""
    directory = house()
    directory["c"].latch(stopped=True)
    directory["bank"].latch(stopped=True)
    there = (*BASE.batteries[:2], replace(BASE.batteries[2], name="d"), replace(WHOLE, name="v"))
    renamed = Topology(batteries=there, splitters=(replace(SPLIT, source="v"),))
    stands = "is stopped, which stands for that name alone: the same under another name may be asked for again"
    assert [text for text in told(directory, renamed) if "is stopped" in text] == [f"bank {stands}"]
    assert told(directory, BASE) == ()
    directory["bank"].drained = True
    assert f"bank {stands}" not in told(directory, renamed)


def test_a_limited_battery_that_gets_another_name() -> None:
    """A limit stands for a name, not for what has it: who edits is told; what holds it down for a moment is none."""
    directory = house()
    limit = Cap(source="book", discharging=False, limit_w=480.0, identity="1", text="the charge limit 480 W of operator")
    ramp = Cap(source="ramp", discharging=False, limit_a=1.0, text="the ramp after a loss")
    directory["bank"].put_caps("book", (limit,))
    directory["c"].put_caps("ramp", (ramp,))
    there = (*BASE.batteries[:2], replace(BASE.batteries[2], name="d"), replace(WHOLE, name="v"))
    renamed = Topology(batteries=there, splitters=(replace(SPLIT, source="v"),))
    stands = "which stands for that name alone: under another name it is not limited so"
    limited = f"bank is under the charge limit 480 W of operator, {stands}"
    assert [text for text in told(directory, renamed) if "under another name" in text] == [limited]
    assert told(directory, BASE) == ()


def test_a_splitter_that_is_written_anew() -> None:
    """Other fractions, written by hand: what the partitions had is gone; a split or merge keeps it and says nothing."""
    directory = house()
    other = replace(SPLIT, partitions=(replace(PARTS[0], fraction=0.4), replace(PARTS[1], fraction=0.6)))
    after = replace(BASE, splitters=(other,))
    assert told(directory, after) == ("sp is written anew: what its partitions (p, q) have begins at their fractions",)
    assert told(directory, after, "sp") == ()


def test_not_more_than_anybody_reads() -> None:
    """A hundred packs replaced at once: 50 sentences and how many more."""
    directory = Directory(lambda spec: physical(spec.name), policy)
    before = Topology(batteries=tuple(jbd_spec(f"b{number}") for number in range(100)))
    directory.change(before, 0.0)
    after = Topology(batteries=tuple(jbd_spec(f"b{number}", 10.0) for number in range(100)))
    said = told(directory, after)
    assert (len(said), said[-1]) == (MOST + 1, "and 50 more")


def names_held(directory: Directory, batteries: tuple[BatterySpec, ...], *splitters: SplitterSpec) -> list[str]:
    """Return what an edit holds at 0 A until it is in force."""
    return [each.name for each in Edited(directory, Topology(batteries=batteries, splitters=splitters)).held]


def test_what_comes_apart_is_held() -> None:
    """Of a sum that goes both, unless another one has both; of a splitter whose source is another one the pack it leaves."""
    directory, packs = house(), BASE.batteries[:3]
    assert names_held(directory, packs) == ["a", "b"]
    assert names_held(directory, (*packs, replace(WHOLE, name="v")), replace(SPLIT, source="v")) == []
    assert names_held(directory, (*packs, replace(WHOLE, name="v", sources=("b",)))) == ["a", "b"]
    assert names_held(directory, packs[1:]) == ["a"]
    assert names_held(directory, (*packs, WHOLE)) == []
    assert names_held(directory, packs, replace(SPLIT, source="a")) == ["a", "b"]


def test_a_sum_over_a_partition_that_runs_keeps_its_device_over_another_edit() -> None:
    """Pack c is split, partition r runs in a sum: an edit that concerns neither leaves the device alone; one of the sum not."""
    directory = Directory(lambda spec: physical(spec.name), policy)
    parts = SplitterSpec(name="sc", policy="tranched", source="c", partitions=(PARTS[0], PartitionSpec(name="r", fraction=0.5)))
    total = replace(WHOLE, name="all", sources=("r", "a"))
    batteries = (jbd_spec("a"), jbd_spec("c"), total)
    directory.change(Topology(batteries=batteries, splitters=(parts,)), 0.0)
    for name in ("a", "c"):
        directory[name].sampled(sample(0.0))  # type: ignore[attr-defined]
    for rests, held in ((True, ["r"]), (False, ["c"])):
        directory["c"].settled(0.0 if rests else 5.0, 0.0)  # type: ignore[attr-defined]
        directory["r"].applied_a = 0.0 if rests else 5.0
        assert names_held(directory, (*batteries, jbd_spec("z")), parts) == []
        assert names_held(directory, (*batteries[:2], replace(total, sources=("a",))), parts) == held
