"""The audit: who did, asked or was refused what, kept in a hash chain that `verify` follows.

`note` never waits: a record gets its place in the chain at once and is written with others within a second. While the store
fails, records stay in memory, bounded and counted, and are written when it works again.
"""

import asyncio
import json
import math
from collections import deque
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from bosd.bal.setpoint import SetPoint
from bosd.clock import Clock
from bosd.errors import BosError, StoreError
from bosd.node.audit_counts import Counts
from bosd.node.faults import Severity
from bosd.node.noticed import Noticed
from bosd.store.audit import AuditFilter, Head
from bosd.store.audit_chain import PRUNE, Cut, Entry, Fault, Outcome, Record, Verifier, clean, detail, seal, weight

GROUP_S = 0.5
"""How long a record waits for others; with the writing itself less than a second."""
RETRY_S = 5.0
PRUNE_PERIOD_S = 3600.0
FIRST_PRUNE_S = 60.0
MAX_WAITING = 4096
MAX_WAITING_BYTES = 16 * 2**20
KEPT_FOR_STOPS = 256
"""Places in memory that only what makes safe may take."""
KEPT_SHARE = 0.9
"""What is left of the size bound after it was reached, so that cutting is rare."""
DAY_S = 86400.0
NODE = "bosd"
"""Who did what the node did by itself."""
_SAFE_ACTIONS = frozenset({"stop", "clear"})
_MAX_NAME = 128

_log = structlog.get_logger("audit")


class AuditStore(Protocol):
    """Where the records are kept."""

    async def load(self) -> tuple[Head, tuple[Record, ...]]:
        """Return the head, and the records that were being counted when the node ended."""
        ...

    async def append(self, records: Sequence[Record], counting: Mapping[str, Record | None]) -> Head:
        """Append records that are not there yet, and keep what is being counted (None: no more); return the new head."""
        ...

    async def page(self, wanted: AuditFilter, limit: int) -> tuple[Record, ...]:
        """Return the newest records that pass, newest first."""
        ...

    async def chunk(self, after_number: int) -> Sequence[Mapping[str, object]]:
        """Return rows after a number as they are stored, oldest first; none at the end."""
        ...

    async def cut_to(self, *, older_utc_s: float, excess_bytes: int) -> tuple[Cut, int] | None:
        """Return the last of the oldest records that are too old or too many, and how many go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What following the whole chain gave; `fault` is None when every record is as it was written.

    `unwritten` records wait for the store, `dropped` ones found no room while it failed.
    """

    records: int
    first: int
    head: Cut
    fault: Fault | None
    unwritten: int
    dropped: int


class AuditLog:
    """The audit of one node. Other parts record what they do with `note` and `refused`."""

    def __init__(self, store: AuditStore, clock: Clock, *, retention_days: float = 365.0, max_mib: float = 64.0) -> None:
        self._store = store
        self.clock = clock
        self._retention_s = retention_days * DAY_S
        self._max_bytes = int(max_mib * 2**20)
        self._head = Head(Cut(), 0)
        self._sealed = Cut()
        self._waiting: deque[Record] = deque()
        self._waiting_bytes = 0
        self._counts = Counts()
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._failed = False
        self._prune_s = math.inf
        self._lost = 0
        self.dropped = 0

    def noticed(self) -> Iterable[Noticed]:
        """Yield what is wrong: records that the store did not take."""
        if self._failed:
            message = f"{self.unwritten} records wait for the store, {self.dropped} found no room"
            yield Noticed("AUDIT_UNWRITTEN", Severity.HIGH, message, "audit")

    @property
    def unwritten(self) -> int:
        """How many records are not on the disk yet."""
        return len(self._waiting)

    async def load(self) -> None:
        """Find the end of the chain; what was being counted when the node ended gets its place now. Raises StoreError."""
        self._head, counting = await self._store.load()
        self._sealed = self._head.cut
        for record in counting:
            self._counts.forget(record)
            self._place(record)

    # --- recording

    def note(  # noqa: PLR0913 (one parameter per column)
        self,
        action: str,
        *,
        who: str,
        names: Sequence[str] = (),
        outcome: Outcome = "done",
        reason: str = "",
        message: str = "",
        comment: str = "",
        asked: Mapping[str, object] | None = None,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
        counted: bool = False,
    ) -> None:
        """Record something; it never waits and never fails. `counted`: equal ones of a minute become one record."""
        at_utc_s = self.clock.utc_s()
        entry = Entry(
            at_utc_s=at_utc_s,
            until_utc_s=at_utc_s,
            who=clean(who),
            action=action,
            outcome=outcome,
            names=tuple(clean(name[:_MAX_NAME]) for name in names if name),
            reason=reason,
            message=clean(message),
            comment=clean(comment),
            asked=detail(asked),
            before=detail(before),
            after=detail(after),
        )
        if not counted:
            self._place(entry)
        elif self._counts.add(entry, asyncio.get_running_loop().time()):
            self._wake.set()

    def lease_over(self, battery: str, setpoint: SetPoint) -> None:
        """Record that a set point ended since the node that asked for it was not heard."""
        before = {"current_a": setpoint.current_a, "holder": setpoint.holder}
        message = f"the lease of {setpoint.holder} is over: its set point ended"
        self.note("lease-over", who=NODE, names=[battery], message=message, before=before)

    def refused(
        self, action: str, error: BosError, *, who: str, names: Sequence[str] = (), asked: Mapping[str, object] | None = None
    ) -> None:
        """Record a refusal; equal ones (who, action, batteries, reason) of a minute become one record with their number."""
        self.note(
            action,
            who=who,
            names=names,
            outcome="refused",
            reason=error.reason,
            message=error.message,
            asked=asked,
            counted=True,
        )

    def _place(self, entry: Entry) -> None:
        """Give an entry its place in the chain, or count it as lost where memory is full."""
        if not self._has_room(entry):
            self._lost += 1
            self.dropped += 1
            return
        record = seal(entry, self._sealed.number + 1, self._sealed.hash)
        self._sealed = Cut(record.number, record.hash)
        self._waiting.append(record)
        self._waiting_bytes += weight(record)
        self._wake.set()

    def _has_room(self, entry: Entry) -> bool:
        if entry.action in _SAFE_ACTIONS:
            return len(self._waiting) < MAX_WAITING + KEPT_FOR_STOPS
        return len(self._waiting) < MAX_WAITING and self._waiting_bytes < MAX_WAITING_BYTES

    # --- writing

    async def run(self) -> None:
        """Write what waits, in groups; close counts that are due; cut what is too old or too much."""
        loop = asyncio.get_running_loop()
        self._prune_s = loop.time() + FIRST_PRUNE_S
        while True:
            await self._something_to_do(loop.time())
            if loop.time() >= self._prune_s or self._head.size_bytes > self._max_bytes:
                self._prune_s = loop.time() + PRUNE_PERIOD_S
                await self._try(self.prune())
            self._close_counts(loop.time())
            if not await self._try(self.flush()):
                await asyncio.sleep(RETRY_S)

    async def _something_to_do(self, now_s: float) -> None:
        """Return a moment after the first record that waits, or when a count or the next cutting is due."""
        try:
            async with asyncio.timeout(max(0.0, min(self._counts.due_s, self._prune_s) - now_s)):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(GROUP_S)

    async def _try(self, work: Awaitable[None]) -> bool:
        try:
            await work
        except StoreError as error:
            if not self._failed:
                _log.error("store_failed", detail=error.message, unwritten=self.unwritten, dropped=self.dropped)
            self._failed = True
            return False
        if self._failed:
            _log.info("store_works", unwritten=self.unwritten, dropped=self.dropped)
        self._failed = False
        return True

    def _close_counts(self, now_s: float) -> None:
        for record in self._counts.close(now_s):
            self._place(record)

    async def flush(self) -> None:
        """Write all that waits, in one transaction. Raises StoreError; then it waits on."""
        async with self._writing:
            self._wake.clear()
            if not self._waiting and not self._counts.unkept:
                return
            records, counting = tuple(self._waiting), self._counts.take_unkept()
            try:
                self._head = await self._store.append(records, counting)
            except BaseException:
                self._counts.give_back(counting)
                self._wake.set()
                raise
            for record in records:
                self._waiting.popleft()
                self._waiting_bytes -= weight(record)
        if self._lost:
            lost, self._lost = self._lost, 0
            self.note("lost", who=NODE, outcome="failed", after={"records": lost}, comment="no room while the store failed")

    async def close(self) -> None:
        """Give every count its place and write all. Raises StoreError."""
        self._close_counts(math.inf)
        await self.flush()

    async def prune(self) -> None:
        """Cut off what is older than the retention, and the oldest of what is more than the size bound. Raises StoreError."""
        if self._reading.locked():
            return
        async with self._reading:
            await self.flush()
            size_bytes = self._head.size_bytes
            excess_bytes = size_bytes - int(KEPT_SHARE * self._max_bytes) if size_bytes > self._max_bytes else 0
            found = await self._store.cut_to(older_utc_s=self.clock.utc_s() - self._retention_s, excess_bytes=excess_bytes)
            if found is None:
                return
            cut, records = found
            self.note(PRUNE, who=NODE, after=json.loads(cut.text(records)))
            await self.flush()

    # --- reading

    async def list(self, wanted: AuditFilter, limit: int) -> tuple[Record, ...]:
        """Return the newest records that pass, newest first, those included that are not written yet. Raises StoreError."""
        counting = self._counts.newest_first() if wanted.before_number is None else []
        waiting = [record for record in reversed(self._waiting) if _in_range(record, wanted)]
        unwritten = [record for record in (*counting, *waiting) if wanted.admits(record)][:limit]
        known = {record.number for record in waiting}
        written = await self._store.page(wanted, limit)
        return (*unwritten, *(record for record in written if record.number not in known))[:limit]

    async def verify(self) -> Verdict:
        """Follow the whole chain as it is on the disk. Raises StoreError."""
        async with self._reading:
            await self._try(self.flush())
            head = self._head.cut
            verifier = Verifier()
            after = -1
            while verifier.last.number < head.number:
                rows = [row for row in await self._store.chunk(after) if after < int(str(row["number"])) <= head.number]
                if not rows or not verifier.follow(rows):
                    break
                after = verifier.last.number
            fault = verifier.end(head) or await self._beyond(head)
            return Verdict(
                records=verifier.records,
                first=verifier.first.number if verifier.first else 0,
                head=verifier.last,
                fault=fault,
                unwritten=self.unwritten,
                dropped=self.dropped,
            )

    async def _beyond(self, head: Cut) -> Fault | None:
        """Return what stands behind the end of the chain, or what the store says of it wrongly."""
        rows = await self._store.chunk(head.number)
        stored, _ = await self._store.load()
        if self._head.cut != head:
            return None  # written meanwhile
        if rows:
            return Fault(int(str(rows[0]["number"])), f"it stands behind the end of the chain, record {head.number}")
        return None if stored.cut == head else Fault(head.number, f"the store says that record {stored.cut.number} is the last")


def _in_range(record: Record, wanted: AuditFilter) -> bool:
    above = wanted.after_number is None or record.number > wanted.after_number
    return above and (wanted.before_number is None or record.number < wanted.before_number)
