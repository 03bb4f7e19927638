"""The judges of worlds of packs that run empty, converters that lose, and boards that stand still see what they are for."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace

import pytest

from bosd.bal import caps
from bosd.bal.device import Sample
from bosd.bal.setpoint import SetPoint
from bosd.limits import parts
from bosd.store.limits import Limit
from tests.support.fleet.hard import UNHEARD_S
from tests.support.fleet.limit_judge import VOLTAGE_V
from tests.support.fleet.packs import PackDriver
from tests.support.fleet.process_loop import run_processes, this_loop
from tests.support.fleet.random_faults import RECOVERY_S, Kind, RandomFaults

SEED = 35
"""A world of one controller that has small packs, some of which expire, and converters that lose."""
STALLED_S = UNHEARD_S + 10.0

pytestmark = pytest.mark.timeout(120)


async def _runs(world: RandomFaults) -> None:
    (top,) = world.tops
    most_a = top.host.up.node.status(top.name).max_discharge_current_a
    world.sums.asks(top, most_a)(await world.fleet.set(top.host, top.name, most_a))
    await asyncio.sleep(60.0)


async def _stands(world: RandomFaults) -> None:
    (top,) = world.tops
    assert world.hard is not None
    world.hard.leave()
    await asyncio.sleep(2.0)
    most_a = top.host.up.node.status(top.name).max_discharge_current_a
    current_a = 0.05 * most_a
    world.sums.asks(top, current_a)(await world.fleet.set(top.host, top.name, current_a))
    await world.hard.stall(top.host, STALLED_S)


async def _limited(world: RandomFaults) -> None:
    (top,), (limited, *_) = world.tops, world.limited
    assert world.hard is not None
    world.hard.leave()
    await asyncio.sleep(2.0)
    most_a = top.host.up.node.status(top.name).max_charge_current_a
    world.sums.asks(top, -most_a)(await world.fleet.set(top.host, top.name, -most_a))
    book = top.host.up.limits
    assert book is not None
    limit_w = 0.5 * most_a * VOLTAGE_V
    wanted = Limit(source="operator", battery=top.name, direction="charge", limit_w=limit_w)
    await world.fleet.within(top.host, book.book.put(wanted))
    limited.limit(False, limit_w, 2.0)
    await asyncio.sleep(20.0)


def _half_full(sample: Sample) -> Sample:
    assert sample.capacity_ah is not None
    return replace(sample, charge_ah=0.5 * sample.capacity_ah, soc=0.5)


def _found(does: Callable[[RandomFaults], Coroutine[None, None, None]]) -> str:
    """Return what judges find wrong in a world without faults; empty if nothing."""

    async def main() -> str:
        world = RandomFaults(this_loop(), SEED, Kind(limits=True, hard=True))
        assert world.hard is not None
        try:
            world.fleet.start()
            await world._whole(RECOVERY_S)
            looking = asyncio.create_task(world.hard.look_on())
            await does(world)
            looking.cancel()
            return "; ".join(map(str, world.fleet.bugs))
        finally:
            await world.fleet.close()

    return run_processes(main())


def test_they_see_what_runs_on_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs that are empty are at 0 A before long; where their boards go on telling that they are half full that is found."""
    assert not _found(_runs)
    sample = PackDriver._sample
    monkeypatch.setattr(PackDriver, "_sample", lambda driver: _half_full(sample(driver)))
    assert " A at -0." in _found(_runs)


def test_they_see_what_runs_for_a_board_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a controller asked ends with its lease; where that never ends it is found."""
    assert not _found(_stands)
    monkeypatch.setattr(SetPoint, "over_s", property(lambda setpoint: setpoint.ends_s))
    assert "stands still for 15 s" in _found(_stands)


def test_they_see_what_converters_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of the grid's power holds with what converters lose; where that is not counted it is found."""
    assert not _found(_limited)
    for module in (caps, parts):
        monkeypatch.setattr(module, "own_efficiency", lambda _battery: 1.0)
    assert "above" in _found(_limited)
