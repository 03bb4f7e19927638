import json

import pytest

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.format_json import (
    STATUS_KEYS,
    link_word,
    quality_word,
    rfc3339,
    set_current_document,
    source_word,
    status_document,
)
from tests.support.bosctl_node import aggregate, physical, unreachable

# The status in JSON as the documentation lists it (README, "JSON").
DOCUMENTED = (
    "name, kind, voltage_v, current_a, charge_ah, capacity_ah, soc, max_discharge_current_a, max_charge_current_a, "
    "ideal_max_discharge_current_a, ideal_max_charge_current_a, power_w, usable_charge_ah, balanced_usable_charge_ah, "
    "expected_charge_ah, unobserved_s, requested_current_a, applied_current_a, setpoint_source, setpoint_ends_at, "
    "sampled_from, sampled_to, age_s, quality, link, commandable, reason"
)
PHYSICAL = [
    "cells_v",
    "temperatures_c",
    "cycles",
    "faults",
    "balancing_cells",
    "charge_switch_closed",
    "discharge_switch_closed",
]


def test_a_status_has_exactly_the_documented_keys() -> None:
    """Machines rely on the keys; only a holder and a path are added where there is one."""
    assert list(STATUS_KEYS) == DOCUMENTED.split(", ")
    assert list(status_document(pb.BatteryStatus(name="p", kind="pseudo"))) == list(STATUS_KEYS)
    assert list(status_document(aggregate())) == [*STATUS_KEYS, "path"]
    held = pb.BatteryStatus(name="p", kind="pseudo", holder="node:shed")
    assert status_document(held) == {**status_document(pb.BatteryStatus(name="p", kind="pseudo")), "holder": "node:shed"}


def test_a_physical_battery_has_keys_of_its_own() -> None:
    """Cells, temperatures, cycles, faults, balancing and switches belong to devices."""
    document = status_document(physical("b1"))
    assert list(document) == [*STATUS_KEYS, *PHYSICAL, "path"]
    assert set(status_document(pb.BatteryStatus(name="h", kind="of another package"))) == {*STATUS_KEYS, *PHYSICAL}
    assert document["cells_v"] == [3.301, 3.299, 3.3, 3.3]
    assert document["faults"] == []


def test_the_unknown_is_null_and_limits_are_zero() -> None:
    """A pack never sampled claims nothing, and nothing may be asked of it."""
    document = status_document(unreachable("b2"))
    numbers = {key for key in STATUS_KEYS if key.endswith(("_v", "_a", "_ah", "_w", "soc"))}
    present = {"max_discharge_current_a", "max_charge_current_a"}
    assert {key: document[key] for key in numbers - present} == dict.fromkeys(numbers - present)
    assert [document[key] for key in sorted(present)] == [0.0, 0.0]
    assert [document[key] for key in PHYSICAL] == [None] * 7
    assert (document["age_s"], document["sampled_from"], document["setpoint_source"]) == (None, None, None)


def test_a_measured_zero_stays_zero() -> None:
    """0 A is a measurement, not an absence."""
    document = status_document(pb.BatteryStatus(current_a=0.0, soc=0.0, applied_current_a=0.0))
    assert (document["current_a"], document["soc"], document["applied_current_a"]) == (0.0, 0.0, 0.0)


def test_words_and_times() -> None:
    """Quality in capitals, the rest in lower case, times in UTC with Z."""
    document = status_document(aggregate())
    assert (document["quality"], document["link"], document["setpoint_source"]) == ("GOOD", "local", "manual")
    # 1 700 000 000 s is 2023-11-14T22:13:20Z; the set point ends 60 s later.
    assert (document["sampled_from"], document["setpoint_ends_at"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:14:20.000Z")


def test_what_json_cannot_hold_is_null() -> None:
    """A document is JSON even when a peer sends nonsense."""
    status = pb.BatteryStatus(
        voltage_v=float("nan"), max_charge_current_a=float("inf"), sampled_from=1e300, cells_v=[float("nan")]
    )
    status.kind = "jbd"
    document = status_document(status)
    assert (document["voltage_v"], document["max_charge_current_a"], document["sampled_from"]) == (None, None, None)
    json.dumps(document, allow_nan=False)


def test_unallocated_charge_is_a_key_of_the_source_only() -> None:
    """Charge that no partition can hold shows where it is stored."""
    assert status_document(pb.BatteryStatus(unallocated_ah=0.0))["unallocated_ah"] == 0.0
    assert "unallocated_ah" not in status_document(pb.BatteryStatus())


@pytest.mark.parametrize("value", [0, 99])
def test_an_unknown_enum_value_is_no_good_news(value: int) -> None:
    """A newer node's words do not crash an older client, nor pass for good."""
    assert quality_word(value) == "UNAVAILABLE"  # type: ignore[arg-type]
    assert link_word(value) is None  # type: ignore[arg-type]
    assert source_word(value) is None  # type: ignore[arg-type]


def test_every_link_has_its_word() -> None:
    """The words of the link's states (control.md, quality and link)."""
    words = [link_word(link) for link in pb.Link.values()[1:]]  # type: ignore[arg-type]
    assert words == ["local", "connecting", "sync", "ready", "stale", "lost", "refused", "expected_down"]


@pytest.mark.parametrize(("utc_s", "expected"), [(0.0, "1970-01-01T00:00:00.000Z"), (float("nan"), None), (1e20, None)])
def test_times_that_do_not_exist_are_null(utc_s: float, expected: str | None) -> None:
    """The epoch is a time; nonsense is not."""
    assert rfc3339(utc_s) == expected


def test_an_ended_set_point_asks_for_nothing() -> None:
    """After `none` nothing is requested, and it does not end."""
    document = set_current_document(pb.SetCurrentResponse(name="b1"), dry_run=False)
    assert (document["requested_current_a"], document["setpoint_ends_at"], document["ttl_s"]) == (None, None, None)
    assert document["applied_current_a"] == 0.0
