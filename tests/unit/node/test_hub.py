"""Watchers: the first batch at once, then what changed, latest wins, beats (bal.md, "The topology")."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

import pytest

from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.spec import PseudoSpec, Topology
from bosd.clock import LoopClock
from bosd.errors import BadNameError
from bosd.node.api import WatchBatch
from bosd.node.hub import Hub
from bosd.policy.registry import policy
from tests.support.bal_makers import physical

pytestmark = pytest.mark.jumping


def spec(name: str, charge_ah: float = 50.0) -> PseudoSpec:
    """Return a pseudo battery of 100 Ah."""
    return PseudoSpec(
        name=name,
        voltage_v=48.0,
        charge_ah=charge_ah,
        capacity_ah=100.0,
        max_discharge_current_a=40.0,
        max_charge_current_a=40.0,
    )


class Bench:
    """A hub over pseudo batteries."""

    def __init__(self, *names: str) -> None:
        self.clock = LoopClock(asyncio.get_running_loop())
        self.directory = Directory(lambda each: physical(each.name), policy)
        self.directory.change(Topology(batteries=tuple(map(spec, names))), 0.0)
        self.kept: list[float] = []
        self.hub = Hub(self.directory, self.clock, self._keep)

    def _keep(self, batteries: Iterable[Battery], rate_s: float) -> None:
        del batteries
        self.kept.append(rate_s)

    def watch(self, *names: str, every_s: float = 0.0, max_staleness_s: float = 0.0) -> AsyncGenerator[WatchBatch, None]:
        batches = self.hub.watch(names or None, min_interval_s=every_s, max_staleness_s=max_staleness_s)
        assert isinstance(batches, AsyncGenerator)
        return batches

    def report(self, name: str, charge_ah: float) -> None:
        battery = self.directory[name]
        assert isinstance(battery, PseudoBattery)
        battery.modify({"charge_ah": charge_ah}, self.clock.now_s())

    def change(self, *specs: PseudoSpec) -> None:
        self.directory.change(Topology(batteries=specs), self.clock.now_s())
        self.hub.topology_changed()


def told(batch: WatchBatch) -> dict[str, float | None]:
    """Return the charges of a batch by name."""
    return {status.name: status.charge_ah for status in batch.statuses}


async def test_the_first_batch_comes_at_once() -> None:
    """All that is watched, at time 0, also when nothing is there."""
    node = Bench("a", "b")
    async with aclosing(node.watch()) as batches:
        assert told(await anext(batches)) == {"a": 50.0, "b": 50.0}
    async with aclosing(Bench().watch()) as batches:
        assert (await anext(batches)).statuses == ()
    assert asyncio.get_running_loop().time() == 0.0


async def test_a_change_wakes_at_once_and_names_only_itself() -> None:
    """B changes at 0.3 s: told at 0.3 s, alone."""
    node = Bench("a", "b")
    async with aclosing(node.watch()) as batches:
        await anext(batches)
        asyncio.get_running_loop().call_later(0.3, node.report, "b", 10.0)
        assert told(await anext(batches)) == {"b": 10.0}
        assert asyncio.get_running_loop().time() == pytest.approx(0.3)


async def test_latest_wins_for_a_slow_reader() -> None:
    """A thousand changes while nobody reads: one entry waits, the last value is told."""
    node = Bench("a", "b")
    async with aclosing(node.watch()) as batches:
        await anext(batches)
        for number in range(1000):
            node.report("a", number / 10.0)
        (watcher,) = node.hub._watchers
        assert len(watcher.pending) <= 2
        assert told(await anext(batches)) == {"a": 99.9}


async def test_no_faster_than_asked() -> None:
    """Changes every 10 ms, at most one batch in 0.5 s: five of them by 2 s."""
    node = Bench("a")
    times: list[float] = []
    async with asyncio.timeout(60.0), aclosing(node.watch(every_s=0.5)) as batches:
        for number in range(400):
            asyncio.get_running_loop().call_later(number * 0.01, node.report, "a", number / 10.0)
        async for _ in batches:
            times.append(asyncio.get_running_loop().time())
            if len(times) == 5:
                break
    assert times == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0], abs=0.011)


@pytest.mark.parametrize(("max_staleness_s", "beat_s"), [(0.0, 1.0), (1.5, 0.5), (30.0, 1.0)])
async def test_beats(max_staleness_s: float, beat_s: float) -> None:
    """When nothing changes all is told every min(1 s, a third of what the reader bears)."""
    node = Bench("a", "b")
    async with aclosing(node.watch(max_staleness_s=max_staleness_s)) as batches:
        assert (await anext(batches)).beat_s == beat_s
        for number in (1, 2, 3):
            assert told(await anext(batches)) == {"a": 50.0, "b": 50.0}
            assert asyncio.get_running_loop().time() == pytest.approx(number * beat_s)
    assert node.kept == [beat_s] * 4


async def test_a_beat_that_is_due_within_the_loops_resolution_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop fires timers up to 1 ns early: who then waits for the rest may keep it from going on in time, for ever."""
    node = Bench("a")
    async with aclosing(node.watch()) as batches:
        await anext(batches)
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 1.0 - 5e-10)
        beat = asyncio.get_running_loop().create_task(batches.__anext__())
        for _ in range(100):
            await asyncio.sleep(0.0)
        assert beat.done()
        assert told(beat.result()) == {"a": 50.0}


async def test_removed_and_added() -> None:
    """B goes and c comes: told in one batch; who watches b alone hears that it is gone and keeps getting beats."""
    node = Bench("a", "b")
    async with aclosing(node.watch()) as everything, aclosing(node.watch("b")) as one:
        await anext(everything)
        await anext(one)
        node.change(spec("a"), spec("c"))
        batch = await anext(everything)
        assert (told(batch), batch.removed) == ({"c": 50.0}, ("b",))
        assert (await anext(one)).removed == ("b",)
        assert (await anext(one)).statuses == ()
        node.change(spec("a"), spec("c"), spec("b", 7.0))
        assert told(await anext(one)) == {"b": 7.0}


async def test_a_replaced_battery_is_followed() -> None:
    """B with another specification is a change of b, and later changes of the new one are told."""
    node = Bench("a", "b")
    async with aclosing(node.watch("b")) as batches:
        await anext(batches)
        node.change(spec("a"), spec("b", 20.0))
        assert told(await anext(batches)) == {"b": 20.0}
        node.report("b", 30.0)
        assert told(await anext(batches)) == {"b": 30.0}


async def test_an_edit_that_does_not_concern_it_wakes_nobody() -> None:
    """C comes; who watches a alone hears nothing until the beat."""
    node = Bench("a")
    async with aclosing(node.watch("a")) as batches:
        await anext(batches)
        node.change(spec("a"), spec("c"))
        await anext(batches)
        assert asyncio.get_running_loop().time() == pytest.approx(1.0)


async def test_an_unknown_name_is_refused() -> None:
    """BAD_NAME at the first step."""
    with pytest.raises(BadNameError):
        await anext(Bench("a").watch("a", "nobody"))


async def test_nothing_stays_behind() -> None:
    """After the reader is gone no battery has a listener and the hub no watcher."""
    node = Bench("a")
    async with aclosing(node.watch()) as batches:
        await anext(batches)
        during = [len(node.directory["a"].listeners), len(node.hub._watchers)]
    after = [len(node.directory["a"].listeners), len(node.hub._watchers)]
    assert (during, after) == ([1, 1], [0, 0])
