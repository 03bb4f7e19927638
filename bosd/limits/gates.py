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
from bosd.bal.directory import Directory, place_of
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
        self._held_s: dict[PhysicalBattery, float] = {}
        self._failed_s: dict[PhysicalBattery, float] = {}
        self._looked: set[Battery] = set()
        self._group: asyncio.TaskGroup | None = None
        self._holding: set[PhysicalBattery] = set()

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
        self._follow_edits()
        for battery in self._directory:
            for out in (True, False):
                if battery.caps:
                    self._look(battery, now_s, discharging=out)
                else:
                    self._above_s.pop((battery, out), None)
        for way in list(self._opened):
            self._close_if_due(way, now_s)
        if self._group is not None:
            self._have_held(self._group)

    def _follow_edits(self) -> None:
        """Go on with what an edit wrote otherwise: what is open stays with its board, else with its name."""
        gone = [leaf for leaf in self._looked_after() if not self._is_there(leaf)]
        there = self._directory.batteries
        for (leaf, _), opened in self._opened.items():
            if opened.limited is not leaf:
                opened.limited = there.get(opened.limited.name, opened.limited)
        if not gone:
            return
        gates = [each for each in self._directory if isinstance(each, PhysicalBattery) and each.is_gate]
        at = {place_of(each.spec): each for each in gates}
        for leaf in gone:
            self._move(leaf, at.get(place_of(leaf.spec)), next((each for each in gates if each.name == leaf.name), None))
        for battery in self._directory:  # caps follow names
            if any(cap.source == SOURCE for cap in battery.caps):
                self._put(battery)

    def _move(self, leaf: PhysicalBattery, here: PhysicalBattery | None, named: PhysicalBattery | None) -> None:
        """Have what is open at a leaf that is gone be open at the one that has its board now, or else its name."""
        if (new := here or named) is None:
            return
        if here is not None and leaf in self._held:
            self._held[new], self._held_s[new] = self._held.pop(leaf), self._held_s.get(leaf, -math.inf)
        for out in (True, False):
            if (opened := self._opened.pop((leaf, out), None)) is not None:
                if opened.limited is leaf:
                    opened.limited = new
                self._opened[new, out] = opened
        self._put(new)

    def adopt(self) -> None:
        """Take up what an earlier run opened: found open by a command, and not by a protection, under a limit that stands.

        Only a switch that is open alone, as that limit opens it: what else is open was opened by others, who close it.
        Nothing is written. What was seen then is not known: it closes when the limit is gone.
        """
        now_s = self._clock.now_s()
        self._looked &= set(self._directory)
        for leaf in self._directory:
            if leaf in self._looked or not isinstance(leaf, PhysicalBattery) or _is_being_told(leaf):
                continue
            sample = leaf.sample
            if sample is None or sample.charge_switch_closed is None or sample.discharge_switch_closed is None:
                continue
            self._looked.add(leaf)
            out = not sample.discharge_switch_closed
            alone = sample.discharge_switch_closed is not sample.charge_switch_closed
            if not leaf.is_gate or leaf.told or not alone or not _is_commanded_open(leaf, discharging=out):
                continue
            if (limited := self._limited_over(leaf, now_s, discharging=out)) is not None:
                self._held[leaf] = (out, not out)
                self._open(leaf, limited, math.inf, now_s, discharging=out)

    def _limited_over(self, leaf: Battery, now_s: float, *, discharging: bool) -> Battery | None:
        for battery in self._directory:
            if battery.caps and leaf in members_of(battery) and _limit_a(battery, now_s, discharging=discharging) < math.inf:
                return battery
        return None

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
        if self._is_there(leaf):
            if now_s < opened.since_s + OPEN_S:
                return
            limit_a = _limit_a(opened.limited, now_s, discharging=discharging)
            stands = self._directory.batteries.get(opened.limited.name) is opened.limited and limit_a < math.inf
            if stands and limit_a <= opened.seen_a:
                return
            _log.info("gate_closed", battery=leaf.name, direction="discharge" if discharging else "charge")
        del self._opened[way]
        self._put(leaf)

    def _put(self, leaf: Battery) -> None:
        text = "0 A: it cannot be regulated, and was above its limit"
        ways = [out for out in (True, False) if (leaf, out) in self._opened]
        if leaf.put_caps(SOURCE, tuple(Cap(source=SOURCE, discharging=out, limit_a=0.0, text=text) for out in ways)):
            self._changed(self._directory.tops_with(leaf))

    def _looked_after(self) -> Iterable[PhysicalBattery]:
        return dict.fromkeys((*(leaf for leaf, _ in self._opened), *self._held))

    def _have_held(self, group: asyncio.TaskGroup) -> None:
        """Have the switches of packs that no set point decides about follow, each by itself: one that hangs holds up no other."""
        self._held_s = {leaf: held_s for leaf, held_s in self._held_s.items() if self._is_there(leaf)}
        now_s = self._clock.now_s()
        for leaf in self._looked_after():
            device = leaf.device
            if leaf.told or not isinstance(device, Switched) or not self._is_there(leaf):
                self._held.pop(leaf, None)
                continue
            wanted = ((leaf, True) in self._opened, (leaf, False) in self._opened)
            if self._held.get(leaf, (False, False)) == wanted or leaf in self._holding or _is_being_told(leaf):
                continue
            if now_s >= self._failed_s.get(leaf, -math.inf) + RETRY_S:
                self._holding.add(leaf)
                group.create_task(self._hold(leaf, device, wanted), name=f"hold gates of {leaf.name} open")

    async def _hold(self, leaf: PhysicalBattery, device: Switched, wanted: tuple[bool, bool]) -> None:
        """Have the switches of one pack follow; what fails is tried again."""
        held = self._held.get(leaf, (False, False))
        try:
            await device.hold_open(
                discharge=wanted[0] or (not held[0] and self._is_others(leaf, discharging=True)),
                charge=wanted[1] or (not held[1] and self._is_others(leaf, discharging=False)),
            )
        except BosError as error:
            self._failed_s[leaf] = self._clock.now_s()
            _log.warning("gate_failed", battery=leaf.name, detail=error.message)
        else:
            self._held[leaf], self._held_s[leaf] = wanted, self._clock.now_s()
            if not any(wanted):
                del self._held[leaf]
        finally:
            self._holding.discard(leaf)

    def _is_others(self, leaf: PhysicalBattery, *, discharging: bool) -> bool:
        """Tell whether somebody else has opened a direction, an app or a person: it stays open."""
        fresh = leaf.sample is not None and leaf.sample.sampled_s > self._held_s.get(leaf, -math.inf)
        return fresh and _is_commanded_open(leaf, discharging=discharging)

    def _is_there(self, leaf: PhysicalBattery) -> bool:
        return self._directory.batteries.get(leaf.name) is leaf


def _limit_a(battery: Battery, now_s: float, *, discharging: bool) -> float:
    """Return the tightest limit on a battery itself; infinite without one."""
    caps = [cap for cap in battery.caps if cap.source in _LIMITS and cap.discharging is discharging]
    return min((amperes(cap, battery, now_s) for cap in caps), default=math.inf)


def _flows_a(battery: Battery, now_s: float, *, discharging: bool) -> float:
    current_a = battery.status(now_s).current_a or 0.0
    return max(0.0, current_a if discharging else -current_a)


def _is_being_told(leaf: PhysicalBattery) -> bool:
    """Tell whether a set point or a safe value is on its way: what the device shows is not what it will do."""
    return leaf.telling_a is not None or leaf.unconfirmed_a is not None


def _is_commanded_open(leaf: PhysicalBattery, *, discharging: bool) -> bool:
    """Tell whether a switch is open and no protection keeps it so."""
    sample = leaf.sample
    if sample is None:
        return False
    closed = sample.discharge_switch_closed if discharging else sample.charge_switch_closed
    return closed is False and (sample.discharge_allowed if discharging else sample.charge_allowed)
