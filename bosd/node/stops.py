"""Stops: latched at 0 A above everything, applied before they are recorded (control.md, "Stop always works")."""

import asyncio
import contextlib
import textwrap
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.directory import Directory, Replaced, place_of
from bosd.bal.physical import PhysicalBattery
from bosd.bal.setpoint import SetPoint
from bosd.clock import Clock
from bosd.errors import (
    BadNameError,
    BosError,
    CycleError,
    InvalidArgumentError,
    NotAllowedError,
    StoppedError,
    StoreError,
    UnavailableError,
)
from bosd.node.api import AskedAgain, ReleaseResult, StopResult
from bosd.node.controller import Controller
from bosd.node.drain import unlatch
from bosd.node.explaining import HOP_PART
from bosd.node.faults import Severity
from bosd.node.late_stops import LateStops
from bosd.node.links import NetworkLeaf
from bosd.node.noticed import Noticed
from bosd.store.records import StopLatch
from bosd.store.store import Store

T = TypeVar("T")

STOP_DEADLINE_S = 2.0
RECORD_PAUSE_S = 5.0
RECORD_DEADLINE_S = 1.0
MOST_REASON = 200
"""Of a reason that was given so many characters stand in a status."""

NOTHING = Replaced(removed=(), added=())

_log = structlog.get_logger("node")


class Stops:
    """The latches of a node, by name; what the store did not take is kept and tried again.

    A latch outlives edits: a battery that is put there again under the name of a stopped one is stopped, and so is a device that
    gets another name.
    """

    def __init__(self, directory: Directory, clock: Clock, store: Store, controller: Controller, node: str) -> None:
        self.directory = directory
        self.clock = clock
        self._store = store
        self._controller = controller
        self._node = node
        self._failure = ""
        self._latches: dict[str, StopLatch] = {}
        self._unrecorded_stops: dict[str, StopLatch] = {}
        self._storing = asyncio.Lock()
        self._moved = asyncio.Event()
        self._late = LateStops()

    async def load(self) -> None:
        """Latch what was stopped when the node went down."""
        self._latches = {latch.name: latch for latch in await self._store.load_stops()}
        self.topology_changed()

    def topology_changed(self, replaced: Replaced = NOTHING) -> None:
        """Latch batteries that are new under a name that is stopped, and devices that were under another one."""
        there = {place_of(new.spec): new for new in replaced.added if isinstance(new, DeviceLeaf)}
        for old in replaced.removed:
            new, latch = there.get(place_of(old.spec)), self._latches.get(old.name)
            if new is not None and latch is not None and new.name not in self._latches:
                moved = self._latches[new.name] = replace(latch, name=new.name)
                self._to_record([moved])
                self._moved.set()
        for name, latch in self._latches.items():
            battery = self.directory.batteries.get(name)
            if battery is not None and not (battery.stopped and battery.stop_note):
                _latch(battery, latch)

    def is_latched(self, name: str) -> bool:
        """Tell whether a battery of that name is stopped until somebody releases it."""
        return name in self._latches

    async def stop(
        self, names: Sequence[str], *, node: bool, everything: bool, reason: str, holder: str, via: Sequence[str] = ()
    ) -> StopResult:
        """Latch batteries at 0 A at their owners, applied before it is recorded; owners are asked at the same time.

        A stub is latched here until its owner has it; where that fails it stays so, is recorded here, and told at contact.
        A name that is no battery here keeps none of the others running. Raises BadNameError where none is one.
        """
        batteries = self._to_stop(names, node=node, everything=everything)
        stubs = [battery for battery in batteries if isinstance(battery, NetworkLeaf)]
        fresh = [stub for stub in stubs if not self.is_latched(stub.name)]
        now_utc_s = self.clock.utc_s()
        latches = {each.name: StopLatch(name=each.name, reason=reason, who=holder, at_utc_s=now_utc_s) for each in batteries}
        self._latches |= latches
        for battery in batteries:
            _latch(battery, latches[battery.name])
        within_s = STOP_DEADLINE_S * HOP_PART ** len(via)
        asking = [self._at_owner(stub, via, lambda stub, on: stub.stop(reason, on, within_s * HOP_PART)) for stub in stubs]
        self._late.asked(stubs)
        try:
            unconfirmed, answers = await asyncio.gather(
                self._controller.stop(batteries, within_s * HOP_PART), asyncio.gather(*asking)
            )
        except asyncio.CancelledError:  # nobody waits for the answer; what is latched stays so, and is recorded
            self._to_record(latches.values())
            raise
        missed, far_unconfirmed = _sorted_out(stubs, answers)
        for stub in fresh:
            if stub.name not in missed and self._latches.get(stub.name) is latches[stub.name]:
                self._unlatch(stub)  # latched at its owner, which alone releases it
        own = [each for each in batteries if each not in stubs]
        done = {stub.name for stub in stubs} - set(missed)
        unconfirmed = [name for name in unconfirmed if name not in done]
        unconfirmed += [each.name for each in own if isinstance(each, PhysicalBattery) and not each.controllable]
        unconfirmed += [name for name in far_unconfirmed if name not in unconfirmed]
        latched = [latch for name, latch in latches.items() if name not in done]
        _log.warning(
            "stopped",
            batteries=[battery.name for battery in batteries],
            unconfirmed=unconfirmed,
            not_at_owner=missed,
            who=holder,
            why=reason,
        )
        self._to_record(latched)
        if latched:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECORD_DEADLINE_S if not via else within_s * (1.0 - HOP_PART) / 2.0):
                    await self._try_to_record()
        stopped = tuple(each.name for each in batteries if each.name not in missed)
        far = (
            stub.name for stub, answer in zip(stubs, answers, strict=True) if isinstance(answer, StopResult) and answer.unrecorded
        )
        unrecorded = tuple(dict.fromkeys((*(name for name in latches if name in self._unrecorded_stops), *far)))
        unknown = tuple(name for name in dict.fromkeys(names) if name not in latches)
        return StopResult(
            stopped=stopped, unconfirmed=tuple(unconfirmed), not_at_owner=missed, unrecorded=unrecorded, unknown=unknown
        )

    def _to_record(self, latches: Iterable[StopLatch]) -> None:
        """Have the store know those that are in force; one that was released meanwhile is not."""
        self._unrecorded_stops |= {latch.name: latch for latch in latches if self._latches.get(latch.name) is latch}

    def _unlatch(self, battery: Battery) -> None:
        """End the latch of a battery, of the one that has its name by now, too."""
        del self._latches[battery.name]
        self._late.forget(battery.name)
        for each in {battery, self.directory.batteries.get(battery.name, battery)}:
            unlatch(each)

    async def _at_owner(
        self, stub: NetworkLeaf, via: Sequence[str], ask: Callable[[NetworkLeaf, tuple[str, ...]], Awaitable[T]]
    ) -> T | BosError:
        """Return what a stub's owner answers, or the error it did not do it with."""
        here = f"{self._node}/{stub.name}"
        if here in via:
            return CycleError(f"{stub.name}: its owner is asked through it: {' -> '.join((*via, here))}", cycle=here)
        try:
            async with asyncio.timeout(STOP_DEADLINE_S):
                return await ask(stub, (*via, here))
        except TimeoutError:
            return UnavailableError(f"{stub.name}: its node did not answer within {STOP_DEADLINE_S:g} s", battery=stub.name)
        except BosError as error:
            return error

    async def _try_to_record(self) -> None:
        """Record the stops that the store does not know yet; where it fails they are kept and tried again."""
        async with self._storing:  # a release that is being stored goes first: what it ends is not recorded behind it
            latches = dict(self._unrecorded_stops)
            try:
                await self._store.set_stops(tuple(latches.values()))
            except StoreError as error:
                self._failure = error.message
                _log.error("store_failed", detail=error.message, unrecorded_stops=len(self._unrecorded_stops))
                return
        self._failure = ""
        for name, latch in latches.items():
            if self._unrecorded_stops.get(name) is latch:
                del self._unrecorded_stops[name]

    def noticed(self) -> Iterable[Noticed]:
        """Yield what is wrong: stops that are in force and that the store did not take."""
        if self._failure and self._unrecorded_stops:
            message = f"{len(self._unrecorded_stops)} stops are in force and not recorded: {self._failure}"
            yield Noticed("STORE_FAILED", Severity.HIGH, message, "stops")

    async def run(self) -> None:
        """Try again to record, and tell owners at contact what they do not know, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._late.run(self._tell_owners), name="late stops")
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RECORD_PAUSE_S):
                        await self._moved.wait()
                self._moved.clear()
                if self._unrecorded_stops:
                    await self._try_to_record()

    async def _tell_owners(self) -> None:
        """Stop at their owners the stubs that are stopped here alone, once there is a session; then it stands there alone."""
        if not self._latches:
            return
        now_s = self.clock.now_s()
        named = (self.directory.batteries.get(name) for name in self._latches)
        due = self._late.due([each for each in named if isinstance(each, NetworkLeaf)], now_s)
        if not due:
            return
        async with self._late.lock:  # by now some may be released, or stopped anew
            meant = {stub.name: self._latches[stub.name] for stub in due if stub.name in self._latches}
            stubs = [stub for stub in due if stub.name in meant and not self._late.is_told(stub.name, meant[stub.name])]
            within_s = STOP_DEADLINE_S * HOP_PART
            asking = [
                self._at_owner(stub, (), lambda stub, on: stub.stop(meant[stub.name].reason, on, within_s)) for stub in stubs
            ]
            self._late.asked(due)
            missed, _ = _sorted_out(stubs, await asyncio.gather(*asking))
            for stub in stubs:
                if stub.name not in missed and self.directory.batteries.get(stub.name) is stub:
                    self._late.told(stub.name, meant[stub.name])
        if stubs:
            _log.warning("stops_told_late", batteries=[stub.name for stub in stubs], not_at_owner=missed)
        done = [stub for stub in due if stub.name in meant and self._late.is_told(stub.name, meant[stub.name])]
        with contextlib.suppress(TimeoutError):  # it stands at the owner: here it ends, once that is on the disk
            async with asyncio.timeout(RECORD_DEADLINE_S):
                await self._end(done, meant, {})

    def _to_stop(self, names: Sequence[str], *, node: bool, everything: bool) -> list[Battery]:
        if not names and not node and not everything:
            raise InvalidArgumentError("name batteries to stop, or the node, or all", field="names")
        if everything:
            return list(self.directory)
        if node:
            return [battery for battery in self.directory if not isinstance(battery, NetworkLeaf)]
        known = [self.directory[name] for name in dict.fromkeys(names) if name in self.directory.batteries]
        return known or [self.directory[names[0]]]

    async def release(self, names: Sequence[str], *, holder: str, via: Sequence[str] = ()) -> ReleaseResult:
        """End the latches that can be ended; durable before anything may be asked again. Owners of stubs first.

        An owner may let only its own admins release: then the stop that stands here, if one does, ends here alone.
        A stop that comes meanwhile stays. Raises what refused it where one battery alone is named.
        """
        refused: dict[str, BosError] = {}
        batteries = self._known(names, refused)
        meant = dict(self._latches)
        stubs = [battery for battery in batteries if isinstance(battery, NetworkLeaf)]
        within_s = STOP_DEADLINE_S * HOP_PART ** len(via)
        asking = [self._at_owner(stub, via, lambda stub, on: stub.release(on, within_s * HOP_PART)) for stub in stubs]
        async with self._late.lock if stubs else contextlib.nullcontext():  # a late stop must not come behind it
            answers = await asyncio.gather(*asking)
            ended = [each.name for each, answer in zip(stubs, answers, strict=True) if answer is None and each.name in meant]
            for name in ended:  # nor while the disk is waited for
                self._late.told(name, meant[name])
        for stub, answer in zip(stubs, answers, strict=True):
            if isinstance(answer, NotAllowedError) and not via:
                latch = self._latches.get(stub.name)
                if latch is None or self._late.is_told(stub.name, latch):
                    refused[stub.name] = _at_owner_alone(stub, answer)
                    continue
                _log.warning("released_here_alone", battery=stub.name, detail=answer.message, who=holder)
            elif answer is not None:
                refused[stub.name] = answer
        await self._end([battery for battery in batteries if battery.name not in refused], meant, refused)
        for name in set(ended) & refused.keys():
            self._late.forget(name)  # what stays is told anew
        done = [battery for battery in batteries if battery.name not in refused]
        self._controller.look_again(done)
        if refused and len(set(names)) == 1:
            raise next(iter(refused.values()))
        released = [battery.name for battery in done]
        _log.warning("released", batteries=released, refused=list(refused), who=holder)
        return ReleaseResult(released=tuple(released), refused=refused, asked_again=self._asked_again(done))

    def _asked_again(self, released: Sequence[Battery]) -> tuple[AskedAgain, ...]:
        """Return what is asked of these, and of what rests on them, that is not stopped itself."""
        now_s = self.clock.now_s()
        found = []
        for top in {top: None for battery in released for top in self.directory.tops_with(battery) if not top.stopped}:
            asked = top.setpoint if top.setpoint is not None and top.setpoint.over_s > now_s else top.booked
            if asked is not None and asked.current_a != 0.0:
                found.append(AskedAgain(top.name, asked.current_a, asked.holder if isinstance(asked, SetPoint) else ""))
        return tuple(found)

    async def _end(self, batteries: Sequence[Battery], meant: Mapping[str, StopLatch], refused: dict[str, BosError]) -> None:
        """End latches that are still the ones that were `meant`, on the disk first; add to `refused` what is not ended."""
        async with self._storing:
            ending = [each for each in batteries if self._latches.get(each.name) is meant.get(each.name)]
            try:
                await self._store.prove()  # else a disk that hangs would forget them after it was refused
                await self._store.clear_stops([battery.name for battery in ending])
            except (StoreError, asyncio.CancelledError) as error:  # what is latched stays so, and the disk may know it no more
                kept = [latch for each in ending if (latch := self._latches.get(each.name)) is not None]
                self._to_record(kept)
                if not isinstance(error, StoreError):
                    raise
                refused |= {latch.name: error for latch in kept}
            for battery in batteries:
                name, latch = battery.name, self._latches.get(battery.name)
                if latch is None or name in refused:
                    continue
                if latch is meant.get(name):
                    self._unrecorded_stops.pop(name, None)
                    self._unlatch(battery)
                else:
                    self._unrecorded_stops[name] = latch
                    refused[name] = StoppedError(
                        f"{name} was stopped again by {latch.who} while it was being released", name=name
                    )

    def _known(self, names: Sequence[str], refused: dict[str, BosError]) -> list[Battery]:
        """Return the batteries of these names; a name that none has is among what is refused."""
        found = []
        for name in dict.fromkeys(names):
            try:
                found.append(self.directory[name])
            except BadNameError as error:
                refused[name] = error
        return found


def _latch(battery: Battery, latch: StopLatch) -> None:
    """Stop a battery, and have it say by whom, since when and why."""
    since = datetime.fromtimestamp(latch.at_utc_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    why = textwrap.shorten(latch.reason, MOST_REASON, placeholder=" …")
    battery.stop_note = ", ".join(filter(None, (f"by {latch.who or 'somebody'} since {since}", why)))
    battery.latch(stopped=True)


def _sorted_out(stubs: Sequence[NetworkLeaf], answers: Sequence[StopResult | BosError]) -> tuple[dict[str, str], list[str]]:
    """Return why stubs are not stopped at their owners, by name, and those that are but whose device did not confirm."""
    missed: dict[str, str] = {}
    unconfirmed = []
    for stub, answer in zip(stubs, answers, strict=True):
        if isinstance(answer, BosError):
            missed[stub.name] = answer.message
        elif answer.not_at_owner:
            missed[stub.name] = "; ".join(answer.not_at_owner.values())
        elif answer.unconfirmed:
            unconfirmed.append(stub.name)
    return missed, unconfirmed


def _at_owner_alone(stub: NetworkLeaf, refused: NotAllowedError) -> NotAllowedError:
    """Return the refusal of a release with where it is done."""
    target, name = stub.network.target, stub.network.remote_name
    message = f"{stub.name} is not stopped here; a stop at its owner, {target}, ends there alone: {refused.message}"
    return NotAllowedError(message, name=stub.name, owner=target, remote_name=name)
