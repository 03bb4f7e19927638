"""The errors of a node: one active entry per cause, raised and cleared by UUID, and what is known of other nodes' errors."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeAlias

import structlog

from bosd.clock import Clock

MAX_ACTIVE = 1000
"""Of one node; beyond it one OVERFLOW counts (satellites.md 3.11)."""
MAX_RECENT = 200
MAX_VIA = 16
OVERFLOW = "OVERFLOW"
BEAT_S = 1.0
AGED_S = 2.5 * BEAT_S
"""What is older was not told again when it was due."""
_PAUSE_S = 0.1

_log = structlog.get_logger("node")


class Severity(IntEnum):
    """How bad an error is; none of them touches a battery's limits by itself."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class State(IntEnum):
    """Whether an error is there."""

    ACTIVE = 1
    CLEARED = 2
    CLEARED_BY_REBOOT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One error. `via` names the nodes it came through, the nearest first; `heard_s` is when the nearest told it.

    `aged_s` is how long ago that node itself last knew it to be so, as it told.
    """

    id: str
    type: str
    sub_type: str = ""
    severity: int
    message: str = ""
    node: str
    module: str = ""
    battery: str = ""
    raised_utc_s: float = 0.0
    boot_id: str
    state: State = State.ACTIVE
    repeats: int = 0
    via: tuple[str, ...] = ()
    heard_s: float = 0.0
    aged_s: float = 0.0


Cause: TypeAlias = tuple[str, str, str, str]
"""Module, battery, type and sub-type: at most one error of it is active."""


@dataclass(slots=True)
class _Peer:
    """What another node told last, and when it was heard."""

    node: str
    boot_id: str
    faults: dict[str, Fault]
    heard_s: float


class Faults:
    """The registry of one run of a node. Nothing here waits or fails; everything happens on the loop."""

    def __init__(self, node: str, clock: Clock) -> None:
        self.node = node
        self.boot_id = str(uuid.uuid4())
        self.clock = clock
        self._active: dict[Cause, Fault] = {}
        self._causes: dict[str, Cause] = {}
        self._overflow: Fault | None = None
        self._recent: deque[Fault] = deque(maxlen=MAX_RECENT)
        self._peers: dict[str, _Peer] = {}
        self._wakes: set[asyncio.Event] = set()

    def raise_(
        self,
        kind: str,
        sub_type: str = "",
        *,
        severity: Severity = Severity.MEDIUM,
        message: str = "",
        module: str = "",
        battery: str = "",
    ) -> str:
        """Raise an error, or count a repeat of it; return its UUID (the one of OVERFLOW where there is no room)."""
        cause = (module, battery, kind, sub_type)
        fault = self._active.get(cause)
        if fault is not None:
            self._active[cause] = replace(fault, repeats=fault.repeats + 1, message=message, severity=severity)
        elif len(self._active) >= MAX_ACTIVE:
            return self._overflown()
        else:
            fault = self._new(kind, sub_type, severity, message, module=module, battery=battery)
            self._active[cause] = fault
            self._causes[fault.id] = cause
            _log.warning("error_raised", type=kind, sub_type=sub_type, battery=battery, severity=severity.name, detail=message)
        self._changed()
        return fault.id

    def reword(self, kind: str, message: str, *, module: str = "", battery: str = "") -> None:
        """Say anew what an active error is about; no repeat of it."""
        cause = (module, battery, kind, "")
        if (fault := self._active.get(cause)) is not None:
            self._active[cause] = replace(fault, message=message)
            self._changed()

    def clear(self, kind: str, sub_type: str = "", *, module: str = "", battery: str = "") -> bool:
        """Clear the error of a cause; return whether there was one."""
        fault = self._active.get((module, battery, kind, sub_type))
        return fault is not None and self.clear_id(fault.id)

    def clear_id(self, fault_id: str) -> bool:
        """Clear an error of this node by its UUID; return whether it was active."""
        cause = self._causes.pop(fault_id, None)
        if cause is None:
            return False
        fault = self._active.pop(cause)
        self._recent.append(replace(fault, state=State.CLEARED))
        if self._overflow is not None:
            self._recent.append(replace(self._overflow, state=State.CLEARED))
            self._overflow = None
        _log.info("error_cleared", type=fault.type, sub_type=fault.sub_type, battery=fault.battery)
        self._changed()
        return True

    def own(self) -> list[Fault]:
        """Return what is active at this node."""
        return [*self._active.values(), *([self._overflow] if self._overflow is not None else [])]

    def active(self) -> list[Fault]:
        """Return all that is active, other nodes' included (each once, by its shortest way), most severe first."""
        found = {fault.id: fault for fault in self.own()}
        for peer in self._peers.values():
            for fault in peer.faults.values():
                known = found.get(fault.id)
                if known is None or len(fault.via) < len(known.via):
                    found[fault.id] = fault
        return sorted(found.values(), key=lambda fault: (-fault.severity, fault.raised_utc_s))

    def recent(self) -> list[Fault]:
        """Return what was cleared lately, the newest first."""
        return list(reversed(self._recent))

    def age_s(self, fault: Fault) -> float:
        """Return how long ago an error was last known to be so, in seconds; 0 for this node's own."""
        if not fault.via:
            return 0.0
        heard_s = max((peer.heard_s for peer in self._peers.values() if peer.node == fault.via[0]), default=fault.heard_s)
        return max(0.0, self.clock.now_s() - heard_s) + fault.aged_s

    def heard(self, target: str, node: str, boot_id: str, faults: Sequence[Fault]) -> None:
        """Take all that is active at the node behind `target`; what it has from this node, or through it, is no news."""
        now_s = self.clock.now_s()
        told = {
            fault.id: replace(fault, via=(node, *fault.via), heard_s=now_s)
            for fault in faults[:MAX_ACTIVE]
            if self.node not in {fault.node, node, *fault.via} and len(fault.via) < MAX_VIA
        }
        before = self._peers.get(target)
        self._peers[target] = _Peer(node, boot_id, told, now_s)
        for fault in before.faults.values() if before is not None else ():
            if fault.id not in told:
                rebooted = before is not None and fault.boot_id == before.boot_id != boot_id
                self._recent.append(replace(fault, state=State.CLEARED_BY_REBOOT if rebooted else State.CLEARED))
        if before is None or before.boot_id != boot_id or _differ(before.faults, told):
            self._changed()

    def beat(self, target: str) -> None:
        """Note that the node behind `target` still says the same."""
        if (peer := self._peers.get(target)) is not None:
            peer.heard_s = self.clock.now_s()

    def forget(self, target: str) -> None:
        """Forget a node that no stub points at any more."""
        if self._peers.pop(target, None) is not None:
            self._changed()

    async def watch(self) -> AsyncIterator[list[Fault] | None]:
        """Yield all that is active at once and after each change (the latest alone); each second without one None.

        While some of it is from a node that is not heard, all is yielded each second, as it grows older, and once after that.
        """
        wake = asyncio.Event()
        wake.set()
        self._wakes.add(wake)
        aged = False
        try:
            while True:
                try:
                    async with asyncio.timeout(BEAT_S):
                        await wake.wait()
                except TimeoutError:
                    active, before = self.active(), aged
                    aged = any(self.age_s(fault) > AGED_S for fault in active)
                    yield active if aged or before else None
                    continue
                wake.clear()
                yield self.active()
                await asyncio.sleep(_PAUSE_S)
        finally:
            self._wakes.discard(wake)

    def _new(self, kind: str, sub_type: str, severity: Severity, message: str, *, module: str = "", battery: str = "") -> Fault:
        return Fault(
            id=str(uuid.uuid4()),
            type=kind,
            sub_type=sub_type,
            severity=severity,
            message=message,
            node=self.node,
            module=module,
            battery=battery,
            raised_utc_s=self.clock.utc_s(),
            boot_id=self.boot_id,
        )

    def _overflown(self) -> str:
        """Count an error that found no place."""
        known = self._overflow
        if known is None:
            known = self._new(OVERFLOW, "", Severity.HIGH, f"more than {MAX_ACTIVE} errors are active at this node")
        self._overflow = replace(known, repeats=known.repeats + 1)
        self._changed()
        return known.id

    def _changed(self) -> None:
        for wake in self._wakes:
            wake.set()


def _differ(before: dict[str, Fault], now: dict[str, Fault]) -> bool:
    """Return whether what a node tells is news; when it was heard, and its age, are none."""
    return before.keys() != now.keys() or any(
        replace(fault, heard_s=before[key].heard_s, aged_s=before[key].aged_s) != before[key] for key, fault in now.items()
    )
