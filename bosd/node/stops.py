"""Stops: latched at 0 A above everything, applied before they are recorded (control.md, "Stop always works")."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.physical import PhysicalBattery
from bosd.clock import Clock
from bosd.errors import InvalidArgumentError, StoreError, UnsupportedError
from bosd.node.api import StopResult
from bosd.node.controller import Controller
from bosd.node.links import NetworkLeaf
from bosd.store.records import StopLatch
from bosd.store.store import Store

STOP_DEADLINE_S = 2.0
RECORD_PAUSE_S = 5.0
RECORD_DEADLINE_S = 1.0

_log = structlog.get_logger("node")


class Stops:
    """The latches of a node; what the store did not take is kept and tried again."""

    def __init__(self, directory: Directory, clock: Clock, store: Store, controller: Controller) -> None:
        self.directory = directory
        self.clock = clock
        self._store = store
        self._controller = controller
        self._unrecorded_stops: dict[str, StopLatch] = {}

    async def load(self) -> None:
        """Latch what was stopped when the node went down."""
        for latch in await self._store.load_stops():
            if latch.name in self.directory.batteries:
                self.directory[latch.name].latch(stopped=True)

    async def stop(self, names: Sequence[str], *, node: bool, everything: bool, reason: str, holder: str) -> StopResult:
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

    async def run(self) -> None:
        """Try again to record, for ever."""
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

    async def release(self, names: Sequence[str], *, holder: str) -> tuple[str, ...]:
        """End the latch; durable before anything may be asked again."""
        batteries = [self.directory[name] for name in names]
        await self._store.clear_stops([battery.name for battery in batteries])
        for battery in batteries:
            self._unrecorded_stops.pop(battery.name, None)
            battery.latch(stopped=False)
        self._controller.look_again(batteries)
        _log.warning("released", batteries=[battery.name for battery in batteries], who=holder)
        return tuple(battery.name for battery in batteries)
