"""The battery port: the one interface that every logical battery, physical or virtual, is used through.

A battery's status is computed at most once per change, when it is read. A change at a leaf *touches* the leaf: the cached
status becomes invalid and so does that of everything that rests on it, and listeners are told. Reading does the rest.
"""

import math
from abc import ABCMeta, abstractmethod
from dataclasses import replace
from typing import ClassVar, Protocol

from bosd.bal.alone import ALONE, UNLIMITED, AloneW, alone_w
from bosd.bal.cap import ALL_REACHED, NO_OWN_LIMITS, NOTHING_BESIDE, Cap, Unreached
from bosd.bal.figures import Figures, figures_of
from bosd.bal.setpoint import Booked, SetPoint
from bosd.bal.spec import BatterySpec, PartitionSpec
from bosd.bal.status import BatteryStatus, SetpointSource, unallocated_ah
from bosd.bal.status_fields import SetpointFields

TOUCHED = -math.inf


class _Port(ABCMeta):
    """Makes abstract classes whose `isinstance` is the plain one: each step of a plan asks it, and nothing is registered."""

    __instancecheck__ = type.__instancecheck__


class Listener(Protocol):
    """Something that wants to know that a battery's status may have changed."""

    def changed(self, battery: "Battery") -> None:
        """Note the change; called at most once between two reads of the status."""
        ...


class User(Protocol):
    """What rests on a battery: an aggregator or a splitter."""

    splits: ClassVar[bool]
    name: str

    def source_touched(self, slot: int) -> None:
        """Invalidate what rests on source number `slot`."""
        ...


class Battery(metaclass=_Port):
    """A node of the topology.

    `applied_a` is the set point applied to it, `target_a` what its user asks of it (None when it is free or nothing is asked),
    `setpoint` a free battery's living request, `booked` what its schedule asks when there is none, `booking_note` what is to be
    said about its bookings, `stop_note` by whom it was stopped, when and why, `drained` that an edit under way holds it at 0 A,
    `clamped_by` why `applied_a` differs from what is asked, `alone` who is not heard while its alone limits are in force, `caps`
    all that limits it now and refuses nothing. `beside_w` is what flows at its meter beside itself.
    `unreached` is what its node does not reach below, `own_limits` what limits here let it carry, on charge and on discharge.
    `figures` is what its status, once read, adds to an aggregate, None where that takes a closer look or nothing uses it.
    `rank` is 0 for a leaf and above that of every source otherwise; batteries connected with each other share a `component`.
    """

    kind: ClassVar[str] = ""
    splits: ClassVar[bool] = False

    __slots__ = (
        "_status",
        "_valid_until_s",
        "alone",
        "applied_a",
        "beside_w",
        "booked",
        "booking_note",
        "caps",
        "clamped_by",
        "component",
        "drained",
        "figures",
        "held_out",
        "listeners",
        "name",
        "own_limits",
        "rank",
        "setpoint",
        "slot",
        "spec",
        "stop_note",
        "stopped",
        "target_a",
        "unreached",
        "user",
    )

    def __init__(self, spec: BatterySpec | PartitionSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.user: User | None = None
        self.slot = 0
        self.rank = 0
        self.component = 0
        self.setpoint: SetPoint | None = None
        self.booked: Booked | None = None
        self.booking_note = ""
        self.target_a: float | None = None
        self.applied_a = 0.0
        self.clamped_by = ""
        self.alone = ""
        self.caps: tuple[Cap, ...] = ()
        self.beside_w = NOTHING_BESIDE
        self.unreached = ALL_REACHED
        self.own_limits = NO_OWN_LIMITS
        self.stopped = False
        self.stop_note = ""
        self.drained = False
        self.held_out = False
        self.listeners: tuple[Listener, ...] = ()
        self.figures: Figures | None = None
        self._status: BatteryStatus | None = None
        self._valid_until_s = TOUCHED

    @property
    def counts_at_a(self) -> float:
        """The current it may be running because it was told to."""
        return self.applied_a

    @property
    def held_elsewhere(self) -> str:
        """Who else has its claim at its owner, another node; empty where nobody does."""
        return ""

    @property
    def sources(self) -> tuple["Battery", ...]:
        """What it rests on in this node; empty for a leaf."""
        return ()

    def lost_a(self, now_s: float, *, discharging: bool) -> float:
        """Return what counts as running below it, a magnitude, at members whose current cannot be changed now.

        The present limits leave these members out: what is in force may be that much more, what is newly asked may not.
        """
        del now_s, discharging
        return 0.0

    def lost_leaves(self, now_s: float) -> "dict[Battery, float]":
        """Return the leaves below, itself not, that cannot be told another current now, and what they count at."""
        del now_s
        return {}

    def status(self, now_s: float) -> BatteryStatus:
        """Return the status at `now_s`; computed only if something below changed or time alone made it old."""
        if now_s <= self._valid_until_s and self._status is not None:
            return self._status
        status = self._compute(now_s)
        if self.stopped:
            status = replace(status, stopped=True)
        if self.unreached != ALL_REACHED:
            status = replace(status, unreached_charge=self.unreached[0], unreached_discharge=self.unreached[1])
        if self.own_limits != NO_OWN_LIMITS:
            status = replace(status, own_charge_limit=self.own_limits[0], own_discharge_limit=self.own_limits[1])
        if self.booking_note or self.alone:
            status = replace(status, reason="; ".join(filter(None, (status.reason, self.booking_note, self._alone_note()))))
        if self.user is not None:
            if self.user.splits:
                status = replace(status, unallocated_ah=unallocated_ah(status))
            else:
                self.figures = figures_of(status)
        self._status = status
        self._valid_until_s = status.valid_until_s
        return status

    def _alone_note(self) -> str:
        caps = (cap for cap in self.caps if cap.source == ALONE)
        limits = " and ".join(f"{cap.limit_w:g} W {'out' if cap.discharging else 'in'}" for cap in caps)
        return f"alone, {self.alone} is not heard: at most {limits}" if self.alone else ""

    def touch(self) -> None:
        """Invalidate the status and that of everything that rests on it; tell listeners."""
        if self._valid_until_s == TOUCHED:
            return
        self._valid_until_s = TOUCHED
        for listener in self.listeners:
            listener.changed(self)
        if self.user is not None:
            self.user.source_touched(self.slot)

    def latch(self, *, stopped: bool) -> None:
        """Note that the battery is stopped, or released; what it may be asked follows at once."""
        self.stopped = stopped
        self.touch()

    @property
    def stopped_text(self) -> str:
        """Return in words that it is stopped, by whom, since when and why, as far as that is known."""
        return f"stopped {self.stop_note}".rstrip()

    def be_alone(self, who: str, known: AloneW = UNLIMITED) -> bool:
        """Put its alone limits, and those that `who` knows of, in force, as that is not heard; with nobody, end that.

        Returns whether anything changed.
        """
        changed = who != self.alone
        self.alone = who
        changed |= self.put_caps(ALONE, alone_w(self).tighter(known).caps if who else ())
        if changed:
            self.touch()
        return changed

    def put_caps(self, source: str, caps: tuple[Cap, ...]) -> bool:
        """Put these caps of a source in place of those it had; return whether anything changed."""
        if tuple(cap for cap in self.caps if cap.source == source) == caps:
            return False
        self.caps = (*(cap for cap in self.caps if cap.source != source), *caps)
        self.touch()
        return True

    def lower_caps(self, source: str, limit_a: float) -> None:
        """Let the caps of a source allow at most `limit_a`, a magnitude; without any nothing changes."""
        caps = tuple(replace(cap, limit_a=min(cap.limit_a or 0.0, limit_a)) for cap in self.caps if cap.source == source)
        self.put_caps(source, caps)

    def touch_if_older(self, now_s: float) -> None:
        """Touch the battery if time alone made its status old by `now_s`."""
        if TOUCHED < self._valid_until_s < now_s:
            self.touch()

    @abstractmethod
    def _compute(self, now_s: float) -> BatteryStatus:
        """Return the status at `now_s` as it is without notes."""

    def used_by(self, user: User, slot: int) -> None:
        """Be source number `slot` of `user` from now on."""
        if user is not self.user:
            self.held_out = False
            self.setpoint = self.booked = None
            self.booking_note = ""
        self.user, self.slot = user, slot
        self.touch()

    def setpoint_fields(self, *, controllable: bool) -> SetpointFields:
        """Return requested and applied current, their source and end, and whose they are, as a status shows them."""
        requested_a, source, ends_s, holder = None, None, None, ""
        if self.user is not None:
            requested_a = self.target_a
        elif self.setpoint is not None:
            requested_a, source, ends_s = self.setpoint.current_a, self.setpoint.source, self.setpoint.ends_s
            holder = self.setpoint.holder
        elif self.booked is not None:
            requested_a, source, ends_s = self.booked.current_a, SetpointSource.SCHEDULE, self.booked.ends_s
        elif controllable:
            source = SetpointSource.SAFE
        return {
            "requested_current_a": requested_a,
            "applied_current_a": self.applied_a if controllable else None,
            "setpoint_source": source,
            "setpoint_ends_s": ends_s,
            "holder": holder,
        }


class ComputedLeaf(Battery):
    """A leaf that exists in software: it follows a set point at once, in the same turn of the loop."""

    __slots__ = ()

    @abstractmethod
    def apply(self, current_a: float, now_s: float) -> None:
        """Follow `current_a` from `now_s` on."""


class DeviceLeaf(Battery):
    """A leaf whose set point travels to a device or another node and is confirmed from there.

    `unconfirmed_a` is the larger magnitude of old and new after an answer was lost, else None; `telling_a` is what it is being
    told, while that is under way; `failed_s` is when it last failed to follow. Where `expires` is set the other
    end lets go of a set point at its end, which stands in `told_ends_s`, and is told again when that moves; none may live longer
    than `longest_told_s`. A command that is not confirmed within `command_deadline_s` is given up. Until `unread_until_s` nobody
    has looked what it runs. Where `rests_unseen` is set it may let current pass though it counts at 0 A: 0 A is told again when
    asked for; it is `untold` until it was told anything. One that `strays`, because others command it too, likewise.
    """

    expires: ClassVar[bool] = False
    command_deadline_s: ClassVar[float] = 5.0
    longest_told_s: float = math.inf

    __slots__ = ("failed_s", "telling_a", "told_ends_s", "unconfirmed_a", "unread_until_s")

    def __init__(self, spec: BatterySpec) -> None:
        super().__init__(spec)
        self.telling_a: float | None = None
        self.failed_s = -math.inf
        self.unread_until_s = -math.inf
        self.unconfirmed_a: float | None = None
        self.told_ends_s: float | None = None

    def status(self, now_s: float) -> BatteryStatus:
        """Return the status at `now_s`; whoever reads it first after time alone changed it lets listeners know."""
        self.touch_if_older(now_s)
        return super().status(now_s)

    @abstractmethod
    async def command(self, current_a: float, ttl_s: float | None) -> None:
        """Make the device follow `current_a` and return once it confirmed; raises DriverError or UnavailableError."""

    async def note(self, current_a: float) -> bool:
        """Note for a next run what it is about to be told; return whether it took time. Raises UnavailableError, FencedError."""
        del current_a
        return False

    def not_told(self) -> None:
        """Take back what was noted, as it was not told, or refused it."""

    @property
    def rests_unseen(self) -> bool:
        """Whether counting at 0 A does not say that nothing can flow."""
        return False

    @property
    def untold(self) -> bool:
        """Whether it `rests_unseen` and was never told anything, not even 0 A."""
        return False

    @property
    def holds_down(self) -> bool:
        """Whether 0 A that it was told, to an end, may be all that keeps something else from flowing there."""
        return False

    @property
    def strays(self) -> str:
        """What its device was last seen doing against its last command; empty where it does as it was told."""
        return ""

    @property
    def lost_behind(self) -> bool:
        """Whether it is at another node that is heard, and that does not hear it itself."""
        return False

    @property
    def known_a(self) -> float:
        """The magnitude that it is known to be told where it is; infinite where nothing is known."""
        return math.inf

    def is_unread(self, now_s: float) -> bool:
        """Return whether what it runs is not known yet, since nobody has looked."""
        return now_s < self.unread_until_s

    def is_waited_for(self, now_s: float) -> bool:
        """Return whether nothing is begun before it is known what it runs."""
        return self.is_unread(now_s)

    def waits_for(self, now_s: float) -> str:
        """Return what is waited for until it is known what it runs; empty when it is known."""
        if self.unconfirmed_a is not None:
            return f"may run {self.unconfirmed_a:g} A until it confirms"
        return "not heard yet" if self.is_unread(now_s) else ""

    @property
    def let_go_s(self) -> float | None:
        """How long it may go on after this node stopped telling it or has told it to be safe; None: for ever."""
        return None

    @property
    def counts_until_s(self) -> float:
        """When what is not seen of it counts no more, as it is safe by itself by then; infinite where that is not known."""
        return math.inf

    def far_efficiency(self, *, discharging: bool) -> float:
        """Return the efficiency of the converters at its owner, another node, as far as that said so."""
        del discharging
        return 1.0

    def unreached_behind(self, *, discharging: bool) -> Unreached | None:
        """Return what its owner, another node, does not reach below it; None where that reaches all, and for a device."""
        del discharging
        return None

    def alone_limit_w(self, *, discharging: bool) -> float | None:
        """Return what its owner lets it run at most while this node is not heard; None: nothing is known of such a limit."""
        del discharging
        return None

    @property
    def counts_at_a(self) -> float:
        """The current it may be running because it was told to."""
        known_a = self.applied_a if self.unconfirmed_a is None else self.unconfirmed_a
        return known_a if self.telling_a is None else max(known_a, self.telling_a, key=abs)

    def succeed(self, old: "DeviceLeaf") -> None:
        """Take the place of `old`, which an edit takes away: what that may still run counts here until this one confirms."""
        if old.counts_at_a != 0.0:
            self.unconfirmed_a = old.counts_at_a

    def lost_answer(self, current_a: float) -> None:
        """Note that a command of `current_a` went out and nothing came back: the larger magnitude counts."""
        self.unconfirmed_a = max(self.counts_at_a, current_a, key=abs)
        self.touch()

    def settled(self, current_a: float, now_s: float) -> None:
        """Note that the device follows `current_a` from `now_s` on."""
        del now_s
        self.applied_a = current_a
        self.unconfirmed_a = None
        self.touch()
