"""The scheduler: books, lists, cancels, and has what is booked put in force by the node that owns the battery.

Everything is UTC seconds, so no hour is twice or missing. While the wall clock is trusted a booking follows it. While it is not,
no booking begins; those that had begun go on by monotonic time from where the clock was last trusted (control.md, "Bookings").
"""

import asyncio
import math
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

import structlog

from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.schedule import Booking, Moment, Schedule, Segment, checked_times
from bosd.bal.setpoint import Booked
from bosd.bal.spec import Topology
from bosd.bal.status import BatteryStatus
from bosd.clock import Clock
from bosd.errors import BadNameError, InvalidArgumentError, NoResourcesError, RequestError, StoreError
from bosd.node.api import BookingView, BookResult
from bosd.node.booking_rules import check_bookable, check_current, check_kept
from bosd.node.clock_trust import ClockTrust
from bosd.node.in_doubt import InDoubt, note
from bosd.node.links import NetworkLeaf
from bosd.node.stub_bookings import SEPARATOR, at_stub, view_at_stub
from bosd.store.bookings import BookingTable

LOOK_S = 1.0
"""How often a stepped wall clock, or one that has become trusted, is looked for while anything is booked."""
EDGE_SLACK_S = 1e-6
"""An edge this near is reached: UTC seconds in doubles are no finer."""
SAME_END_S = 0.05
ADJUSTED_S = 0.02
"""A wall clock that moved by no more than this against the monotonic one needs no closer look."""
MAX_BOOKINGS = 10_000
MAX_BOOKINGS_OF_ONE = 1000

_log = structlog.get_logger("schedule")


class Scheduler:
    """The bookings of the batteries that this node owns; `changed` is told whose booking in force is another one now."""

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        table: BookingTable,
        trust: ClockTrust,
        changed: Callable[[Iterable[Battery]], None],
        *,
        node: str,
        edits: asyncio.Lock,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._table = table
        self._trust = trust
        self._changed = changed
        self._survives = f"node {node}"
        self._edits = edits
        self._schedules: dict[str, Schedule] = {}
        self._trusted_utc_s = -math.inf
        self._trusted_s = 0.0
        self._trusted_until_utc_s = -math.inf
        self._doubted = False
        self._in_doubt = InDoubt()
        self._next_s = math.inf
        self._unrecorded: dict[int, None] = {}
        self._moved: dict[int, Booking] = {}
        self._mark_utc_s: float | None = None
        self._standing = False
        self._wake, self._looked = asyncio.Event(), asyncio.Event()

    # --- life

    async def load(self) -> None:
        """Take the bookings that survived. Raises StoreError."""
        bookings, newest_utc_s = await self._table.load()
        self._trust.newest_utc_s = max(self._trust.newest_utc_s, newest_utc_s)
        for battery in dict.fromkeys(each.battery for each in bookings):
            self._schedules[battery] = Schedule(each for each in bookings if each.battery == battery)
        self._next_s = self._clock.now_s()

    async def run(self) -> None:
        """Put bookings in force when they are due, for ever; record that they are over: no edge waits for the disk."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._record_when_looked(), name="record bookings")
            while True:
                self.attend_due()
                self._wake.clear()  # what it asked for by this was to be recorded; the disk may be long about that
                self._looked.set()
                due_s = math.inf if self._standing else min(self.due_s(), self._look_s())
                timeout_s = due_s - self._clock.now_s()
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if timeout_s == math.inf else max(0.001, timeout_s)):
                        await self._wake.wait()

    async def _record_when_looked(self) -> None:
        while True:
            await self._looked.wait()
            self._looked.clear()
            await self._record()

    async def settle(self) -> None:
        """Wait until nothing that was begun goes on in a task: nothing does."""

    def stand(self, *, standing: bool) -> None:
        """Know whether time stands still between ticks."""
        self._standing = standing
        self._wake.set()

    def due_s(self) -> float:
        """Return the monotonic instant of the next edge, as the clocks stand now; infinite when there is none."""
        now_s = self._clock.now_s()
        if self._schedules and not self._doubted and abs(self._clock.utc_s() - self._believed_utc_s(now_s)) >= ADJUSTED_S:
            return now_s
        return self._next_s

    def _look_s(self) -> float:
        waits = self._schedules or self._unrecorded or self._moved or self._mark_utc_s is not None or not self._table.settled
        return self._clock.now_s() + LOOK_S if waits else math.inf

    def attend_due(self) -> None:
        """Put in force what is booked now; cheap when nothing changes."""
        if not self._schedules:
            self._next_s = math.inf
            return
        now_s, utc_s = self._clock.now_s(), self._clock.utc_s()
        doubt = self._trust.doubt(utc_s)
        if not doubt and not self._doubted and now_s < self._next_s and abs(utc_s - self._believed_utc_s(now_s)) < ADJUSTED_S:
            self._seen(utc_s)
            return
        self._attend(now_s, utc_s, doubt)

    def _seen(self, utc_s: float) -> None:
        """Note a time at which the wall clock was trusted."""
        self._trusted_until_utc_s = utc_s
        self._trust.newest_utc_s = max(self._trust.newest_utc_s, utc_s)

    def _believed_utc_s(self, now_s: float) -> float:
        """Return the wall clock as it would be had nobody touched it since it was last trusted and looked at closely."""
        return self._trusted_utc_s + (now_s - self._trusted_s)

    def _attend(self, now_s: float, utc_s: float, doubt: str) -> None:
        self._doubted = bool(doubt)
        if not doubt:
            self._trusted_utc_s, self._trusted_s = utc_s, now_s
            self._end_doubt(now_s, utc_s)
            self._seen(utc_s)
        believed_utc_s = self._believed_utc_s(now_s)
        changed = []
        next_utc_s = math.inf
        for name, schedule in tuple(self._schedules.items()):
            valid = schedule
            if doubt:
                valid = schedule.until(self._trusted_until_utc_s + EDGE_SLACK_S, without=self._in_doubt)
            segment = valid.at(believed_utc_s + EDGE_SLACK_S)
            next_utc_s = min(next_utc_s, valid.next_edge_utc_s(believed_utc_s + EDGE_SLACK_S))
            battery = self._directory.batteries.get(name)
            if battery is not None and self._put(battery, segment, now_s - believed_utc_s, note(segment, doubt)):
                changed.append(battery)
                self._mark_utc_s = utc_s if not doubt else self._mark_utc_s
            if not doubt:
                self._drop_over(name, schedule, utc_s)
        self._next_s = next_utc_s + (now_s - believed_utc_s) if next_utc_s < math.inf else math.inf
        if self._unrecorded or self._moved or changed:
            self._wake.set()
        if changed:
            self._changed(changed)

    def _put(self, battery: Battery, segment: Segment | None, offset_s: float, note: str) -> bool:
        """Put a segment in force on a battery; return whether what is booked changed."""
        if battery.user is not None or isinstance(battery, NetworkLeaf):
            return False
        if battery.booking_note != note:
            battery.booking_note = note
            battery.touch()
        was = battery.booked
        if segment is None:
            booked = None
        else:
            ends_s = segment.end_utc_s + offset_s
            if was is not None and was.number == segment.booking.number and abs(was.ends_s - ends_s) <= SAME_END_S:
                return False
            booked = Booked(number=segment.booking.number, current_a=segment.booking.current_a, ends_s=ends_s)
        if booked is was:
            return False
        battery.booked = booked
        battery.touch()
        _log.info(
            "booking_in_force" if booked else "booking_over",
            battery=battery.name,
            booking=booked.number if booked else was.number if was else 0,
            current_a=booked.current_a if booked else None,
        )
        return True

    def _end_doubt(self, now_s: float, utc_s: float) -> None:
        """Give what was booked in doubt its times by the wall clock, which is trusted now."""
        for name, schedule in self._schedules.items() if self._in_doubt else ():
            settled = [self._in_doubt.settled(each, now_s, utc_s) for each in schedule.bookings]
            moved = {each.number: each for each, was in zip(settled, schedule.bookings, strict=True) if each != was}
            if moved:
                self._moved |= moved
                self._schedules[name] = Schedule(settled)
        self._in_doubt.clear()

    def _drop_over(self, name: str, schedule: Schedule, utc_s: float) -> None:
        over = schedule.over(utc_s + EDGE_SLACK_S)
        if not over:
            return
        gone = {each.number for each in over}
        self._unrecorded.update(dict.fromkeys(gone))
        self._keep(name, Schedule(each for each in schedule.bookings if each.number not in gone))
        self._mark_utc_s = utc_s

    def _keep(self, name: str, schedule: Schedule) -> None:
        if schedule:
            self._schedules[name] = schedule
        else:
            self._schedules.pop(name, None)

    async def _record(self) -> None:
        """Write down that bookings began or are over; where that fails it is tried again, and nothing waits for it."""
        numbers, moved, mark_utc_s = tuple(self._unrecorded), dict(self._moved), self._mark_utc_s
        if not numbers and not moved and mark_utc_s is None and self._table.settled:
            return
        try:
            self._lose(await self._table.settle())
            await self._table.remove(numbers, at_utc_s=mark_utc_s, moved=tuple(moved.values()))
        except StoreError as error:
            _log.error("store_failed", detail=error.message, unrecorded_bookings=len(numbers))
            return
        for number in numbers:
            self._unrecorded.pop(number, None)
        self._moved = {number: each for number, each in self._moved.items() if moved.get(number) != each}
        if self._mark_utc_s == mark_utc_s:
            self._mark_utc_s = None

    def _lose(self, numbers: Collection[int]) -> None:
        """Forget bookings that the store does not have any more: who cancelled them did not wait for the end."""
        lost = [each for schedule in self._schedules.values() for each in schedule.bookings if each.number in numbers]
        for booking in lost:
            self._end(booking)

    def look_again(self) -> None:
        """Attend soon: the topology or a schedule changed."""
        self._next_s = self._clock.now_s()
        self.attend_due()
        self._wake.set()

    # --- booking

    async def book(
        self, name: str, current_a: float, start: Moment, end: Moment, *, holder: str, request_id: str = ""
    ) -> BookResult:
        """Keep a booking, durable before it returns; of a stub at the node that owns the battery; see NodeApi.book."""
        battery = self._directory[name]
        if not math.isfinite(current_a):
            raise InvalidArgumentError(f"current_a must be finite, got {current_a}", field="current_a")
        if isinstance(battery, NetworkLeaf):
            check_bookable(battery, holder)
            try:
                return at_stub(name, await battery.book(current_a, start, end, request_id=request_id))
            except RequestError as error:
                error.also(f"so says the node that owns {name}", stub=name)
                raise
        async with self._edits:
            try:
                booking, status = await self._add(name, current_a, start, end, holder, request_id)
            finally:
                self._wake.set()  # who asks may go away meanwhile: what became of it is found out
        self.look_again()
        return self._answer(booking, status)

    async def _add(
        self, name: str, current_a: float, start: Moment, end: Moment, holder: str, request_id: str
    ) -> tuple[Booking, BatteryStatus]:
        battery = self._directory[name]
        now_s, utc_s = self._clock.now_s(), self._clock.utc_s()
        status = battery.status(now_s)
        schedule = self._schedules.get(name, Schedule())
        for each in schedule.bookings:
            if request_id and (each.who, each.request_id) == (holder, request_id):
                return each, status
        check_bookable(battery, holder)
        check_current(status, current_a)
        start_utc_s, end_utc_s = checked_times(start, end, utc_s, battery.spec.max_booking_h)
        if len(schedule.bookings) >= MAX_BOOKINGS_OF_ONE or self._count() >= MAX_BOOKINGS:
            raise NoResourcesError(
                f"{name} has {len(schedule.bookings)} bookings, the node {self._count()}: at most {MAX_BOOKINGS_OF_ONE} and "
                f"{MAX_BOOKINGS} are kept; cancel some",
                name=name,
            )
        wanted = Booking(
            number=0,
            battery=name,
            current_a=current_a,
            start_utc_s=start_utc_s,
            end_utc_s=end_utc_s,
            who=holder,
            booked_utc_s=utc_s,
            request_id=request_id,
        )
        doubt = self._trust.doubt(utc_s)
        booking = await self._table.add(wanted)
        if doubt or self._trust.doubt(self._clock.utc_s()):
            self._in_doubt.add(booking, start, end, now_s)
        self._schedules[name] = self._schedules.get(name, Schedule()).plus(booking)
        _log.info("booked", battery=name, booking=booking.number, current_a=current_a, who=holder)
        return booking, status

    def _count(self) -> int:
        return sum(len(schedule.bookings) for schedule in self._schedules.values())

    def _answer(self, booking: Booking, status: BatteryStatus) -> BookResult:
        warnings = []
        if doubt := self._trust.doubt(self._clock.utc_s()):
            warnings.append(f"the wall clock is not trusted now, {doubt}: until it is, no booking begins")
        if self._directory[booking.battery].stopped:
            warnings.append(f"{booking.battery} is stopped: the booking waits for its release")
        return BookResult(
            booking=self._view(booking),
            survives=self._survives,
            lower_a=0.0 - (status.ideal_max_charge_current_a or 0.0),
            upper_a=status.ideal_max_discharge_current_a or 0.0,
            warnings=tuple(warnings),
        )

    def _view(self, booking: Booking) -> BookingView:
        battery = self._directory.batteries.get(booking.battery)
        booked = None if battery is None else battery.booked
        segments = self._schedules.get(booking.battery, Schedule()).segments
        return BookingView(
            booking_id=str(booking.number),
            name=booking.battery,
            current_a=booking.current_a,
            start_utc_s=booking.start_utc_s,
            end_utc_s=booking.end_utc_s,
            who=booking.who,
            booked_utc_s=booking.booked_utc_s,
            running=booked is not None and booked.number == booking.number,
            in_force=tuple((each.start_utc_s, each.end_utc_s) for each in segments if each.booking.number == booking.number),
        )

    async def bookings(self, name: str = "") -> tuple[BookingView, ...]:
        """Return the bookings of a battery (a stub's from its owner), or all that this node owns; see NodeApi.bookings."""
        if name:
            battery = self._directory[name]
            if isinstance(battery, NetworkLeaf):
                return tuple(view_at_stub(name, view) for view in await battery.bookings())
        names = [name] if name else list(self._schedules)
        found = [each for battery in names for each in self._schedules.get(battery, Schedule()).bookings]
        return tuple(self._view(each) for each in sorted(found, key=lambda each: (each.start_utc_s, each.number)))

    async def cancel(self, booking_id: str, *, holder: str) -> BookingView:
        """Forget a booking, durable before it returns; what runs of it ends, no edit is waited for; see NodeApi."""
        stub, separator, rest = booking_id.partition(SEPARATOR)
        if separator:
            battery = self._directory[stub]
            if not isinstance(battery, NetworkLeaf):
                raise BadNameError(f"no booking {booking_id}: {stub} is not another node's battery", booking=booking_id)
            return view_at_stub(stub, await battery.cancel_booking(rest))
        for schedule in self._schedules.values():
            for booking in schedule.bookings:
                if str(booking.number) == booking_id:
                    view = self._view(booking)
                    self._wake.set()  # as in `book`
                    await self._table.remove([booking.number])
                    self._end(booking)
                    _log.info("booking_cancelled", battery=booking.battery, booking=booking.number, who=holder)
                    return view
        raise BadNameError(f"no booking {booking_id}", booking=booking_id)

    def _end(self, booking: Booking) -> None:
        """Take back what is in force of a booking that is gone, perhaps over meanwhile; what it covered follows."""
        bookings = self._schedules.get(booking.battery, Schedule()).bookings
        self._keep(booking.battery, Schedule(each for each in bookings if each.number != booking.number))
        battery = self._directory.batteries.get(booking.battery)
        if battery is not None and booking.battery not in self._schedules:
            self._put(battery, None, 0.0, "")
            self._changed([battery])
        self.look_again()

    # --- edits

    def check_edit(self, topology: Topology) -> None:
        """Refuse an edit that puts a booked battery in use, takes it away or gives it to another node.

        Raises BatteryInUseError with the bookings listed.
        """
        if self._schedules:
            check_kept(topology, self._schedules)
