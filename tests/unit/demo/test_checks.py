"""What the demo checks of its batteries."""

from typing import Any

from bosd.demo.checks import NodeView, check, is_coherent
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import topology_pb2 as tpb

T0 = 1_700_000_000.0


def battery(name: str, kind: str, charge: float, current: float = 0.0, **fields: Any) -> pb.BatteryStatus:
    """Return a good battery of twice its charge, sampled at T0."""
    values: dict[str, Any] = {"charge_ah": charge, "capacity_ah": 2.0 * charge, "current_a": current}
    values |= {"quality": pb.QUALITY_GOOD, "sampled_from": T0, "sampled_to": T0}
    return pb.BatteryStatus(name=name, kind=kind, **(values | fields))


def entry(name: str, kind: str, *sources: str) -> tpb.TopologyEntry:
    """Return a battery's place in the topology."""
    return tpb.TopologyEntry(name=name, kind=kind, sources=sources)


def garage(**changed: Any) -> NodeView:
    """Return 62 and 22.5 Ah as one of 84.5 Ah, split 40 to 60."""
    statuses = [
        battery("b1", "jbd", 62.0, 2.0),
        battery("b2", "jbd", 22.5, 1.0),
        battery("pack", "aggregator", 84.5, 3.0, **changed),
        battery("workshop", "partition", 33.8, 0.0),
        battery("lent", "partition", 50.7, 3.0),
    ]
    entries = [
        entry("b1", "jbd"),
        entry("b2", "jbd"),
        entry("pack", "aggregator", "b1", "b2"),
        entry("workshop", "partition", "pack"),
        entry("lent", "partition", "pack"),
    ]
    return NodeView(name="garage", statuses=statuses, entries=entries)


def house(charge_ah: float = 50.7, sampled_s: float = T0) -> NodeView:
    """Return the node with a stub of what the garage lent."""
    stub = battery(
        "garage", "network", charge_ah, 3.0, path=["house/garage", "garage/lent"], sampled_from=sampled_s, sampled_to=sampled_s
    )
    return NodeView(name="house", statuses=[stub], entries=[entry("garage", "network")])


def failed(*nodes: NodeView) -> list[str]:
    """Return the names of the checks that fail."""
    return [each.name for each in check(nodes) if not each.ok]


def test_right_sums_pass() -> None:
    """Six batteries, three sums of three figures: nothing fails."""
    found = check([garage(), house()])
    assert len(found) == 6 + 3 * 3
    assert failed(garage(), house()) == []


def test_a_wrong_sum_is_named() -> None:
    """An aggregate 0.01 Ah off is wrong for what it rests on and for what is split from it."""
    assert failed(garage(charge_ah=84.51)) == [
        "garage/pack charge_ah (b1 + b2)",
        "garage/pack charge_ah (workshop + lent = pack)",
    ]


def test_what_is_unknown_is_wrong() -> None:
    """No current is not a current of 0 A."""
    view = garage()
    view.statuses[0].ClearField("current_a")
    assert failed(view) == ["garage/pack current_a (b1 + b2)"]


def test_a_battery_that_is_not_good_is_named_with_its_reason() -> None:
    """STALE fails, and says why."""
    (bad,) = [each for each in check([garage(quality=pb.QUALITY_STALE, reason="b1 stale")]) if not each.ok]
    assert (bad.name, bad.detail) == ("garage/pack is GOOD", "STALE: b1 stale")


def test_a_stub_is_compared_with_its_remote() -> None:
    """The battery at the other node is found by the stub's path."""
    assert failed(garage(), house(charge_ah=50.6)) == [
        "house/garage charge_ah (garage/lent)",
        "house/garage capacity_ah (garage/lent)",
    ]


def test_a_sample_on_its_way_up_is_noticed() -> None:
    """A sum is only judged when both sides show the same samples; two nodes date one alike within 0.2 s."""
    assert is_coherent([garage(), house(sampled_s=T0 + 0.1)])
    assert not is_coherent([garage(), house(sampled_s=T0 - 1.0)])
    assert not is_coherent([garage(sampled_to=T0 - 1.0)])
