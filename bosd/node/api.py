"""What the edges may ask of a running node: one interface for gRPC, the dashboard and tests."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bosd.bal.device import DeviceFacts
from bosd.bal.edits import Change
from bosd.bal.explain import Explanation
from bosd.bal.facts import Facts
from bosd.bal.portions import Merge, Split
from bosd.bal.schedule import Moment
from bosd.bal.setpoint import Fence
from bosd.bal.status import BatteryStatus
from bosd.clock import Clock
from bosd.errors import BosError
from bosd.node.statement import LedgerApi


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafCommand:
    """What one battery without sources is told, in amperes, positive on discharge.

    `limit_a` is the magnitude that it may be asked in that direction now, `reason` why it is told less than its share.
    """

    name: str
    old_current_a: float
    new_current_a: float
    limit_a: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCurrentResult:
    """The answer to a set point; `setpoint_ends_s` is monotonic, None when nothing is asked any more.

    `may_run_a` is what may flow at most: more than `applied_current_a` where something below has not confirmed. It is not known
    with `unread`: a device below has not been heard since the node started.
    `taken_from` is whose claim was taken over.
    Of a dry run, `leaves` are all below, and `binds` says which chain of limits bounds the battery in that direction.
    """

    name: str
    requested_current_a: float
    applied_current_a: float
    setpoint_ends_s: float | None
    reason: str
    leaves: tuple[LeafCommand, ...]
    binds: str = ""
    may_run_a: float = 0.0
    unread: bool = False
    taken_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopResult:
    """Batteries that are latched at their owners, those whose device did not confirm, and stubs that only this node latched.

    `not_at_owner` says by name why the owner did not do it. The disk has not taken those that are `unrecorded`: a restart would
    forget them. Names that are no batteries here are `unknown`.
    """

    stopped: tuple[str, ...]
    unconfirmed: tuple[str, ...]
    not_at_owner: Mapping[str, str] = field(default_factory=dict)
    unrecorded: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """What is in force on a free battery from a release on, as it was asked, and by whom: empty for a booking."""

    name: str
    current_a: float
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseResult:
    """Batteries whose stop has ended, what is in force on them again, and by name what kept the stop of others."""

    released: tuple[str, ...]
    refused: Mapping[str, BosError] = field(default_factory=dict)
    asked_again: tuple[AskedAgain, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchBatch:
    """All that changed in a tick; a beat holds the statuses that time alone made older."""

    statuses: tuple[BatteryStatus, ...]
    removed: tuple[str, ...]
    beat_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One edit of the topology: TOML to add, a name to remove, a name with its new TOML, the whole, or a split or merge."""

    action: Literal["add", "remove", "replace", "whole", "recut"]
    name: str = ""
    toml: str = ""
    recut: Split | Merge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyResult:
    """The revision in force after an edit (the one before it, for a plan), what changed, and what a person should know.

    `unconfirmed` are batteries that it took out and whose devices did not confirm 0 A, and may go on.
    """

    revision: int
    changes: tuple[Change, ...]
    warnings: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A battery's place in the topology."""

    name: str
    kind: str
    sources: tuple[str, ...]
    users: tuple[str, ...]
    splitter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyView:
    """The topology in force; `changed_utc_s` is seconds since 1970-01-01 UTC.

    `parted` says in what the configuration file that the node was started with differs from it, empty where it does not.
    """

    revision: int
    toml: str
    entries: tuple[Entry, ...]
    changed_utc_s: float
    parted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One line of the topology's history."""

    revision: int
    changed_utc_s: float
    who: str
    comment: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeView:
    """The node's clock: `utc_s` since 1970-01-01 UTC, `now_s` monotonic, `rate` in simulated seconds per second.

    `instants` counts, after a tick, the instants at which something was due on the way.
    """

    simulated: bool
    utc_s: float
    now_s: float
    rate: float
    instants: int = 0


class TimeApi(Protocol):
    """A node's clock, and how it is moved where it is simulated; else what moves it raises UnsupportedError."""

    def view(self) -> TimeView:
        """Return what the clock shows."""
        ...

    async def tick(self, duration_s: float, *, holder: str = "") -> TimeView:
        """Move time on; all that is due on the way happens at its own instant."""
        ...

    async def adjust(
        self, *, follow: bool | None = None, utc_s: float | None = None, rate: float | None = None, holder: str = ""
    ) -> TimeView:
        """Follow the machine's time or stand; set the wall clock alone; let simulated time run at a rate. None stays."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingView:
    """A booking of a battery's current, positive on discharge; times are seconds since 1970-01-01 UTC.

    `in_force` holds the parts of its time that no later booking takes, `running` says that it is what is booked now.
    """

    booking_id: str
    name: str
    current_a: float
    start_utc_s: float
    end_utc_s: float
    who: str
    booked_utc_s: float
    running: bool
    in_force: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookResult:
    """A booking as it was kept, who it survives with, and the ideal limits that it was checked against."""

    booking: BookingView
    survives: str
    lower_a: float
    upper_a: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """The device behind a physical battery and where it is; `regulator` is what sets its current, None without one."""

    name: str
    kind: str
    port: str
    facts: DeviceFacts
    regulator: "DeviceView | None" = None


class NodeApi(Protocol):
    """A running node. Every method raises `BosError` leaves for refusals; `holder` names the asker."""

    name: str
    clock: Clock

    @property
    def time(self) -> TimeApi:
        """The node's clock, to be read and moved."""
        ...

    @property
    def ledger(self) -> LedgerApi:
        """The node's ledger, to be read."""
        ...

    async def reset_meter(self, name: str, *, holder: str) -> float:
        """Let a leaf's meter be the charge it holds and re-base all above; return the shift in Ah."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of all batteries, in topology order."""
        ...

    def status(self, name: str) -> BatteryStatus:
        """Return the status as it is known now, without waiting. Raises BadNameError."""
        ...

    async def fresh_status(self, name: str, max_age_s: float | None = None) -> BatteryStatus:
        """Return the status after refreshing the lazy batteries below that are stale (or older than `max_age_s`)."""
        ...

    def watch(
        self, names: Sequence[str] | None, *, min_interval_s: float = 0.0, max_staleness_s: float = 0.0
    ) -> AsyncIterator[WatchBatch]:
        """Yield the current statuses at once, then every change, latest wins, and beats; None watches all, later ones too."""
        ...

    async def explain(self, name: str, *, within_s: float = 1.0) -> Explanation:
        """Return which chain of limits binds and what is in force; other nodes are asked `within_s`. Raises BadNameError."""
        ...

    def device(self, name: str) -> DeviceView:
        """Return what a physical battery's device tells of itself, from memory. Raises BadNameError, UnsupportedError."""
        ...

    def config_digest(self) -> str:
        """Return what tells this configuration from another."""
        ...

    def facts(self, unheard_s: float, names: Sequence[str] = ()) -> Mapping[str, Facts]:
        """Return what other nodes are told of these batteries, or of all.

        This node may act `unheard_s` for one that it no longer hears. Raises BadNameError.
        """
        ...

    async def first_look(self, names: Sequence[str] = (), *, within_s: float) -> tuple[str, ...]:
        """Wait until the devices below these batteries (all of this node's own, without names) have been looked at once.

        Return those that have not within `within_s`; stubs count where names are given.
        """
        ...

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
        """Check, lower, raise, confirm; all or nothing. Another node's command comes with its `fence`."""
        ...

    async def force_current(
        self, name: str, current_a: float, *, ttl_s: float | None, holder: str, request_id: str = "", dry_run: bool = False
    ) -> SetCurrentResult:
        """As `set_current`, over another holder's claim: that is ended and the safe value confirmed first; refused, it stays."""
        ...

    async def clear_current(self, name: str, *, holder: str) -> SetCurrentResult:
        """End the holder's own set point; `may_run_a` is what may flow that is neither booked nor the safe value."""
        ...

    async def book(
        self, name: str, current_a: float, start: Moment, end: Moment, *, holder: str, request_id: str = ""
    ) -> BookResult:
        """Book a current, checked against the ideal limits; durable before it returns, at the node that owns the battery."""
        ...

    async def bookings(self, name: str = "") -> tuple[BookingView, ...]:
        """Return the bookings of a battery, at its owner, or all that this node owns; in order of their starts."""
        ...

    async def cancel_booking(self, booking_id: str, *, holder: str) -> BookingView:
        """Cancel a booking, also while it runs; return what it was. Raises BadNameError."""
        ...

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
        """Latch batteries at 0 A at their owners, applied before it is recorded; `via` is the stubs it came through."""
        ...

    async def release(self, names: Sequence[str], *, holder: str = "", via: Sequence[str] = ()) -> ReleaseResult:
        """End the latch at its owner; what is not stopped is done, and what is refused keeps no other one.

        Raises what refused it where one battery alone is named, such as UnavailableError where its owner is not reached.
        """
        ...

    async def refresh(self, name: str, *, recursive: bool = False) -> BatteryStatus:
        """Take a fresh sample of it, or of everything below, across nodes."""
        ...

    async def modify_pseudo(self, name: str, values: Mapping[str, float], *, holder: str = "") -> BatteryStatus:
        """Change what a pseudo battery reports now."""
        ...

    def topology(self) -> TopologyView:
        """Return the topology in force."""
        ...

    async def plan(self, edits: Sequence[Edit], *, expected_revision: int | None = None) -> ApplyResult:
        """Check an edit whole and return its differences; change nothing."""
        ...

    async def apply(
        self, edits: Sequence[Edit], *, expected_revision: int | None, holder: str, comment: str = "", request_id: str = ""
    ) -> ApplyResult:
        """Apply an edit whole or not at all; durable before it returns."""
        ...

    async def stored_topology(self, revision: int) -> TopologyView:
        """Return the topology of a revision. Raises InvalidArgumentError for one the node does not remember."""
        ...

    async def history(self, limit: int) -> tuple[Revision, ...]:
        """Return the newest revisions, newest first."""
        ...

    def watch_topology(self) -> AsyncIterator[TopologyView]:
        """Yield the topology at once, then each new revision, latest wins."""
        ...
