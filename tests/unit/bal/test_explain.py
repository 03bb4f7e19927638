"""The chain that binds, in steps and in words, and what is in force (control.md, "What is in force on a battery")."""

import pytest

from bosd.bal.aggregator import Aggregator
from bosd.bal.explain import explain, summary
from bosd.bal.pseudo import NullBattery
from bosd.bal.setpoint import Booked, SetPoint
from bosd.bal.spec import AggregatorSpec, NullSpec, PartitionSpec
from bosd.policy.sharing import sharing
from tests.support.bal_makers import aggregate, physical, pseudo, sample, sampled, split


def test_a_protection_below_two_levels() -> None:
    """b1's cell 2 is low, so the aggregate has b2's 40 A, so p2 has half of it; asked 30 A, applied 20 A."""
    b1, b2 = sampled("b1"), sampled("b2")
    b1.sampled(
        sample(
            1.0,
            50.0,
            discharge_allowed=False,
            blocked_by=("cell_undervoltage",),
            cells_v=(3.1, 2.412, 3.2),
            faults=("cell_undervoltage",),
        )
    )
    parts = split(aggregate(b1, b2), 0.5, 0.5, name="p").partitions
    parts[1].setpoint = SetPoint(current_a=30.0, ends_s=31.0, holder="ann")
    parts[1].applied_a, parts[1].clamped_by = 20.0, "clamped to the present discharge limit 20 A"
    told = explain(parts[1], 1.0)
    assert summary(told.discharge) == (
        "b2: discharge limited to 40 A by its configuration; "
        "b1: discharge limited to 0 A by protection cell_undervoltage, cell 2 at 2.412 V; "
        "so agg 40 A (b1 left out); so p2 20 A (its fraction 0.5 of agg)"
    )
    assert [(step.battery, step.role, step.cause, step.depth) for step in told.discharge] == [
        ("b2", "binds", "configured", 2),
        ("b1", "left_out", "protection", 2),
        ("agg", "binds", "share", 1),
        ("p2", "binds", "fraction", 0),
    ]
    assert told.in_force.text == (
        "set point of ann: asked 30 A; applied 20 A (clamped to the present discharge limit 20 A); for another 30 s"
    )


def test_the_member_that_bounds_an_aggregate() -> None:
    """60 A of 110 Ah and 40 A of 40 Ah: A would be empty first on discharge; charging, A's 10 Ah of room fill first."""
    told = explain(aggregate(pseudo("A", 60.0, 110.0, 100.0), pseudo("B", 40.0, 40.0, 10.0)), 0.0)
    assert [step.battery for step in told.discharge] == ["A", "agg"]
    assert told.discharge[-1].text == f"agg {60 / 100 * 110:g} A (A would be empty first)"
    assert told.charge[-1].text == "agg 53.3333 A (B would be full first)"  # 40 / 30 * 40
    assert told.charge[0].text == "B: charge limited to 40 A by its configuration"


def test_a_derated_member_is_named() -> None:
    """A derated to 1 A is left out and says that it reports less than its best."""
    weak = pseudo("A", 60.0, 110.0)
    weak.modify({"max_discharge_current_a": 1.0}, 0.0)
    told = explain(aggregate(weak, pseudo("B", 40.0, 40.0)), 0.0)
    assert [(step.battery, step.role) for step in told.discharge] == [("B", "binds"), ("A", "left_out"), ("agg", "binds")]
    assert told.discharge[1].text == "A: discharge limited to 1 A by what it reports, at best 60 A"


@pytest.mark.parametrize(
    ("fields", "discharge", "charge"),
    [
        ({"charge_ah": 0.0}, ("empty", "being empty"), ("configured", "its configuration")),
        ({"charge_ah": 100.0}, ("configured", "its configuration"), ("full", "being full")),
        ({"charge_ah": 20.0, "min_soc": 0.2}, ("empty", "being empty, min_soc 0.2"), ("configured", "its configuration")),
    ],
)
def test_empty_and_full(fields: dict[str, float], discharge: tuple[str, str], charge: tuple[str, str]) -> None:
    """Empty, full and a reserve are named with their bound."""
    told = explain(pseudo("b", 40.0, 100.0, **fields), 0.0)
    assert (told.discharge[0].cause, told.discharge[0].text.partition(" by ")[2]) == discharge
    assert (told.charge[0].cause, told.charge[0].text.partition(" by ")[2]) == charge


def test_a_stop_an_open_switch_and_silence() -> None:
    """Above everything stands a stop; an open FET is no protection; a pack never sampled is silent."""
    stopped = pseudo("s", 40.0, 100.0, 50.0)
    stopped.latch(stopped=True)
    assert explain(stopped, 0.0).discharge[0].text == "s: discharge limited to 0 A by a stop, until it is released"
    gate = sampled("g")
    gate.sampled(sample(1.0, charge_allowed=False, blocked_by=("charge_fet_open",)))
    assert explain(gate, 1.0).charge[0].text == "g: charge limited to 0 A by its open charge FET"
    assert explain(gate, 1.0).discharge[0].cause == "configured"
    silent = explain(physical("q"), 0.0).discharge[0]
    assert (silent.cause, silent.text) == ("unavailable", "q: discharge limited to 0 A by silence: never sampled")
    assert explain(sampled("n", current_control="none"), 0.0).discharge[0].cause == "no_current_control"
    assert explain(NullBattery(NullSpec(name="n", voltage_v=48.0)), 0.0).discharge[0].cause == "absent"


def test_nobody_is_able() -> None:
    """All members empty: the chain ends at the first of them."""
    told = explain(aggregate(pseudo("a", 10.0, 50.0, 0.0), pseudo("b", 10.0, 50.0, 0.0)), 0.0)
    assert summary(told.discharge) == (
        "a: discharge limited to 0 A by being empty; b: discharge limited to 0 A by being empty; "
        "so agg 0 A (no member may discharge; a, b left out)"
    )


def test_a_stale_member() -> None:
    """A stale member keeps its share and is no left-out one."""
    stale, good = sampled("s"), sampled("g")
    stale.settled(20.0, 0.0)
    whole = aggregate(stale, good)
    good.sampled(sample(5.0, 50.0))
    told = explain(whole, 5.0)
    assert told.discharge[-1].text == "agg 60 A (s stale, keeps 20 A)"


def test_partitions() -> None:
    """An empty partition says so itself; one that may not use its share because another took it says whose."""
    source = pseudo("b", 100.0, 100.0)
    source.modify({"max_discharge_current_a": 50.0}, 0.0)
    parts = (
        PartitionSpec(name="p1", fraction=0.5),
        PartitionSpec(name="p2", fraction=0.5, charge_fraction=0.5, min_soc=1.0 - 1e-9),
    )
    top, bottom = split(source, parts=parts, name="p").partitions
    assert explain(top, 0.0).discharge[-1].text == "p1 25 A (its fraction 0.5 of b)"
    assert explain(bottom, 0.0).charge[-1].cause == "full"


def test_by_ratio_and_by_sum() -> None:
    """Other policies say by what the first member is at its limit, or that the limit is a sum."""
    members = (pseudo("a", 20.0, 100.0, 50.0), pseudo("b", 20.0, 100.0, 50.0))

    def told(**fields: object) -> str:
        spec = AggregatorSpec(name="agg", sources=("a", "b"), voltage_v=48.0, voltage_tolerance_v=1.0, **fields)  # type: ignore[arg-type]
        return explain(Aggregator(spec, members, sharing(spec)), 0.0).discharge[-1].text

    assert told(share="ratio", share_ratios=(("a", 0.8), ("b", 0.2))) == "agg 25 A (a is at its limit first by ratio)"
    assert told(share="allowed") == "agg 40 A (the sum of what its members may)"


def test_what_is_in_force() -> None:
    """A set point, else a booking, else the safe value; a battery in use follows its user."""
    battery = pseudo("b", 40.0, 100.0, 50.0)
    assert explain(battery, 0.0).in_force.text == "nothing asked, safe value 0 A; applied 0 A"
    battery.booked = Booked(number=7, current_a=-5.0, ends_s=60.0)
    battery.touch()
    assert explain(battery, 0.0).in_force.text == "booking 7: -5 A; applied 0 A; for another 60 s"
    aggregate(battery)
    assert explain(battery, 0.0).in_force.source == "user"


def test_times_to_empty_and_full() -> None:
    """50 Ah at 10 A above a reserve of 20 Ah: 3 h; charging at 10 A to a ceiling of 90 Ah: 4 h."""
    battery = pseudo("b", 40.0, 100.0, 50.0, min_soc=0.2, max_soc=0.9)
    assert (explain(battery, 0.0).empty_in_s, explain(battery, 0.0).full_in_s) == (None, None)
    battery.apply(10.0, 0.0)
    assert explain(battery, 0.0).empty_in_s == pytest.approx(3 * 3600.0)
    battery.apply(-10.0, 0.0)
    assert explain(battery, 0.0).full_in_s == pytest.approx(4 * 3600.0)


def test_what_runs_on_under_a_stop_has_no_time_to_empty() -> None:
    """Nothing may be drawn, and 10 A flow all the same: it was empty in 0.0 s, with 50 Ah in it."""
    battery = pseudo("b", 40.0, 100.0, 50.0)
    battery.apply(10.0, 0.0)
    battery.stopped = True
    battery.touch()
    assert explain(battery, 0.0).empty_in_s is None
