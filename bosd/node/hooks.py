"""Hooks: a command of the user's, run when a device goes silent, a protection acts, or a command is not followed.

It gets one JSON document on stdin. It never holds the node up: one runs at a time per battery, few together, so many a minute,
each for so long; what comes meanwhile waits as the latest of its kind, and failures are log lines.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.status import BatteryStatus, Quality
from bosd.clock import Clock
from bosd.errors import BosError
from bosd.node.hub import Watcher
from bosd.sparing import Sparing

UNAVAILABLE = "UNAVAILABLE"
PROTECTION = "PROTECTION"
NOT_FOLLOWED = "NOT_FOLLOWED"

MOST_AT_ONCE = 4
MOST_A_MINUTE = 60
KILLED_WITHIN_S = 1.0
QUIET_S = 3600.0
"""How long nothing may wake the watcher; it looks again then."""

_log = structlog.get_logger("hooks")


class LeafWatcher(Watcher):
    """Follows the batteries that have a device or a node behind them, and keeps none of them fresh."""

    def __init__(self) -> None:
        super().__init__(None)

    def follow(self, batteries: Iterable[Battery]) -> None:
        """Watch the devices and stubs among these from now on."""
        super().follow(battery for battery in batteries if isinstance(battery, DeviceLeaf))


class Hooks:
    """Runs `command` for `events`; `run` owns every process. A battery that was never seen is no event until it was."""

    def __init__(self, node: str, clock: Clock, command: Sequence[str], events: Iterable[str], timeout_s: float) -> None:
        self.watcher = LeafWatcher()
        self._node = node
        self._clock = clock
        self._command = tuple(command)
        self._events = frozenset(events)
        self._timeout_s = timeout_s
        self._seen: dict[str, BatteryStatus] = {}
        self._pending: dict[str, dict[str, dict[str, Any]]] = {}
        self._running: set[str] = set()
        self._sparing = Sparing(MOST_A_MINUTE)

    def not_followed(self, leaf: DeviceLeaf, error: BosError) -> None:
        """Note that a device does not do what it was told."""
        self._note(leaf.name, leaf.kind, NOT_FOLLOWED, error.message, {key: str(value) for key, value in error.metadata.items()})
        self.watcher.changed(leaf)

    async def run(self) -> None:
        """Watch and run hooks until cancelled; processes that still run are ended then."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self.watcher.wait(QUIET_S)
                changed, removed = self.watcher.take()
                for name in removed:
                    self._seen.pop(name, None)
                now_s = self._clock.now_s()
                for battery in changed:
                    self._look(battery.status(now_s))
                self._start(group)

    def _look(self, status: BatteryStatus) -> None:
        before, self._seen[status.name] = self._seen.get(status.name), status
        gone = status.quality is Quality.UNAVAILABLE
        if gone and before is not None and before.quality is not Quality.UNAVAILABLE:
            self._note(status.name, status.kind, UNAVAILABLE, status.reason, {})
        known = () if before is None else before.faults or ()
        if new := [fault for fault in status.faults or () if fault not in known]:
            self._note(status.name, status.kind, PROTECTION, status.reason, {"faults": new})

    def _note(self, name: str, kind: str, event: str, reason: str, detail: dict[str, Any]) -> None:
        if event not in self._events:
            return
        at = datetime.fromtimestamp(self._clock.utc_s(), tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        document = {"event": event, "node": self._node, "battery": name, "kind": kind, "at": at, "reason": reason, **detail}
        self._pending.setdefault(name, {})[event] = document

    def _start(self, group: asyncio.TaskGroup) -> None:
        """Begin as many hooks as may run; those of one battery follow each other."""
        for name in [name for name in self._pending if name not in self._running]:
            if len(self._running) >= MOST_AT_ONCE:
                return
            self._running.add(name)
            group.create_task(self._run_all(name, group), name=f"hooks {name}")

    async def _run_all(self, name: str, group: asyncio.TaskGroup) -> None:
        try:
            while events := self._pending.pop(name, None):
                for document in events.values():
                    if self._may_start():
                        await self._run(document)
        finally:
            self._running.discard(name)
        self._start(group)

    def _may_start(self) -> bool:
        """Count one start; False when there were so many within the last minute that this one is dropped."""
        if not self._sparing.passes(self._clock.now_s()):
            if self._sparing.held_back == 1:
                _log.warning("hooks_dropped", most_a_minute=MOST_A_MINUTE)
            return False
        if dropped := self._sparing.forget():
            _log.warning("hooks_were_dropped", number=dropped)
        return True

    async def _run(self, document: dict[str, Any]) -> None:
        """Run the command with `document` on its stdin; a failure is a log line, its stderr goes where the daemon's goes."""
        about = {"battery": document["battery"], "hook": document["event"], "command": self._command[0]}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, start_new_session=True
            )
        except (OSError, ValueError) as error:
            _log.warning("hook_failed", detail=str(error), **about)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                await process.communicate(json.dumps(document).encode() + b"\n")
        except TimeoutError:
            _log.warning("hook_failed", detail=f"not done within {self._timeout_s:g} s; ended", **about)
        else:
            if process.returncode:
                _log.warning("hook_failed", detail=f"exit status {process.returncode}", **about)
            else:
                _log.info("hook_done", **about)
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a hook that still runs, with all that it started, and await its end, also while this task is being cancelled."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        await _await_end(process)
    except asyncio.CancelledError:
        await _await_end(process)
        raise


async def _await_end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KILLED_WITHIN_S):
            await process.wait()
