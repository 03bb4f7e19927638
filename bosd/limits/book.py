"""The limit book: who limits which battery to what, durable, and in force at once (control.md, "What is in force").

A limit that was put is in force beside those it replaces until the store has it: so a tighter one waits for nothing, and a looser
one for the store. Of those in force the tightest binds.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

import structlog

from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.schedule import LAST_UTC_S, Moment
from bosd.clock import Clock
from bosd.errors import BadNameError, InDoubtError, InvalidArgumentError, NoResourcesError, StoreError
from bosd.limits.checks import check, words
from bosd.limits.entry import SOURCE, Entry, Standing, known_revision, superfluous
from bosd.limits.sources import LimitSource
from bosd.store.limits import Direction, Key, Limit, LimitEvent, LimitTable

LOOK_S = 0.25
"""A quarter of what a limit over what the node owns may take (control.md, "Limits over a distance")."""
IDLE_S = 1.0
RETRY_S = 5.0
LAST_S = 1.0
"""How long the end of a node waits for the store to take what was put just before."""
MOST_LIMITS = 1000
PUT, REMOVED, ENDED = "put", "removed", "ended"
NOW = Moment()

_log = structlog.get_logger("limits")


class Note(Protocol):
    """The audit, as far as the book needs it."""

    def __call__(
        self, action: str, *, who: str, names: tuple[str, ...], before: dict[str, object], after: dict[str, object], comment: str
    ) -> None:
        """Record what was done; never waits."""
        ...


def _unnoted(action: str, **facts: object) -> None:
    del action, facts


class LimitBook:
    """The limits of one node. `changed` has what rests on batteries put in force again; `doubt` judges the wall clock."""

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        table: LimitTable,
        doubt: Callable[[float], str],
        changed: Callable[[Iterable[Battery]], None],
    ) -> None:
        self.directory = directory
        self.clock = clock
        self.note: Note = _unnoted
        self._table = table
        self._doubt = doubt
        self._changed = changed
        self._entries: dict[Key, list[Entry]] = {}
        self._number = 0
        self._unrecorded: dict[Entry, str] = {}
        self._ended: list[Limit] = []
        self._failure = ""
        self._writing = asyncio.Lock()
        self._wake, self._to_record = asyncio.Event(), asyncio.Event()
        self._standing = False
        self._watchers: set[asyncio.Event] = set()
        self.at_work: set[str] = set()
        """Sources that put and end their limits themselves while they are here: nobody else ends those."""

    # --- life

    async def load(self) -> None:
        """Put in force what was when the node went down; a limit whose end is not provably past goes on."""
        for limit in await self._table.load():
            self._number = max(self._number, limit.number)
            self._entries.setdefault(limit.key, []).append(Entry.restored_of(limit, self.clock))
        self.attend_due()

    async def run(self, beside: Callable[[], bool] = lambda: False) -> None:
        """Put limits in force and end them when they are due; keep trying to record what the store did not take, at the end too.

        `beside` is called at each look; while it returns that nothing is limited, and the book is empty, looks are rare.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._record_when_due(), name="record limits")
                await self._run(beside)
        finally:
            if self._unrecorded or self._ended:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LAST_S):
                        await self._record()

    async def _run(self, beside: Callable[[], bool]) -> None:
        while True:
            self._wake.clear()
            self.attend_due()
            busy = beside() or bool(self._entries)
            if self._unrecorded or self._ended:
                self._to_record.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if busy and not self._standing else IDLE_S):
                    await self._wake.wait()

    async def _record_when_due(self) -> None:
        """Record, and try again, beside the looks: what is due, granted or opened does not wait for the disk."""
        while True:
            await self._to_record.wait()
            self._to_record.clear()
            await self._record()
            if self._failure:
                await asyncio.sleep(RETRY_S)

    async def settle(self) -> None:
        """Wait until nothing that was begun goes on in a task: nothing does."""

    def stand(self, *, standing: bool) -> None:
        """Know whether time stands still between ticks."""
        self._standing = standing
        self._wake.set()

    def due_s(self) -> float:
        """Return when the next limit begins or ends; infinite when none does."""
        now_s = self.clock.now_s()
        return min((entry.next_s(now_s) for entries in self._entries.values() for entry in entries), default=math.inf)

    # --- what is in force

    def attend_due(self) -> None:
        """Put in force what is due, and end what is past."""
        now_s, utc_s = self.clock.now_s(), self.clock.utc_s()
        if not self._doubt(utc_s):
            for entries in self._entries.values():
                self._unrecorded.update({entry: PUT for entry in entries if entry.anchor(now_s, utc_s)})
        self._drop_ended(now_s)
        self._put_caps(now_s)

    def _drop_ended(self, now_s: float) -> None:
        for key, entries in list(self._entries.items()):
            if any(entry.ended(now_s) for entry in entries):
                gone = [entry for entry in entries if entry.ended(now_s)]
                self._keep(key, [entry for entry in entries if entry not in gone])
                for entry in gone:
                    self._unrecorded.pop(entry, None)
                    self._ended.append(entry.limit)
                    _log.info("limit_ended", **words(entry.limit))
                self._wake.set()
                self._tell()

    def _keep(self, key: Key, entries: list[Entry]) -> None:
        if entries:
            self._entries[key] = entries
        else:
            self._entries.pop(key, None)

    def _put_caps(self, now_s: float) -> None:
        in_force: dict[str, list[Entry]] = {}
        for entries in self._entries.values():
            for entry in entries:
                if entry.in_force(now_s):
                    in_force.setdefault(entry.limit.battery, []).append(entry)
        changed: dict[Battery, None] = {}
        for battery in self.directory:
            mine = in_force.get(battery.name, ())
            if not mine and not battery.caps:
                continue
            ordered = sorted(mine, key=lambda entry: (-entry.limit.priority, entry.limit.number))
            if battery.put_caps(SOURCE, tuple(cap for entry in ordered for cap in entry.caps())):
                changed |= dict.fromkeys(self.directory.tops_with(battery))
        if changed:
            self._changed(changed)
            self._tell()

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    # --- asking

    def standing(self) -> tuple[Standing, ...]:
        """Return all limits that are in force or still to come, by battery, direction and source."""
        now_s = self.clock.now_s()
        found = [
            Standing(
                limit=entry.limit,
                in_force=entry.in_force(now_s),
                durable=entry.durable,
                restored=entry.restored,
                begins_in_s=max(0.0, (entry.begins_s or now_s) - now_s),
                ends_in_s=None if entry.ends_s is None else entry.ends_s - now_s,
            )
            for entries in self._entries.values()
            for entry in entries
            if not entry.limit.is_none
        ]
        return tuple(sorted(found, key=lambda each: (each.limit.battery, each.limit.direction, each.limit.source)))

    def grants(self) -> Iterator[Limit]:
        """Yield the parts of other nodes' limits that stand here, in no order."""
        limits = (entry.limit for entries in self._entries.values() for entry in entries)
        return (limit for limit in limits if limit.revision and not limit.is_none)

    def doubt(self) -> str:
        """Return why the wall clock is not trusted; empty when it is."""
        return self._doubt(self.clock.utc_s())

    async def watch(self) -> AsyncIterator[tuple[Standing, ...]]:
        """Yield all limits at once, then after each change, the latest alone."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            while True:
                changed.clear()
                yield self.standing()
                await changed.wait()
        finally:
            self._watchers.discard(changed)

    async def history(self, most: int, *, battery: str = "", source: str = "") -> tuple[LimitEvent, ...]:
        """Return the newest events, oldest first."""
        return await self._table.history(most, battery=battery, source=source)

    @property
    def failure(self) -> tuple[int, str]:
        """How many limits are in force that the store did not take, and why."""
        return len(self._unrecorded), self._failure

    # --- changing

    def source(self, name: str) -> LimitSource:
        """Return the book as one source sees it."""
        return LimitSource(self, name)

    async def put(self, wanted: Limit, *, begins: Moment | None = None, ends: Moment | None = None) -> Limit:
        """Keep a limit in place of the one of its key; in force at once where it is tighter, durable when this returns.

        `begins` and `ends` stand for `from_utc_s` and `until_utc_s`, relative ones going by this node's monotonic clock. A limit
        without watts and amperes ends the one of its key.
        Raises BadNameError, InvalidArgumentError, NoResourcesError, StaleRevisionError; StoreError where the store did not take
        it: then a tighter one is in force all the same and is recorded later.
        """
        entry, older = self._begun(wanted, begins or NOW, ends)
        if not self._entries.get(entry.limit.key) or entry not in self._entries[entry.limit.key]:
            return entry.limit  # a grant that was here before
        event = REMOVED if entry.limit.is_none else PUT
        try:
            await self._write(entry, event)
        except StoreError as error:
            if entry.loosens(older):
                left = [each for each in self._entries.get(entry.limit.key, ()) if each is not entry]
                self._keep(entry.limit.key, left)
                self._unrecorded.pop(entry, None)
                if isinstance(error, InDoubtError):  # the store may have taken it just then
                    self._unrecorded.update({each: PUT for each in left if each.durable and not each.limit.is_none})
                raise
            self._failure = error.message
            self._record_later(entry, event)
            self._noted(entry, older)
            raise StoreError(f"in force, but not recorded yet: {error.message}", **error.metadata) from error
        except asyncio.CancelledError:  # nobody waits any more; what was asked for is done all the same
            self._record_later(entry, event)
            self._noted(entry, older)
            raise
        self._noted(entry, older)
        return entry.limit

    def post(self, wanted: Limit, *, ends: Moment | None = None) -> Limit:
        """Keep a limit without waiting: tighter ones are in force on return, the store is told until it takes it."""
        entry, older = self._begun(wanted, NOW, ends)
        self._record_later(entry, REMOVED if entry.limit.is_none else PUT)
        self._noted(entry, older)
        return entry.limit

    def _record_later(self, entry: Entry, event: str) -> None:
        """Have a limit recorded some time, and none that others make superfluous, but for those whose put still waits."""
        self._unrecorded[entry] = event
        for each in superfluous(self._entries.get(entry.limit.key, [])):
            if self._unrecorded.pop(each, None) is not None:
                self._entries[entry.limit.key].remove(each)
        self._wake.set()

    def _begun(self, wanted: Limit, begins: Moment, ends: Moment | None) -> tuple[Entry, list[Entry]]:
        """Put a limit in force beside those of its key; return it with them."""
        entry = self._checked(wanted, begins, ends)
        key = entry.limit.key
        older = list(self._entries.get(key, ()))
        if repeated := known_revision(entry.limit, older):
            return Entry(repeated), older
        if not entry.limit.is_none and not older and len(self._entries) >= MOST_LIMITS:
            raise NoResourcesError(f"the book holds {MOST_LIMITS} limits: no more", limits=MOST_LIMITS)
        self._entries[key] = [*older, entry]
        self.attend_due()
        self._wake.set()
        return entry, older

    def _noted(self, entry: Entry, older: list[Entry]) -> None:
        limit = entry.limit
        was = next((each.limit for each in reversed(older) if not each.limit.is_none), None)
        self.note(
            "unlimit" if limit.is_none else "limit",
            who=limit.who,
            names=(limit.battery,),
            before={} if was is None else words(was),
            after=words(limit),
            comment=limit.comment,
        )
        _log.info("limit_removed" if limit.is_none else "limit_put", **words(limit))

    def _checked(self, wanted: Limit, begins: Moment, ends: Moment | None) -> Entry:
        check(wanted)
        if not wanted.is_none:
            self.directory[wanted.battery]
        now_s, utc_s = self.clock.now_s(), self.clock.utc_s()
        from_utc_s = None if begins == NOW else begins.resolved(utc_s)
        until_utc_s = None if ends is None else ends.resolved(utc_s)
        certain = (ends is not None and ends.utc_s is None) or not self.doubt()
        if until_utc_s is not None and until_utc_s <= max(from_utc_s or -math.inf, utc_s if certain else 0.0):
            raise InvalidArgumentError("the end of the limit is not after its begin, or is past", field="until")
        for field, instant_s in (("from", from_utc_s), ("until", until_utc_s)):
            if instant_s is not None and not 0.0 <= instant_s <= LAST_UTC_S:
                raise InvalidArgumentError(f"{field} is no time up to the year 9999", field=field)
        self._number += 1
        limit = replace(wanted, from_utc_s=from_utc_s, until_utc_s=until_utc_s, put_utc_s=utc_s, number=self._number)
        entry = Entry(limit, relative=begins.utc_s is None and (ends is None or ends.utc_s is None))
        if from_utc_s is not None:
            entry.begins_s = now_s + from_utc_s - utc_s
        if until_utc_s is not None:
            entry.ends_s = now_s + until_utc_s - utc_s
        if self.doubt():
            entry.mistrust()
        return entry

    async def _write(self, entry: Entry, event: str) -> None:
        """Have the store take a limit; then those it replaces are none any more."""
        async with self._writing:
            limit = entry.limit
            if any(each.limit.number > limit.number and each.durable for each in self._entries.get(limit.key, ())):
                self._unrecorded.pop(entry, None)
                return  # one that was put later is there already
            await self._table.put(entry.kept(), [LimitEvent(at_utc_s=self.clock.utc_s(), event=event, limit=limit)])
            entry.durable = True
            if entry.limit is limit:
                self._unrecorded.pop(entry, None)
            left = [each for each in self._entries.get(limit.key, ()) if each.limit.number >= limit.number]
            if limit.is_none and not limit.revision:
                left = [each for each in left if each is not entry]
            self._keep(limit.key, left)
        self.attend_due()
        self._tell()

    async def _record(self) -> None:
        """Record what the store did not take, and what ended."""
        try:
            for entry, event in list(self._unrecorded.items()):
                if entry in self._unrecorded:
                    await self._write(entry, event)
            if ended := list(self._ended):
                await self._table.end([LimitEvent(at_utc_s=self.clock.utc_s(), event=ENDED, limit=each) for each in ended])
                del self._ended[: len(ended)]
        except StoreError as error:
            if not self._failure:
                _log.error("store_failed", detail=error.message, unrecorded_limits=len(self._unrecorded))
            self._failure = error.message
        else:
            self._failure = ""

    async def remove(
        self, source: str, battery: str, direction: Direction | None, *, identity: str = "", who: str = "", comment: str = ""
    ) -> tuple[Limit, ...]:
        """End the limits of a source on a battery, of both directions where none is named; durable first.

        Raises BadNameError where there is none, StoreError.
        """
        found = [
            entries[-1].limit
            for key, entries in list(self._entries.items())
            if key[:2] == (source, battery)
            and key[3] == identity
            and direction in (None, key[2])
            and not entries[-1].limit.is_none
        ]
        if not found:
            of = f" {direction}" if direction else ""
            raise BadNameError(f"{source} has no{of} limit on {battery}", name=battery, source=source)
        for limit in found:
            revision = limit.revision + 1 if limit.revision else 0
            await self.put(replace(limit, limit_w=None, limit_a=None, who=who, comment=comment, revision=revision))
        return tuple(found)
