"""The registry of errors: one active entry a cause, bounds, repeats, clearing by UUID, and other nodes' errors."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.clock import LoopClock, SteppedClock, SystemClock
from bosd.node.faults import AGED_S, BEAT_S, MAX_ACTIVE, OVERFLOW, Fault, Faults, Severity, State
from bosd.node.noticed import Noticed, Notices
from bosd.rpc.error_service import from_error_message, to_error_message
from tests.support.jumping_loop import run_jumping


def registry(node: str = "here") -> Faults:
    """Return an empty registry."""
    return Faults(node, SteppedClock(SystemClock()))


def test_a_repeat_counts_and_a_clear_goes_by_uuid() -> None:
    """The same cause keeps its UUID; after a clear it gets a new one, and the old one clears nothing more."""
    faults = registry()
    first = faults.raise_("STORE_FAILED", module="stops", message="full")
    assert faults.raise_("STORE_FAILED", module="stops", message="still full") == first
    ((fault),) = faults.active()
    assert (fault.id, fault.repeats, fault.message, fault.state) == (first, 1, "still full", State.ACTIVE)
    assert faults.clear_id(first)
    assert not faults.active()
    assert [(each.id, each.state) for each in faults.recent()] == [(first, State.CLEARED)]
    assert faults.raise_("STORE_FAILED", module="stops") != first
    assert not faults.clear_id(first)


def test_the_thousand_and_first_is_an_overflow_with_a_count() -> None:
    """1000 are held; the others are counted by one OVERFLOW, which goes when there is room (satellites.md 3.11)."""
    faults = registry()
    ids = [faults.raise_("X", str(i)) for i in range(1000)]
    assert faults.raise_("X", "a") == faults.raise_("X", "b")
    assert len(faults.active()) == 1001
    (overflow,) = [each for each in faults.active() if each.type == OVERFLOW]
    assert (overflow.repeats, overflow.severity) == (2, Severity.HIGH)
    assert faults.active()[0] is overflow
    faults.clear_id(ids[0])
    assert {each.type for each in faults.active()} == {"X"}
    assert len(faults.active()) == 999


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ABC"), st.sampled_from(("", "s")), st.sampled_from(("", "b")))))
def test_what_is_active_is_what_was_raised_last(steps: list[tuple[bool, str, str, str]]) -> None:
    """After any raises and clears: one entry a cause, each cause active exactly when its last step raised it."""
    faults = registry()
    model: dict[tuple[str, str, str], int] = {}
    for raised, kind, sub_type, battery in steps:
        cause = (kind, sub_type, battery)
        if raised:
            faults.raise_(kind, sub_type, battery=battery)
            model[cause] = model.get(cause, -1) + 1
        else:
            assert faults.clear(kind, sub_type, battery=battery) == (model.pop(cause, None) is not None)
    found = {(each.type, each.sub_type, each.battery): each.repeats for each in faults.active()}
    assert len(faults.active()) == len(found) <= MAX_ACTIVE
    assert found == model


def test_another_nodes_errors_and_its_reboot() -> None:
    """They are listed with origin, way and unknown severity; gone with its run they are CLEARED_BY_REBOOT, else CLEARED."""
    faults = registry()
    told = [
        Fault(id="1", type="NEWER", severity=9, node="far", boot_id="b1"),
        Fault(id="2", type="Y", severity=1, node="far", boot_id="b1"),
    ]
    faults.heard("t", "far", "b1", told)
    assert [(each.type, each.severity, each.node, each.via) for each in faults.active()] == [
        ("NEWER", 9, "far", ("far",)),
        ("Y", 1, "far", ("far",)),
    ]
    faults.heard("t", "far", "b1", told[:1])
    faults.heard("t", "far", "b2", [])
    assert not faults.active()
    assert {each.id: each.state for each in faults.recent()} == {"1": State.CLEARED_BY_REBOOT, "2": State.CLEARED}


def test_two_nodes_that_follow_each_other_do_not_echo() -> None:
    """What came from here, or through here, is no news; what is gone at its origin goes everywhere."""
    one, two = registry("one"), registry("two")
    fault_id = one.raise_("X")
    for _ in range(3):
        two.heard("one", "one", one.boot_id, one.active())
        one.heard("two", "two", two.boot_id, two.active())
    assert [(each.id, each.via) for each in one.active()] == [(fault_id, ())]
    assert [(each.id, each.via) for each in two.active()] == [(fault_id, ("one",))]
    one.clear_id(fault_id)
    two.heard("one", "one", one.boot_id, one.active())
    assert not two.active()


@pytest.mark.parametrize("looks", [1, 3])
def test_a_condition_that_stands_is_raised_once_and_cleared(looks: int) -> None:
    """A condition that stands is one error without repeats; when it is gone, so is the error."""
    faults = registry()
    notices = Notices(faults)
    standing = [Noticed("DEVICE_UNREACHABLE", Severity.MEDIUM, "silent", "devices", "b")]
    notices.sources.append(lambda: standing)
    for _ in range(looks):
        notices.look()
    assert [(each.type, each.battery, each.repeats) for each in faults.active()] == [("DEVICE_UNREACHABLE", "b", 0)]
    standing.clear()
    notices.look()
    assert not faults.active()


def test_the_age_of_what_a_relay_no_longer_hears() -> None:
    """Above a relay it grows from the last word of the node it is of, not from the relay's, and is young again with that node."""

    async def story() -> None:
        clock = LoopClock(asyncio.get_running_loop())
        far, relay, near = (Faults(name, clock) for name in ("far", "relay", "near"))
        far.raise_("X")
        relay.heard("far", "far", far.boot_id, far.active())

        async def follow() -> None:
            async for active in relay.watch():
                if active is None:
                    near.beat("relay")
                else:
                    told = [from_error_message(to_error_message(each, relay.age_s(each))) for each in active]
                    near.heard("relay", "relay", relay.boot_id, told)

        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow())
            for _ in range(20):
                relay.beat("far")
                await asyncio.sleep(1.0)
            (known,) = near.active()
            assert near.age_s(known) <= 2.0 * BEAT_S
            await asyncio.sleep(60.0)
            (known,) = near.active()
            assert near.age_s(known) == pytest.approx(61.0, abs=2.0 * BEAT_S)
            relay.heard("far", "far", far.boot_id, far.active())
            await asyncio.sleep(AGED_S)
            (known,) = near.active()
            assert near.age_s(known) <= 2.0 * AGED_S
            following.cancel()

    run_jumping(story())
