"""The node: directory, controller, refreshers, watchers and editor, behind one interface."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.device import Device
from bosd.bal.directory import Directory, Replaced
from bosd.bal.explain import Explanation
from bosd.bal.facts import Facts, facts_of
from bosd.bal.physical import PhysicalBattery
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.setpoint import Fence
from bosd.bal.spec import BatterySpec, NetworkSpec, PhysicalSpec, Topology
from bosd.bal.status import BatteryStatus
from bosd.bal.told import Told
from bosd.clock import Clock
from bosd.drivers.absent import AbsentDevice
from bosd.drivers.devices import make_device
from bosd.drivers.kind import DriverContext
from bosd.drivers.lines import Lines
from bosd.errors import BosError, InvalidArgumentError, UnsupportedError
from bosd.node.alone import AloneLimits
from bosd.node.api import (
    ApplyResult,
    DeviceView,
    Edit,
    ReleaseResult,
    Revision,
    SetCurrentResult,
    StopResult,
    TopologyView,
    WatchBatch,
)
from bosd.node.claims import Claims
from bosd.node.clock_trust import ClockTrust
from bosd.node.controller import Controller
from bosd.node.device_view import device_view
from bosd.node.editor import Editor
from bosd.node.execute import Executor
from bosd.node.explaining import explained
from bosd.node.faults import Faults
from bosd.node.hooks import Hooks
from bosd.node.hub import Hub
from bosd.node.leaves import FIRST_LOOK_S, Leaves
from bosd.node.ledger import Ledger
from bosd.node.links import RemoteFactory
from bosd.node.noticed import Notices, clock_doubt, devices, failsafe
from bosd.node.requests import lowers_own
from bosd.node.scheduler import Scheduler
from bosd.node.stops import Stops
from bosd.node.timekeeper import Timekeeper
from bosd.policy.registry import policy
from bosd.policy.sharing import sharing
from bosd.store.bookings import BookingTable
from bosd.store.ledger import LedgerTable
from bosd.store.store import Store

LONGEST_AGEING_S = 1.0
"""Until qualities are looked at again, where none is known to change sooner."""

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
        self.make_remote = make_remote
        self._devices = DriverContext(clock, Lines())
        self.directory = Directory(self._make_leaf, policy, sharing)
        self._leaves = Leaves(self.directory, clock, self._look_above, self._not_followed)
        self._executor = executor = Executor(clock, self._leaves.sample_soon)
        self.orphans, self._leaves.until = self._leaves.orphans, executor.until
        self._controller = Controller(self.directory, clock, executor, default_ttl_s=default_ttl_s, longest_ttl_s=longest_ttl_s)
        self._digest: tuple[object, str] = (None, "")
        self.peer_commands = Claims(self.directory, clock, self._controller.taken)
        self._hub = Hub(self.directory, clock, self._leaves.keep_fresh)
        self._stops = Stops(self.directory, clock, store, self._controller, name)
        self.faults = Faults(name, clock)
        self.notices = Notices(self.faults)
        trust = trust or ClockTrust(lambda: True, overridden=False)
        self.notices.sources += [
            lambda: (*devices(self.directory, clock.now_s), *failsafe(self.directory)),
            self._leaves.orphans.noticed,
            self._stops.noticed,
            self._controller.unmet.noticed,
            lambda: clock_doubt(trust.doubt(clock.utc_s())),
        ]
        self.alone = AloneLimits(self.directory, clock, self._controller.look_again)
        self._controller.taken.alone, self.look_again = self.alone.attend_with, self._controller.look_again
        self.followers: list[Callable[[], None]] = []
        """Called after each change of the topology, before anything is asked of what is new."""
        self.parts: list[Callable[[asyncio.TaskGroup], None]] = []
        """Called at the start, with the group that owns every task."""
        self.time = Timekeeper(clock, self.directory, [self._controller])
        self._editor = Editor(self.directory, store, clock, self._replaced, self._controller.stop, self._admit)
        self._editor.try_devices, self._editor.is_latched = self._try_devices, self._stops.is_latched
        self._editor.kept = lambda edited: self.alone.kept(edited, self._leaves.kept)
        self._editor.look = lambda unread: self._leaves.first_look(unread, FIRST_LOOK_S)
        self.stored_topology = self._editor.stored_topology
        self._scheduler = Scheduler(
            self.directory,
            clock,
            BookingTable(store),
            trust,
            self._controller.look_again,
            node=name,
            edits=self._editor.lock,
        )
        self.time.add(self._scheduler)
        self.ledger = Ledger(self.directory, clock, LedgerTable(store))
        self.time.add(self.ledger)
        self.reset_meter = self.ledger.reset_meter
        self.book, self.bookings, self.cancel_booking = self._scheduler.book, self._scheduler.bookings, self._scheduler.cancel

    def capture_into(self, directory: Path) -> None:
        """Keep recorded traffic of batteries with a `capture` in `directory`, from the next device that is made."""
        self._devices = replace(self._devices, captures=directory)

    # --- life

    def _admit(self, topology: Topology) -> None:
        self.time.admit(topology)
        self._scheduler.check_edit(topology)

    def _try_devices(self, topology: Topology) -> None:
        """Make, and drop, the device of each new battery, which opens nothing. Raises ConfigError for what cannot be made."""
        present = set(self.directory.topology.batteries)
        for spec in topology.batteries:
            if isinstance(spec, PhysicalSpec) and spec not in present:
                make_device(spec, self._devices)

    def _make_leaf(self, spec: BatterySpec) -> Battery:
        if isinstance(spec, PhysicalSpec):
            return self._leaves.keep_told(PhysicalBattery(spec, self._device(spec)))
        if isinstance(spec, NetworkSpec):
            return self.make_remote(spec)
        raise InvalidArgumentError(f"no battery of kind {spec.kind!r} can be made", field="kind")

    def _device(self, spec: PhysicalSpec) -> Device:
        """Return a battery's device; one that its driver does not make, although it did once, is not usable and says why."""
        try:
            return make_device(spec, self._devices)
        except BosError as error:
            _log.error("battery_not_usable", battery=spec.name, detail=error.message)
            return AbsentDevice(spec.name, error.message)

    async def load(self, configured: Topology) -> None:
        """Put the stored (or, on first start, the configured) topology in force, with the stops that survived."""
        warning = await self._editor.load(configured)
        if warning:
            _log.warning("topology_differs", detail=warning)
        await self._stops.load()
        await self._scheduler.load()
        await self.ledger.load()
        self.orphans.inherit(self.orphans.book.left)

    def keep(self, *, unowned_s: float, told: Told | None) -> None:
        """Keep a current found running without a holder this long, for its controller; in `told` what devices were told."""
        self._leaves.unowned_kept_s, self._leaves.told_book = unowned_s, told

    def attach(self, hooks: Hooks) -> None:
        """Let hooks hear of what happens to devices."""
        self._hub.attach(hooks.watcher)
        self._executor.not_followed = hooks.not_followed

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start every task inside `group`."""
        self.alone.attend()
        group.create_task(self.alone.run(), name="alone limits")
        group.create_task(self._controller.run(group), name="controller")
        group.create_task(self._scheduler.run(), name="scheduler")
        group.create_task(self._age(), name="ageing")
        group.create_task(self.ledger.run(), name="ledger")
        group.create_task(self.time.run(), name="clock")
        group.create_task(self.notices.run(), name="notices")
        group.create_task(self._stops.run(), name="record stops")
        group.create_task(self._editor.run(), name="edits")
        self._leaves.start(group)
        for start in self.parts:
            start(group)

    def _look_above(self, battery: Battery) -> None:
        """Have what is in force on a battery, and above it, put in force again."""
        if self.directory.batteries.get(battery.name) is battery:
            self._controller.look_again(self.directory.tops_with(battery))

    def _not_followed(self, leaf: DeviceLeaf, error: BosError) -> None:
        """Let hooks hear of a device that does not do what it was told."""
        if self._executor.not_followed is not None:
            self._executor.not_followed(leaf, error)

    def _replaced(self, replaced: Replaced) -> None:
        """Follow an edit: tasks of leaves that went end, those of new ones begin, watchers and set points move over."""
        self._stops.topology_changed(replaced)
        self._leaves.follow(replaced)
        self.alone.attend()
        for follow in self.followers:
            follow()
        self._controller.topology_changed()
        self._scheduler.look_again()
        self._hub.topology_changed()
        self.ledger.topology_changed()

    async def _age(self) -> None:
        """Touch batteries whose quality changes by the passing of time alone, when it does."""
        while True:
            now_s = self.clock.now_s()
            next_s = now_s + LONGEST_AGEING_S
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
        return await self._leaves.make_safe()

    async def close(self) -> None:
        """Write the meters a last time and let go of every line and link."""
        await self.ledger.stop()
        await self._leaves.close()

    # --- for other nodes

    def config_digest(self) -> str:
        """Return what tells this configuration from another: node, revision, and a digest of topology and words of others.

        Those are bounds and efficiencies that other nodes announced: askers that know older ones agree anew (`facts`).
        """
        known = (self._editor.revision, self._leaves.announced())
        if self._digest[0] != known:
            digest = hashlib.sha256(f"{self._editor.view().toml}{known[1]}".encode()).hexdigest()
            self._digest = (known, f"{self.name}/{self._editor.revision}/{digest}")
        return self._digest[1]

    def facts(self, unheard_s: float, names: Sequence[str] = ()) -> dict[str, Facts]:
        """Return what other nodes are told of these batteries, or of all."""
        now_s = self.clock.now_s()
        return {name: facts_of(self.directory[name], unheard_s, now_s) for name in names or self.names()}

    async def first_look(self, names: Sequence[str] = (), *, within_s: float) -> tuple[str, ...]:
        """Wait until what is below these batteries, or all devices of this node, has been looked at once."""
        return await self._leaves.first_look([self.directory[name] for name in names], within_s)

    # --- reading

    def names(self) -> tuple[str, ...]:
        """Return the names of all batteries, in topology order."""
        return tuple(self.directory.batteries)

    def status(self, name: str) -> BatteryStatus:
        """Return the status as it is known now. Raises BadNameError."""
        return self.directory[name].status(self.clock.now_s())

    async def fresh_status(self, name: str, max_age_s: float | None = None) -> BatteryStatus:
        """Return the status after refreshing the lazy batteries below that are stale, or all that are older than `max_age_s`."""
        if old := self._leaves.old_below(self.directory[name], max_age_s):
            await self._leaves.freshen(old)
        return self.directory[name].status(self.clock.now_s())

    def watch(
        self, names: Sequence[str] | None, *, min_interval_s: float = 0.0, max_staleness_s: float = 0.0
    ) -> AsyncIterator[WatchBatch]:
        """Yield the current statuses at once, then every change, latest wins, and beats."""
        return self._hub.watch(names, min_interval_s=min_interval_s, max_staleness_s=max_staleness_s)

    async def refresh(self, name: str, *, recursive: bool = False) -> BatteryStatus:
        """Take a fresh sample of it, or of everything below, across nodes. Raises what a device raised."""
        await self._leaves.refresh(self.directory[name], recursive=recursive)
        return self.directory[name].status(self.clock.now_s())

    async def explain(self, name: str, *, within_s: float = 1.0) -> Explanation:
        """Return which chain of limits binds, and what is in force, across nodes."""
        self.directory[name]
        return await explained(self.directory.batteries, name, self.clock.now_s(), self.name, within_s)

    def device(self, name: str) -> DeviceView:
        """Return what the device of a physical battery tells of itself."""
        return device_view(self.directory[name])

    # --- commanding

    async def set_current(
        self,
        name: str,
        current_a: float,
        *,
        ttl_s: float | None,
        holder: str,
        request_id: str = "",
        dry_run: bool = False,
        fence: Fence | None = None,
    ) -> SetCurrentResult:
        """Check, lower, raise, confirm; all or nothing."""
        lowers = lowers_own(self.directory[name], current_a, holder, self.clock.now_s())
        await self._look_first(name, known=dry_run or lowers)
        return await self._controller.set_current(
            name, current_a, ttl_s=ttl_s, holder=holder, request_id=request_id, dry_run=dry_run, fence=fence
        )

    async def force_current(
        self, name: str, current_a: float, *, ttl_s: float | None, holder: str, request_id: str = "", dry_run: bool = False
    ) -> SetCurrentResult:
        """End another holder's set point, wait for the safe value, then do as `set_current` does."""
        await self._look_first(name, known=dry_run)
        return await self._controller.force_current(
            name, current_a, ttl_s=ttl_s, holder=holder, request_id=request_id, dry_run=dry_run
        )

    async def _look_first(self, name: str, *, known: bool) -> None:
        """Have what is below sampled where it is old; unless `known`, wait until all of it was looked at once."""
        battery = self.directory[name]
        if old := self._leaves.old_below(battery):
            await self._leaves.freshen(old)
        if not known:
            await self._leaves.need_first_look(self.directory.tops_with(battery), name)

    async def clear_current(self, name: str, *, holder: str) -> SetCurrentResult:
        """End the holder's own set point."""
        return await self._controller.clear_current(name, holder=holder)

    async def stop(
        self,
        names: Sequence[str],
        *,
        node: bool = False,
        everything: bool = False,
        reason: str = "",
        holder: str = "",
        via: Sequence[str] = (),
    ) -> StopResult:
        """Latch batteries at 0 A, applied before it is recorded."""
        return await self._stops.stop(names, node=node, everything=everything, reason=reason, holder=holder, via=via)

    async def release(self, names: Sequence[str], *, holder: str = "", via: Sequence[str] = ()) -> ReleaseResult:
        """End the latch; durable before anything may be asked again."""
        return await self._stops.release(names, holder=holder, via=via)

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

    async def plan(self, edits: Sequence[Edit], *, expected_revision: int | None = None) -> ApplyResult:
        """Check an edit whole and return its differences; change nothing."""
        return await self._editor.plan(edits, expected_revision)

    async def apply(
        self, edits: Sequence[Edit], *, expected_revision: int | None, holder: str, comment: str = "", request_id: str = ""
    ) -> ApplyResult:
        """Apply an edit whole or not at all; durable before it returns."""
        return await self._editor.apply(edits, expected_revision, holder, comment, request_id)

    async def history(self, limit: int) -> tuple[Revision, ...]:
        """Return the newest revisions, newest first."""
        return await self._editor.history(limit)

    def watch_topology(self) -> AsyncIterator[TopologyView]:
        """Yield the topology at once, then each new revision, latest wins."""
        return self._editor.watch()
