"""A whole day of random bookings on three partitions and an aggregate, against a model that knows each second by itself."""

import asyncio
import random
from typing import cast

import pytest

from bosd.bal.schedule import Moment
from bosd.bal.spec import AggregatorSpec, PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.node.clock_trust import ClockTrust
from bosd.node.node import Node
from bosd.store.store import Store
from tests.support.fleet.slow_world import slow_down
from tests.support.holding import hold
from tests.support.jumping_loop import run_jumping
from tests.support.memory_store import MemoryStore
from tests.support.wall_clock import UTC_AT_ZERO_S, WallClock

DAY_S = 86_400
LOOK_S = 300
SETTLED_S = 2.0
"""An edge is met within a second (the wall clock is looked at that often), then the controller within 50 ms."""
PARTS = ("p", "q", "r")
TOLERANCE_A = 1e-9
SLOWER = 20.0
"""Every period beside the scheduler's and the controller's own, which are what this is about."""


def topology() -> Topology:
    """Two alike as one of 20,000 Ah, half full, split in three: 200 A in all, 400 Ah a day and ampere leave room."""
    packs = tuple(
        PseudoSpec(
            name=name,
            voltage_v=48.0,
            charge_ah=5000.0,
            capacity_ah=10000.0,
            max_discharge_current_a=150.0,
            max_charge_current_a=150.0,
        )
        for name in ("a", "b")
    )
    whole = AggregatorSpec(name="ab", sources=("a", "b"), voltage_v=48.0, voltage_tolerance_v=4.0)
    parts = tuple(PartitionSpec(name=name, fraction=fraction) for name, fraction in zip(PARTS, (0.5, 0.25, 0.25), strict=True))
    return Topology(
        batteries=(*packs, whole),
        splitters=(SplitterSpec(name="sp", policy="proportional", source="ab", partitions=parts),),
    )


class Model:
    """For each second of the day and each partition the bookings that hold it, in the order in which they were made."""

    def __init__(self) -> None:
        self.seconds = {name: [list[tuple[str, int]]() for _ in range(DAY_S)] for name in PARTS}

    def book(self, name: str, booking_id: str, current_a: int, start_s: int, end_s: int) -> None:
        """Put a booking on top of each of its seconds."""
        for second in range(start_s, end_s):
            self.seconds[name][second].append((booking_id, current_a))

    def cancel(self, name: str, booking_id: str) -> None:
        """Take a booking from each of its seconds."""
        for numbers in self.seconds[name]:
            numbers[:] = [each for each in numbers if each[0] != booking_id]

    def asked_a(self, name: str, second: int) -> float:
        """Return what is booked of a partition at a second."""
        numbers = self.seconds[name][second]
        return numbers[-1][1] if numbers else 0.0


async def live_a_day(seed: int) -> None:
    """Book and cancel through the day, restart at noon; look every five minutes."""
    chance = random.Random(seed)
    clock, store, model = WallClock(), MemoryStore(), Model()
    booked: list[tuple[str, str]] = []
    for noon in (False, True):
        node = Node(
            name="n1",
            clock=clock,
            store=cast(Store, store),
            make_remote=lambda spec: pytest.fail(f"no stub was asked for: {spec.name}"),
            default_ttl_s=60.0,
            longest_ttl_s=3600.0,
            trust=ClockTrust(clock.is_synchronised, overridden=False),
        )
        await node.load(topology())
        async with asyncio.TaskGroup() as group:
            holder = group.create_task(hold(node), name="node")
            for look in range(DAY_S // LOOK_S // 2):
                second = (DAY_S // 2 if noon else 0) + look * LOOK_S
                await asyncio.sleep(max(0.0, second + SETTLED_S - clock.now_s()))
                _compare(node, model, second + int(SETTLED_S), seed)
                if chance.random() < 0.5:
                    await _book(node, model, booked, chance, second + 10)
                elif booked and chance.random() < 0.4:
                    name, booking_id = booked.pop(chance.randrange(len(booked)))
                    if any(view.booking_id == booking_id for view in await node.bookings(name)):
                        await node.cancel_booking(booking_id, holder="h")
                        model.cancel(name, booking_id)
            holder.cancel()


async def _book(node: Node, model: Model, booked: list[tuple[str, str]], chance: random.Random, from_s: int) -> None:
    """Book a whole number of looks, offset so that no look falls on an edge."""
    name = chance.choice(PARTS)
    current_a = chance.randint(-40, 40)
    start_s = from_s + LOOK_S * chance.randint(0, 40)
    end_s = min(DAY_S, start_s + LOOK_S * chance.randint(1, 60))
    if end_s <= start_s:
        return
    start, end = Moment(utc_s=UTC_AT_ZERO_S + start_s), Moment(utc_s=UTC_AT_ZERO_S + end_s)
    result = await node.book(name, current_a, start, end, holder="h")
    model.book(name, result.booking.booking_id, current_a, start_s, end_s)
    booked.append((name, result.booking.booking_id))


def _compare(node: Node, model: Model, second: int, seed: int) -> None:
    """What is applied is what the model says; it adds up on the source, and over the members."""
    batteries = node.directory.batteries
    expected = [model.asked_a(name, second) for name in PARTS]
    assert [batteries[name].applied_a for name in PARTS] == expected, f"seed {seed}, second {second}"
    assert batteries["ab"].applied_a == pytest.approx(sum(expected), abs=TOLERANCE_A)
    assert batteries["a"].applied_a + batteries["b"].applied_a == pytest.approx(sum(expected), abs=TOLERANCE_A)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1])
def test_a_day_of_bookings(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overlaps, cancelled ones and a restart at noon: every five minutes the currents are those of the model."""
    slow_down(monkeypatch, SLOWER)
    run_jumping(live_a_day(seed))
