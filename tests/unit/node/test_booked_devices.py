"""A booking carried out by devices that let go of a set point at its end: told in pieces, and no longer than booked."""

import asyncio

import pytest

from bosd.bal.setpoint import Booked
from bosd.bal.status import SetpointSource
from bosd.errors import DriverError
from tests.unit.node.test_controller import Bench, bench, device, whole

pytestmark = pytest.mark.jumping


def begin(node: Bench, name: str, current_a: float, ends_s: float) -> None:
    """Do what the scheduler does when a booking begins."""
    node[name].booked = Booked(number=1, current_a=current_a, ends_s=ends_s)
    node[name].touch()
    node.controller.look_again([node[name]])


def end(node: Bench, name: str) -> None:
    """Do what the scheduler does when it is over."""
    node[name].booked = None
    node[name].touch()
    node.controller.look_again([node[name]])


async def test_pieces() -> None:
    """Told at 0, 30 and 60 s for 60 s each at most, the last for what is left of 100 s; then 0 A without an end."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        begin(node, "ab", 20.0, 100.0)
        await asyncio.sleep(100.0)
        end(node, "ab")
        await asyncio.sleep(0.1)
        assert node.leaf("a").lifetimes_s == pytest.approx([60.0, 60.0, 40.0, None], abs=0.01)
        assert [current_a for name, current_a in node.wire.told if name == "a"] == [10.0, 10.0, 10.0, 0.0]
        assert node.applied() == {"a": 0.0, "b": 0.0, "ab": 0.0}


async def test_an_owner_that_dies_leaves_a_minute() -> None:
    """At no moment of an hour's booking may a device go on for more than 60 s by itself."""
    async with bench(device("a")) as node:
        begin(node, "a", 10.0, 3600.0)
        await asyncio.sleep(3590.0)
        lifetimes_s = node.leaf("a").lifetimes_s
        assert all(each is not None and 0.0 < each <= 60.0 + 1e-6 for each in lifetimes_s)
        assert len(lifetimes_s) == 3600 / 30 - 1  # told at 0, 30, ... 3540, when what is left is what it was told


async def test_a_device_that_fails_is_told_again() -> None:
    """Every second, while the booking lasts; the status keeps saying what is booked."""
    async with bench(device("a")) as node:
        node.leaf("a").raises = DriverError("no")
        begin(node, "a", 10.0, 100.0)
        await asyncio.sleep(2.5)
        assert node.applied() == {"a": 0.0}
        node.leaf("a").raises = None
        await asyncio.sleep(1.5)
        assert node.applied() == {"a": 10.0}


async def test_a_set_point_over_a_booking_has_its_own_end() -> None:
    """The device is told the set point's life, then the booking's pieces again."""
    async with bench(device("a")) as node:
        begin(node, "a", 10.0, 1000.0)
        await asyncio.sleep(1.0)
        await node.set("a", 5.0, ttl_s=300.0)
        assert node.leaf("a").lifetimes_s[-1] == pytest.approx(300.0)
        await asyncio.sleep(301.0)
        assert node.applied() == {"a": 10.0}
        last_s = node.leaf("a").lifetimes_s[-1]
        assert last_s is not None
        assert last_s <= 60.0
        fields = node["a"].setpoint_fields(controllable=True)
        assert (fields["setpoint_source"], fields["setpoint_ends_s"]) == (SetpointSource.SCHEDULE, 1000.0)
