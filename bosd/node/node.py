"""The node: directory, controller, refreshers, watchers and editor, behind one interface."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial

import structlog

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.directory import Directory, Replaced
from bosd.bal.explain import Explanation
from bosd.bal.physical import PhysicalBattery
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.spec import BatterySpec, JbdSpec, NetworkSpec, Topology
from bosd.bal.status import BatteryStatus, Quality
from bosd.clock import Clock, LoopClock
from bosd.errors import BosError, InvalidArgumentError, StoreError, UnsupportedError
from bosd.node.adopt import adopt
from bosd.node.api import ApplyResult, Edit, Revision, SetCurrentResult, StopResult, TopologyView, WatchBatch
from bosd.node.controller import Controller
from bosd.node.devices import make_device
from bosd.node.editor import Editor
from bosd.node.execute import Executor
from bosd.node.explaining import explained
from bosd.node.hub import Hub
from bosd.node.ledger import Ledger
from bosd.node.links import NetworkLeaf, RemoteFactory
from bosd.node.refresh import Refresher, port_of
from bosd.node.scheduler import ClockTrust, Scheduler
from bosd.node.timekeeper import Timekeeper
from bosd.policy.registry import policy
from bosd.policy.sharing import sharing
from bosd.store.bookings import BookingTable
from bosd.store.ledger import LedgerTable
from bosd.store.records import StopLatch
from bosd.store.store import Store

REFRESH_DEADLINE_S = 5.0
STOP_DEADLINE_S = 2.0
SAFE_DEADLINE_S = 3.0
SLOT_S = 0.05
"""Reads are spread over the period in steps of this, so that of a thousand batteries many share one waking of the process."""
RECORD_PAUSE_S = 5.0
RECORD_DEADLINE_S = 1.0
NOBODY: Mapping[str, "asyncio.Task[None]"] = {}

_log = structlog.get_logger("node")


class Node:
    """One battery node. `make_remote` builds the stubs of other nodes' batteries; `run` owns every task."""

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        store: Store,
        make_remote: RemoteFactory,
        default_ttl_s: float,
        longest_ttl_s: float,
        trust: ClockTrust | None = None,
    ) -> None:
        self.name = name
        self.clock = clock
        self._store = store
        self._make_remote = make_remote
        self.directory = Directory(self._make_leaf, policy, sharing)
        executor = Executor(clock, self._sample_soon)
        self._controller = Controller(self.directory, clock, executor, default_ttl_s=default_ttl_s, longest_ttl_s=longest_ttl_s)
        self._hub = Hub(self.directory, clock, self._keep_fresh)
        self.time = Timekeeper(clock, self.directory, [self._controller])
        self._editor = Editor(self.directory, store, clock, self._replaced, self._controller.stop, self._admit)
        self.stored_topology = self._editor.stored_topology
        self._scheduler = Scheduler(
            self.directory,
            clock,
            BookingTable(store),
            trust or ClockTrust(lambda: True, overridden=False),
            self._controller.look_again,
            node=name,
            edits=self._editor.lock,
        )
        self.time.add(self._scheduler)
        self.ledger = Ledger(self.directory, clock, LedgerTable(store))
        self.time.add(self.ledger)
        self.reset_meter = self.ledger.reset_meter
        self.book, self.bookings, self.cancel_booking = self._scheduler.book, self._scheduler.bookings, self._scheduler.cancel
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[Battery, asyncio.Task[None]] = {}
        self._refreshers: dict[Battery, Refresher] = {}
        self._lazy: dict[str, tuple[Refresher, ...]] = {}
        self._unrecorded_stops: dict[str, StopLatch] = {}

    # --- life

    def _admit(self, topology: Topology) -> None:
        self.time.admit(topology)
        self._scheduler.check_edit(topology)

    def _make_leaf(self, spec: BatterySpec) -> Battery:
        if isinstance(spec, JbdSpec):
            return PhysicalBattery(spec, make_device(spec, self.clock))
        if isinstance(spec, NetworkSpec):
            return self._make_remote(spec)
        raise InvalidArgumentError(f"no battery of kind {spec.kind!r} can be made", field="kind")

    async def load(self, configured: Topology) -> None:
        """Put the stored (or, on first start, the configured) topology in force, with the stops that survived."""
        warning = await self._editor.load(configured)
        if warning:
            _log.warning("topology_differs", detail=warning)
        for latch in await self._store.load_stops():
            if latch.name in self.directory.batteries:
                self.directory[latch.name].latch(stopped=True)
        await self._scheduler.load()
        await self.ledger.load()

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start every task inside `group`."""
        self._group = group
        group.create_task(self._controller.run(group), name="controller")
        group.create_task(self._scheduler.run(), name="scheduler")
        group.create_task(self._age(), name="ageing")
        group.create_task(self.ledger.run(), name="ledger")
        group.create_task(self.time.run(), name="clock")
        group.create_task(self._record_stops(), name="record stops")
        group.create_task(self._editor.bases.run(), name="bases")
        self._start_leaves(self.directory)

    def _start_leaves(self, batteries: Iterable[Battery], leaving: Mapping[str, "asyncio.Task[None]"] = NOBODY) -> None:
        """Start the tasks of these leaves, those on a port in `leaving` once the battery that had it has let go."""
        assert self._group is not None  # noqa: S101 (edits come from the API, which is up after start)
        physical = [battery for battery in batteries if isinstance(battery, PhysicalBattery)]
        for number, each in enumerate(physical):
            delay_s = number / len(physical) * self._period_s(each)
            refresher = Refresher(each, LoopClock(asyncio.get_running_loop()), first_delay_s=delay_s // SLOT_S * SLOT_S)
            self._refreshers[each] = refresher
            task = refresher.run(after=leaving.get(port_of(each)))
            self._tasks[each] = self._group.create_task(task, name=f"refresh {each.name}")
            if each.controllable:
                self._group.create_task(adopt(each, partial(self._look_above, each)), name=f"adopt {each.name}")
        self._lazy = {}

    def _look_above(self, battery: Battery) -> None:
        """Have what is in force on a battery, and above it, put in force again."""
        if self.directory.batteries.get(battery.name) is battery:
            self._controller.look_again(self.directory.tops_with(battery))

    @staticmethod
    def _period_s(battery: PhysicalBattery) -> float:
        spec = battery.spec
        return spec.refresh_period_s if isinstance(spec, JbdSpec) else 0.0

    def _replaced(self, replaced: Replaced) -> None:
        """Follow an edit: tasks of leaves that went end, those of new ones begin, watchers and set points move over."""
        assert self._group is not None  # noqa: S101 (see _start_leaves)
        leaving: dict[str, asyncio.Task[None]] = {}
        for battery in replaced.removed:
            self._refreshers.pop(battery, None)
            if isinstance(battery, NetworkLeaf):
                self._group.create_task(self._leave(battery), name=f"leave {battery.name}")
            elif isinstance(battery, PhysicalBattery):
                retiring = self._retire(battery, self._tasks.pop(battery))
                leaving[port_of(battery)] = self._group.create_task(retiring, name=f"retire {battery.name}")
        self._start_leaves(replaced.added, leaving)
        self._controller.topology_changed()
        self._scheduler.look_again()
        self._hub.topology_changed()
        self.ledger.topology_changed()

    async def _retire(self, battery: PhysicalBattery, task: "asyncio.Task[None]") -> None:
        """Make a device safe that is no longer in the topology, and let go of its line."""
        task.cancel()
        await asyncio.wait([task])
        if battery.controllable and battery.counts_at_a != 0.0:
            await self._make_safe(battery)
        await battery.device.close()

    async def _leave(self, battery: NetworkLeaf) -> None:
        """Give back what was asked of a stub that is no longer in the topology, and let go of the link."""
        if battery.counts_at_a != 0.0:
            await self._let_go(battery)
        battery.close()

    async def _age(self) -> None:
        """Touch batteries whose quality changes by the passing of time alone, when it does."""
        while True:
            now_s = self.clock.now_s()
            next_s = now_s + 1.0
            for battery in self.directory:
                if isinstance(battery, DeviceLeaf):
                    valid_until_s = battery.status(now_s).valid_until_s
                    if valid_until_s < next_s:
                        next_s = valid_until_s
            await asyncio.sleep(max(0.001, next_s - self.clock.now_s() + 0.001))
            now_s = self.clock.now_s()
            for battery in self.directory:
                if isinstance(battery, DeviceLeaf):
                    battery.touch_if_older(now_s)

    async def shut_down(self) -> tuple[str, ...]:
        """Refuse new commands and make every device safe, all lines at the same time; return what was not confirmed."""
        self._controller.closing = True
        leaves = [battery for battery in self.directory if isinstance(battery, PhysicalBattery) and battery.controllable]
        remote = [battery for battery in self.directory if isinstance(battery, NetworkLeaf) and battery.counts_at_a != 0.0]
        results = await asyncio.gather(*map(self._make_safe, leaves), *map(self._let_go, remote))
        return tuple(name for name in results if name)

    async def _make_safe(self, battery: PhysicalBattery) -> str:
        """Apply a battery's safe action; return its name if that was not confirmed."""
        try:
            async with asyncio.timeout(SAFE_DEADLINE_S):
                done = await battery.device.make_safe()
        except (BosError, TimeoutError) as error:
            _log.error("not_made_safe", battery=battery.name, detail=str(error) or "no answer in time")
            return battery.name
        _log.info("made_safe", battery=battery.name, action=done)
        return ""

    async def _let_go(self, battery: NetworkLeaf) -> str:
        try:
            async with asyncio.timeout(SAFE_DEADLINE_S):
                await battery.command(0.0, None)
        except (BosError, TimeoutError) as error:
            _log.error("not_let_go", battery=battery.name, detail=str(error) or "no answer in time")
            return battery.name
        return ""

    async def close(self) -> None:
        """Write the meters a last time and let go of every line and link."""
        await self.ledger.stop()
        for battery in self.directory:
            if isinstance(battery, PhysicalBattery):
                await battery.device.close()
            elif isinstance(battery, NetworkLeaf):
                battery.close()

    # --- reading

    def names(self) -> tuple[str, ...]:
        """Return the names of all batteries, in topology order."""
        return tuple(self.directory.batteries)

    def status(self, name: str) -> BatteryStatus:
        """Return the status as it is known now. Raises BadNameError."""
        return self.directory[name].status(self.clock.now_s())

    async def fresh_status(self, name: str, max_age_s: float | None = None) -> BatteryStatus:
        """Return the status after refreshing the lazy batteries below that are stale, or all that are older than `max_age_s`."""
        if old := self._old_below(self.directory[name], max_age_s):
            await self._freshen(old)
        return self.directory[name].status(self.clock.now_s())

    def _old_below(self, battery: Battery, max_age_s: float | None = None) -> list[Refresher]:
        if max_age_s is None:
            return [each for each in self._lazy_below(battery) if self._is_stale(each.battery)]
        return [each for each in self._below(battery) if self._older(each.battery, max_age_s)]

    @staticmethod
    async def _freshen(old: Iterable[Refresher]) -> None:
        await asyncio.gather(*(each.refresh(REFRESH_DEADLINE_S) for each in old), return_exceptions=True)

    def _is_stale(self, battery: PhysicalBattery) -> bool:
        return battery.status(self.clock.now_s()).quality is not Quality.GOOD

    def _older(self, battery: PhysicalBattery, age_s: float) -> bool:
        return battery.sample is None or self.clock.now_s() - battery.sample.sampled_s > age_s

    def _below(self, battery: Battery) -> list[Refresher]:
        return [self._refreshers[leaf] for leaf in members_of(battery) if leaf in self._refreshers]

    def _lazy_below(self, battery: Battery) -> tuple[Refresher, ...]:
        lazy = self._lazy.get(battery.name)
        if lazy is None:
            lazy = self._lazy[battery.name] = tuple(each for each in self._below(battery) if each.battery.lazy)
        return lazy

    def _keep_fresh(self, batteries: Iterable[Battery], rate_s: float) -> None:
        """Have lazy batteries below sampled at the slower of their period and the watcher's rate."""
        for battery in batteries:
            for refresher in self._lazy_below(battery):
                if self._older(refresher.battery, max(refresher.period_s, rate_s) * 0.99):
                    refresher.ask()

    def _sample_soon(self, leaf: DeviceLeaf) -> None:
        refresher = self._refreshers.get(leaf)
        if refresher is not None:
            refresher.ask()

    def watch(
        self, names: Sequence[str] | None, *, min_interval_s: float = 0.0, max_staleness_s: float = 0.0
    ) -> AsyncIterator[WatchBatch]:
        """Yield the current statuses at once, then every change, latest wins, and beats."""
        return self._hub.watch(names, min_interval_s=min_interval_s, max_staleness_s=max_staleness_s)

    async def refresh(self, name: str, *, recursive: bool = False) -> BatteryStatus:
        """Take a fresh sample of it, or of everything below, across nodes. Raises what a device raised."""
        battery = self.directory[name]
        below = list(members_of(battery)) if recursive else [battery]
        waits: list[Callable[[], asyncio._CoroutineLike[None]]] = []
        for leaf in below:
            if leaf in self._refreshers:
                waits.append(lambda leaf=leaf: self._refreshers[leaf].refresh(REFRESH_DEADLINE_S))  # type: ignore[misc]
            elif isinstance(leaf, NetworkLeaf):
                waits.append(lambda leaf=leaf: leaf.refresh(recursive=recursive))  # type: ignore[misc]
        results = await asyncio.gather(*(wait() for wait in waits), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return self.directory[name].status(self.clock.now_s())

    async def explain(self, name: str, *, within_s: float = 1.0) -> Explanation:
        """Return which chain of limits binds, and what is in force, across nodes."""
        self.directory[name]
        return await explained(self.directory.batteries, name, self.clock.now_s(), self.name, within_s)

    # --- commanding

    async def set_current(
        self, name: str, current_a: float, *, ttl_s: float | None, holder: str, request_id: str = "", dry_run: bool = False
    ) -> SetCurrentResult:
        """Check, lower, raise, confirm; all or nothing."""
        if old := self._old_below(self.directory[name]):
            await self._freshen(old)
        return await self._controller.set_current(
            name, current_a, ttl_s=ttl_s, holder=holder, request_id=request_id, dry_run=dry_run
        )

    async def clear_current(self, name: str, *, holder: str) -> SetCurrentResult:
        """End the holder's own set point."""
        return await self._controller.clear_current(name, holder=holder)

    async def stop(
        self, names: Sequence[str], *, node: bool = False, everything: bool = False, reason: str = "", holder: str = ""
    ) -> StopResult:
        """Latch batteries at 0 A, applied before it is recorded."""
        batteries = self._to_stop(names, node=node, everything=everything)
        for battery in batteries:
            battery.latch(stopped=True)
        unconfirmed = await self._controller.stop(batteries, STOP_DEADLINE_S)
        unconfirmed += [each.name for each in batteries if isinstance(each, PhysicalBattery) and not each.controllable]
        latches = [StopLatch(name=each.name, reason=reason, who=holder, at_utc_s=self.clock.utc_s()) for each in batteries]
        _log.warning(
            "stopped", batteries=[battery.name for battery in batteries], unconfirmed=unconfirmed, who=holder, why=reason
        )
        self._unrecorded_stops.update((latch.name, latch) for latch in latches)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECORD_DEADLINE_S):
                await self._try_to_record()
        return StopResult(stopped=tuple(battery.name for battery in batteries), unconfirmed=tuple(unconfirmed))

    async def _try_to_record(self) -> None:
        """Record the stops that the store does not know yet; where it fails they are kept and tried again."""
        latches = dict(self._unrecorded_stops)
        try:
            await self._store.set_stops(tuple(latches.values()))
        except StoreError as error:
            _log.error("store_failed", detail=error.message, unrecorded_stops=len(self._unrecorded_stops))
            return
        for name, latch in latches.items():
            if self._unrecorded_stops.get(name) is latch:
                del self._unrecorded_stops[name]

    async def _record_stops(self) -> None:
        while True:
            await asyncio.sleep(RECORD_PAUSE_S)
            if self._unrecorded_stops:
                await self._try_to_record()

    def _to_stop(self, names: Sequence[str], *, node: bool, everything: bool) -> list[Battery]:
        if not names and not node and not everything:
            raise InvalidArgumentError("name batteries to stop, or the node, or all", field="names")
        if node or everything:
            return [battery for battery in self.directory if not isinstance(battery, NetworkLeaf)]
        batteries = [self.directory[name] for name in names]
        for battery in batteries:
            if isinstance(battery, NetworkLeaf):
                raise UnsupportedError(f"{battery.name} belongs to another node; stop it there", battery=battery.name)
        return batteries

    async def release(self, names: Sequence[str], *, holder: str = "") -> tuple[str, ...]:
        """End the latch; durable before anything may be asked again."""
        batteries = [self.directory[name] for name in names]
        await self._store.clear_stops([battery.name for battery in batteries])
        for battery in batteries:
            self._unrecorded_stops.pop(battery.name, None)
            battery.latch(stopped=False)
        self._controller.look_again(batteries)
        _log.warning("released", batteries=[battery.name for battery in batteries], who=holder)
        return tuple(battery.name for battery in batteries)

    async def modify_pseudo(self, name: str, values: Mapping[str, float], *, holder: str = "") -> BatteryStatus:
        """Change what a pseudo battery reports now."""
        del holder
        battery = self.directory[name]
        if not isinstance(battery, PseudoBattery):
            raise UnsupportedError(
                f"{name} is of kind {battery.kind}, only a pseudo battery can be told what to report", battery=name
            )
        now_s = self.clock.now_s()
        battery.modify(values, now_s)
        return battery.status(now_s)

    # --- editing

    def topology(self) -> TopologyView:
        """Return the topology in force."""
        return self._editor.view()

    def plan(self, edits: Sequence[Edit], *, expected_revision: int | None = None) -> ApplyResult:
        """Check an edit whole and return its differences; change nothing."""
        return self._editor.plan(edits, expected_revision)

    async def apply(
        self, edits: Sequence[Edit], *, expected_revision: int | None, holder: str, comment: str = "", request_id: str = ""
    ) -> ApplyResult:
        """Apply an edit whole or not at all; durable before it returns."""
        del request_id
        return await self._editor.apply(edits, expected_revision, holder, comment)

    async def history(self, limit: int) -> tuple[Revision, ...]:
        """Return the newest revisions, newest first."""
        return await self._editor.history(limit)

    def watch_topology(self) -> AsyncIterator[TopologyView]:
        """Yield the topology at once, then each new revision, latest wins."""
        return self._editor.watch()
