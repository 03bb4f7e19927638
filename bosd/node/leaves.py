"""The leaves of a node: one refreshing task a physical battery, devices made safe and let go, samples taken when needed."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog

from bosd.bal.aggregator import Aggregator, devices_below, members_of
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.caps import clamp_to_caps
from bosd.bal.directory import Directory, Replaced, place_of
from bosd.bal.edited import Edited
from bosd.bal.physical import PhysicalBattery
from bosd.bal.setpoint import SetPoint
from bosd.bal.spec import NetworkSpec, PhysicalSpec
from bosd.bal.status import HEARD, Quality
from bosd.bal.told import Told
from bosd.clock import Clock, LoopClock
from bosd.drivers.renewing import Renewing
from bosd.errors import BosError, InDoubtError, UnavailableError
from bosd.node.adopt import adopt
from bosd.node.links import NetworkLeaf
from bosd.node.orphans import AGAIN_S, Orphans
from bosd.node.read_back import ReadBack
from bosd.node.refresh import Refresher, port_of
from bosd.node.renew import renew

REFRESH_DEADLINE_S = 5.0
SAFE_DEADLINE_S = 3.0
LEASE_S = 3.0
"""Unless `[fleet] lease_s` says otherwise (control.md, "The two ends of a set point")."""
FIRST_LOOK_S = 1.5
"""How long a command waits for devices that were not looked at yet: longer than one answer, shorter than a call's deadline."""
LOOK_PAUSE_S = 0.02
SLOT_S = 0.05
"""Reads are spread over the period in steps of this, so that of a thousand batteries many share one waking of the process."""
NOBODY: Mapping[str, "asyncio.Task[None]"] = {}

_log = structlog.get_logger("node")


class Leaves:
    """Tasks and freshness of the batteries that need the outside world.

    `look_above` has what is in force on one put in force, `not_followed` hears of a device that does not do what it was told.
    """

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        look_above: Callable[[Battery], None],
        not_followed: Callable[[DeviceLeaf, BosError], None],
    ) -> None:
        self.directory = directory
        self.clock = clock
        self._look_above = look_above
        self.unowned_kept_s = LEASE_S
        """How long a current that nobody asked for is kept for its controller to come back: one lease."""
        self.told_book: Told | None = None
        self.until: Mapping[DeviceLeaf, Callable[[], float]] = {}
        """Until when what devices were told is wanted, where it is not in force above yet."""
        self._not_followed = not_followed
        self.orphans = Orphans(directory, self._try_again)
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[Battery, asyncio.Task[None]] = {}
        self._adoptions: dict[Battery, asyncio.Task[None]] = {}
        self._renewals: dict[Battery, asyncio.Task[None]] = {}
        self._read_backs: dict[Battery, asyncio.Task[None]] = {}
        self._refreshers: dict[Battery, Refresher] = {}
        self._lazy: dict[str, tuple[Refresher, ...]] = {}
        self._stubs: dict[NetworkLeaf, None] = {}

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start the tasks of all leaves inside `group`."""
        self._group = group
        self.orphans.start(group)
        self._start_leaves(self.directory)

    def _start_leaves(self, batteries: Iterable[Battery], leaving: Mapping[str, "asyncio.Task[None]"] = NOBODY) -> None:
        """Start the tasks of these leaves, those on a port in `leaving` once the battery that had it has let go."""
        assert self._group is not None  # noqa: S101 (edits come from the API, which is up after start)
        batteries = tuple(batteries)
        for stub in batteries:
            if isinstance(stub, NetworkLeaf):
                stub.look_again = partial(self._look_above, stub)
                self._stubs[stub] = None
        physical = [battery for battery in batteries if isinstance(battery, PhysicalBattery)]
        for number, each in enumerate(physical):
            delay_s = number / len(physical) * self._period_s(each)
            refresher = Refresher(each, LoopClock(asyncio.get_running_loop()), first_delay_s=delay_s // SLOT_S * SLOT_S)
            self._refreshers[each] = refresher
            task = refresher.run(after=leaving.get(port_of(each)))
            self._tasks[each] = self._group.create_task(task, name=f"refresh {each.name}")
            if each.controllable:
                self._look_first(each, self._group)
                self._read_backs[each] = self._group.create_task(self._read_back(each).run(), name=f"read back {each.name}")
            if isinstance(each.device, Renewing):
                renewing = renew(each, each.device, partial(self._look_above, each), partial(self._is_in_force, each))
                self._renewals[each] = self._group.create_task(renewing, name=f"renew {each.name}")
        self._lazy = {}

    def _read_back(self, battery: PhysicalBattery) -> ReadBack:
        return ReadBack(
            battery,
            self.clock,
            begun=self._not_followed,
            tell_again=partial(self._look_above, battery),
            sample_soon=self.sample_soon,
        )

    def keep_told(self, battery: PhysicalBattery) -> PhysicalBattery:
        """Have kept what its device is told, of one that is in no topology any more, too; return it."""
        if self.told_book is not None:
            battery.keep_told(self.told_book)
        return battery

    def _look_first(self, battery: PhysicalBattery, group: asyncio.TaskGroup) -> None:
        """Find out what a device runs; one that lets go by itself is known to run nothing when it has."""
        self.keep_told(battery)
        hold_s = battery.device.hold_s
        battery.unread_until_s = math.inf if hold_s is None else self.clock.now_s() + hold_s
        adopting = adopt(battery, partial(self._look_above, battery), kept_s=partial(self._kept_s, battery))
        self._adoptions[battery] = group.create_task(adopting, name=f"adopt {battery.name}")

    def _kept_s(self, battery: PhysicalBattery, found_a: float) -> float:
        """Return how long what a device is found running is kept for its controller: not where a limit allows less."""
        now_s = self.clock.now_s()
        limited: Battery | None = battery
        while limited is not None:
            if clamp_to_caps(limited, found_a, now_s)[1]:
                return 0.0
            limited = limited.user if isinstance(limited.user, Aggregator) else None
        return self.unowned_kept_s

    def _is_in_force(self, battery: PhysicalBattery) -> bool:
        """Return whether nothing that is asked above a device, or that it was told for, is over by now."""
        now_s, until = self.clock.now_s(), self.until.get(battery)
        if self.directory.batteries.get(battery.name) is not battery or (until is not None and until() <= now_s):
            return False
        asked = [each for top in self.directory.tops_with(battery) for each in (top.setpoint, top.booked) if each is not None]
        return all(now_s < (each.over_s if isinstance(each, SetPoint) else each.ends_s) for each in asked)

    def announced(self) -> tuple[tuple[float | None, ...], ...]:
        """Return what others announced for this node's stubs, to pass on: times, efficiencies, alone limits."""
        ways = (False, True)
        return tuple(
            (
                stub.let_go_s,
                stub.command_deadline_s,
                *(told(discharging=way) for told in (stub.far_efficiency, stub.alone_limit_w) for way in ways),
            )
            for stub in self._stubs
        )

    @staticmethod
    def _period_s(battery: PhysicalBattery) -> float:
        spec = battery.spec
        return spec.refresh_period_s if isinstance(spec, PhysicalSpec) else 0.0

    def follow(self, replaced: Replaced) -> None:
        """Follow an edit: tasks of leaves that went end, those of new ones begin."""
        assert self._group is not None  # noqa: S101 (see _start_leaves)
        leaving: dict[str, asyncio.Task[None]] = {}
        for battery in replaced.removed:
            self._refreshers.pop(battery, None)
            if isinstance(battery, NetworkLeaf):
                del self._stubs[battery]
                self._group.create_task(self._leave(battery), name=f"leave {battery.name}")
            elif isinstance(battery, PhysicalBattery):
                if self._may_run_on(battery):
                    self.orphans.leaving[battery] = None
                retiring = self._retire(battery, self._tasks.pop(battery))
                leaving[port_of(battery)] = self._group.create_task(retiring, name=f"retire {battery.name}")
        self._start_leaves(replaced.added, leaving)

    @asynccontextmanager
    async def kept(self, edited: Edited) -> AsyncIterator[None]:
        """Have what leaves and may run on kept for a restart while an edit is stored. Raises StoreError, UnavailableError."""
        removed = [leaf for leaf in edited.leaving if edited.specs.get(leaf.name) != leaf.spec]
        take_back: list[Callable[[], None]] = []
        try:
            for leaf in removed:
                after = edited.specs.get(leaf.name)
                if isinstance(leaf, NetworkLeaf) and isinstance(after, NetworkSpec):
                    take_back.append(await leaf.note_moved(after))
            going = [leaf for leaf in removed if isinstance(leaf, PhysicalBattery) and self._may_run_on(leaf)]
            async with self.orphans.going(going):
                yield
        except BosError as error:
            if not isinstance(error, InDoubtError):  # else the edit may be stored all the same
                for each in take_back:
                    each()
            raise

    def _may_run_on(self, battery: PhysicalBattery) -> bool:
        return battery.controllable and (battery.counts_at_a != 0.0 or self._may_run_unseen(battery))

    def _may_run_unseen(self, battery: PhysicalBattery) -> bool:
        """Return whether a device that goes may run what an earlier run asked for: nobody has looked, and nobody will.

        One that no run has a sample of was never there.
        """
        return battery.was_there and battery.is_unread(self.clock.now_s()) and not self.orphans.is_had_again(battery)

    async def _retire(self, battery: PhysicalBattery, task: "asyncio.Task[None]") -> None:
        """Make a device safe that left the topology, and let go of its line; one that does not confirm is an orphan."""
        beside = (self._adoptions, self._renewals, self._read_backs)
        tasks = [task, *(each.pop(battery) for each in beside if battery in each)]
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)
        assert self._group is not None  # noqa: S101 (see _start_leaves)
        runs = battery in self.orphans.leaving and await self._make_safe(battery)
        if runs and not self.orphans.is_had_again(battery):
            self._group.create_task(self.orphans.see_to(battery), name=f"see to {battery.name}")
            self.orphans.batteries[battery] = None
        else:
            await self.orphans.let_go(battery)
        if battery in self.orphans.leaving:
            del self.orphans.leaving[battery]
            self.orphans.keep()

    async def _leave(self, battery: NetworkLeaf) -> None:
        """Give back what was asked of a stub that is no longer in the topology, 0 A too, and let go of the link.

        While its owner is heard that is tried until it succeeds, or its time is over for certain, unless another stub is of the
        same battery by now: beats for others renew the lease of what was asked, so that nothing else ends it before its time.
        """
        place = place_of(battery.spec)
        told_s = -math.inf if battery.told_ends_s is None else battery.told_ends_s
        if battery.counts_at_a != 0.0 or told_s > self.clock.now_s():
            ends_s = told_s if battery.unconfirmed_a is None and battery.told_ends_s is not None else math.inf
            why = ""
            while refused := await self._given_back(battery):
                if refused != why:
                    _log.error("not_let_go", battery=battery.name, detail=refused)
                why, now_s = refused, self.clock.now_s()
                if now_s > ends_s or battery.status(now_s).link not in HEARD:
                    break
                await asyncio.sleep(AGAIN_S)
                if any(isinstance(each, NetworkLeaf) and place_of(each.spec) == place for each in self.directory):
                    break
        battery.close()

    async def make_safe(self) -> tuple[str, ...]:
        """Make every device safe, all lines at the same time; return what was not confirmed."""
        leaves = [battery for battery in self.directory if isinstance(battery, PhysicalBattery) and battery.controllable]
        orphans = self.orphans.all()
        remote = [battery for battery in self.directory if isinstance(battery, NetworkLeaf) and battery.counts_at_a != 0.0]
        results = await asyncio.gather(
            *map(self._make_safe, leaves), *map(self._make_orphan_safe, orphans), *map(self._let_go, remote)
        )
        return tuple(name for name in results if name)

    async def _make_orphan_safe(self, battery: PhysicalBattery) -> str:
        """Apply the safe action of one that no battery has; return the name that the guard knows it by if it did not confirm."""
        called = self.orphans.called(battery)
        return called if not self.orphans.is_had_again(battery) and await self._make_safe(battery) else ""

    @staticmethod
    async def _try_again(battery: PhysicalBattery) -> bool:
        """Apply an orphan's safe action; return whether it was confirmed. That it was not is an error of the node already.

        It has the time that its driver declares: nobody waits for it, and one that is slow would never confirm.
        """
        try:
            async with asyncio.timeout(battery.command_deadline_s):
                await battery.make_safe()
        except (BosError, TimeoutError):
            return False
        return True

    async def _make_safe(self, battery: PhysicalBattery) -> str:
        """Apply a battery's safe action; return its name if that was not confirmed."""
        try:
            async with asyncio.timeout(SAFE_DEADLINE_S):
                done = await battery.make_safe()
        except (BosError, TimeoutError) as error:
            _log.error("not_made_safe", battery=battery.name, detail=str(error) or "no answer in time")
            return battery.name
        _log.info("made_safe", battery=battery.name, action=done)
        return ""

    async def _let_go(self, battery: NetworkLeaf) -> str:
        if refused := await self._given_back(battery):
            _log.error("not_let_go", battery=battery.name, detail=refused)
        return battery.name if refused else ""

    @staticmethod
    async def _given_back(battery: NetworkLeaf) -> str:
        """Give back what was asked of a stub; return in words what kept its owner from taking it."""
        try:
            async with asyncio.timeout(SAFE_DEADLINE_S):
                await battery.command(0.0, None)
        except (BosError, TimeoutError) as error:
            return str(error) or "no answer in time"
        return ""

    async def close(self) -> None:
        """Let go of every line and link."""
        for battery in self.directory:
            if isinstance(battery, PhysicalBattery):
                await battery.device.close()
            elif isinstance(battery, NetworkLeaf):
                battery.close()
        for battery in self.orphans.all():
            await battery.device.close()

    def old_below(self, battery: Battery, max_age_s: float | None = None) -> list[Refresher]:
        """Return whom to ask for a sample: the lazy batteries below that are stale, or all that are older than `max_age_s`."""
        if max_age_s is None:
            return [each for each in self._lazy_below(battery) if self._is_stale(each.battery)]
        return [each for each in self._below(battery) if self._older(each.battery, max_age_s)]

    @staticmethod
    async def freshen(old: Iterable[Refresher]) -> None:
        """Wait for a sample of each; those that fail show it in their status."""
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

    def keep_fresh(self, batteries: Iterable[Battery], rate_s: float) -> None:
        """Have lazy batteries below sampled at the slower of their period and the watcher's rate."""
        for battery in batteries:
            for refresher in self._lazy_below(battery):
                if self._older(refresher.battery, max(refresher.period_s, rate_s) * 0.99):
                    refresher.ask()

    async def first_look(self, batteries: Sequence[Battery], within_s: float) -> tuple[str, ...]:
        """Wait until all below has been looked at, or all physical batteries; return what has not within `within_s`.

        A device that gave no answer was looked at; one that lets go by itself may run what an earlier run asked for until it has.
        """
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + within_s
        while True:
            now_s = self.clock.now_s()
            below: Iterable[Battery] = [leaf for battery in batteries for leaf in devices_below(battery)]
            leaves = below if batteries else (leaf for leaf in self.directory if isinstance(leaf, PhysicalBattery))
            unread = [leaf.name for leaf in leaves if isinstance(leaf, DeviceLeaf) and leaf.is_waited_for(now_s)]
            if not unread or loop.time() >= ends_s:
                return tuple(dict.fromkeys(unread))
            await asyncio.sleep(LOOK_PAUSE_S)

    async def need_first_look(self, batteries: Iterable[Battery], name: str) -> None:
        """Wait as `first_look`. Raises UnavailableError, naming what may still run what was asked before this node started."""
        tops = tuple(batteries)
        if unread := await self.first_look(tops, FIRST_LOOK_S):
            below = {leaf.name: leaf for top in tops for leaf in devices_below(top) if leaf.unread_until_s == math.inf}
            held = [leaf for name in unread if isinstance(leaf := below.get(name), NetworkLeaf)]
            waits = dict.fromkeys(f"{leaf.until_contact}: it holds" for leaf in held)
            until = "; ".join(waits) or "ask again in a few seconds"
            raise UnavailableError(
                f"{name}: {', '.join(unread)} was not heard since this node started and may still run what was asked before; "
                + until,
                battery=name,
                unread=",".join(unread),
            )

    def sample_soon(self, leaf: DeviceLeaf) -> None:
        """Have a sample taken of a device that was told something."""
        refresher = self._refreshers.get(leaf)
        if refresher is not None:
            refresher.ask()

    async def refresh(self, battery: Battery, *, recursive: bool) -> None:
        """Take a fresh sample of it, or of everything below, across nodes. Raises what a device raised."""
        waits = []
        for leaf in list(members_of(battery)) if recursive else [battery]:
            if leaf in self._refreshers:
                waits.append(self._refreshers[leaf].refresh(REFRESH_DEADLINE_S))
            elif isinstance(leaf, NetworkLeaf):
                waits.append(leaf.refresh(recursive=recursive))
        for result in await asyncio.gather(*waits, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
