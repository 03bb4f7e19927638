"""Limits on packs whose directions can be switched and not regulated (control.md, "Limits over a distance").

The direction opens when the power measured at the limited battery is above the limit for 2 s, and closes again when the limit is
gone or above the last power seen, at the earliest after 60 s.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import structlog

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery
from bosd.bal.cap import Cap
from bosd.bal.caps import amperes
from bosd.bal.directory import Directory
from bosd.bal.physical import PhysicalBattery
from bosd.clock import Clock
from bosd.errors import BosError

SOURCE = "gate"
ABOVE_S = 2.0
OPEN_S = 60.0
RETRY_S = 1.0
_LIMITS = frozenset({"book", "alone", "budget"})

_log = structlog.get_logger("limits")


@runtime_checkable
class Switched(Protocol):
    """A device whose directions can be opened while no set point decides about them."""

    async def hold_open(self, *, discharge: bool, charge: bool) -> None:
        """Open these directions, let the others conduct."""
        ...


@dataclass(slots=True)
class _Opened:
    """A direction of a pack that is open: since when, and the last current that was seen at the limited battery."""

    since_s: float
    seen_a: float
    limited: Battery


Way = tuple[PhysicalBattery, bool]


class Gates:
    """Looks with the book, four times a second; `changed` has what rests on a battery put in force again."""

    def __init__(self, directory: Directory, clock: Clock, changed: Callable[[Iterable[Battery]], None]) -> None:
        self._directory = directory
        self._clock = clock
        self._changed = changed
        self._above_s: dict[tuple[Battery, bool], float] = {}
        self._opened: dict[Way, _Opened] = {}
        self._held: dict[PhysicalBattery, tuple[bool, bool]] = {}
        self._failed_s: dict[PhysicalBattery, float] = {}
        self._looked: set[Battery] = set()
        self._group: asyncio.TaskGroup | None = None
        self._holding = False

    def opened(self, limited: Battery, *, discharging: bool) -> list[str]:
        """Return the packs whose direction is open because of a limit on a battery."""
        return [leaf.name for (leaf, out), opened in self._opened.items() if out is discharging and opened.limited is limited]

    def start(self, group: asyncio.TaskGroup) -> None:
        """Have switches follow from now on, in tasks of `group`."""
        self._group = group

    @property
    def busy(self) -> bool:
        """Whether a direction is open, or a switch has still to follow."""
        return bool(self._opened or self._held)

    def attend(self) -> None:
        """Open what is above its limit for too long; close what may flow again."""
        now_s = self._clock.now_s()
        for battery in self._directory:
            for out in (True, False):
                if battery.caps:
                    self._look(battery, now_s, discharging=out)
                else:
                    self._above_s.pop((battery, out), None)
        for way in list(self._opened):
            self._close_if_due(way, now_s)
        if self.busy and not self._holding and self._group is not None:
            self._holding = True
            self._group.create_task(self._hold_once(), name="hold gates open")

    def adopt(self) -> None:
        """Take up what an earlier run opened: found open by a command, and not by a protection, under a limit that stands.

        What was seen then is not known: it closes when the limit is gone.
        """
        now_s = self._clock.now_s()
        for leaf in self._directory:
            if leaf in self._looked or not isinstance(leaf, PhysicalBattery):
                continue
            status = leaf.status(now_s)
            if status.charge_switch_closed is None or status.discharge_switch_closed is None:
                continue
            self._looked.add(leaf)
            ways = (
                (True, status.discharge_switch_closed, status.max_discharge_current_a),
                (False, status.charge_switch_closed, status.max_charge_current_a),
            )
            for out, closed, most_a in ways:
                limited = self._limited_over(leaf, now_s, discharging=out)
                if leaf.is_gate and not leaf.told and not closed and most_a > 0.0 and limited is not None:
                    self._held[leaf] = (not status.discharge_switch_closed, not status.charge_switch_closed)
                    self._open(leaf, limited, math.inf, now_s, discharging=out)

    def _limited_over(self, leaf: Battery, now_s: float, *, discharging: bool) -> Battery | None:
        for battery in self._directory:
            if battery.caps and leaf in members_of(battery) and _limit_a(battery, now_s, discharging=discharging) < math.inf:
                return battery
        return None

    async def _hold_once(self) -> None:
        try:
            await self.hold()
        finally:
            self._holding = False

    def _look(self, battery: Battery, now_s: float, *, discharging: bool) -> None:
        limit_a = _limit_a(battery, now_s, discharging=discharging)
        key = (battery, discharging)
        flows_a = _flows_a(battery, now_s, discharging=discharging)
        if flows_a <= limit_a:
            self._above_s.pop(key, None)
            return
        if now_s - self._above_s.setdefault(key, now_s) < ABOVE_S:
            return
        for leaf in members_of(battery):
            if isinstance(leaf, PhysicalBattery) and leaf.is_gate and _flows_a(leaf, now_s, discharging=discharging) > 0.0:
                self._open(leaf, battery, flows_a, now_s, discharging=discharging)

    def _open(self, leaf: PhysicalBattery, limited: Battery, flows_a: float, now_s: float, *, discharging: bool) -> None:
        if (leaf, discharging) in self._opened:
            return
        self._opened[leaf, discharging] = _Opened(now_s, flows_a, limited)
        way = "discharge" if discharging else "charge"
        _log.warning("gate_opened", battery=leaf.name, direction=way, limited=limited.name, measured_a=flows_a)
        self._put(leaf)

    def _close_if_due(self, way: Way, now_s: float) -> None:
        leaf, discharging = way
        opened = self._opened[way]
        gone = self._directory.batteries.get(leaf.name) is not leaf
        if not gone:
            if now_s < opened.since_s + OPEN_S:
                return
            limit_a = _limit_a(opened.limited, now_s, discharging=discharging)
            stands = self._directory.batteries.get(opened.limited.name) is opened.limited and limit_a < math.inf
            if stands and limit_a <= opened.seen_a:
                return
            _log.info("gate_closed", battery=leaf.name, direction="discharge" if discharging else "charge")
        del self._opened[way]
        self._put(leaf)

    def _put(self, leaf: PhysicalBattery) -> None:
        text = "0 A: it cannot be regulated, and was above its limit"
        ways = [out for out in (True, False) if (leaf, out) in self._opened]
        if leaf.put_caps(SOURCE, tuple(Cap(source=SOURCE, discharging=out, limit_a=0.0, text=text) for out in ways)):
            self._changed(self._directory.tops_with(leaf))

    async def hold(self) -> None:
        """Have the switches of packs that no set point decides about follow; what fails is tried again."""
        now_s = self._clock.now_s()
        for leaf in {leaf for leaf, _ in self._opened} | set(self._held):
            wanted = ((leaf, True) in self._opened, (leaf, False) in self._opened)
            device = leaf.device
            if leaf.told or not isinstance(device, Switched) or self._directory.batteries.get(leaf.name) is not leaf:
                self._held.pop(leaf, None)
                continue
            if self._held.get(leaf, (False, False)) == wanted or now_s < self._failed_s.get(leaf, -math.inf) + RETRY_S:
                continue
            try:
                await device.hold_open(discharge=wanted[0], charge=wanted[1])
            except BosError as error:
                self._failed_s[leaf] = self._clock.now_s()
                _log.warning("gate_failed", battery=leaf.name, detail=error.message)
            else:
                self._held[leaf] = wanted
                if not any(wanted):
                    del self._held[leaf]


def _limit_a(battery: Battery, now_s: float, *, discharging: bool) -> float:
    """Return the tightest limit on a battery itself; infinite without one."""
    caps = [cap for cap in battery.caps if cap.source in _LIMITS and cap.discharging is discharging]
    return min((amperes(cap, battery, now_s) for cap in caps), default=math.inf)


def _flows_a(battery: Battery, now_s: float, *, discharging: bool) -> float:
    current_a = battery.status(now_s).current_a or 0.0
    return max(0.0, current_a if discharging else -current_a)
