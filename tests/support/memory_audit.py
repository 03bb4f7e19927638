"""The audit's store kept in memory: for loops that jump, on which no thread may run."""

from collections.abc import Mapping, Sequence

from bosd.errors import StoreError
from bosd.store.audit import AuditFilter, Head
from bosd.store.audit_chain import Cut, Record, row_of


class MemoryAudit:
    """Records as rows; `appends` counts transactions, and while `failed` every call raises StoreError."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.counting: dict[str, Record] = {}
        self.appends = 0
        self.failed = False

    def _check(self) -> None:
        if self.failed:
            raise StoreError("the disk is full")

    def _head(self) -> Head:
        return Head(Cut(self.records[-1].number, self.records[-1].hash), 0) if self.records else Head(Cut(), 0)

    async def load(self) -> tuple[Head, tuple[Record, ...]]:
        self._check()
        return self._head(), tuple(self.counting.values())

    async def append(self, records: Sequence[Record], counting: Mapping[str, Record | None]) -> Head:
        self._check()
        self.appends += 1
        self.records += records
        for key, record in counting.items():
            self.counting.pop(key, None)
            if record is not None:
                self.counting[key] = record
        return self._head()

    async def page(self, wanted: AuditFilter, limit: int) -> tuple[Record, ...]:
        self._check()
        before = self.records[-1].number + 1 if wanted.before_number is None and self.records else wanted.before_number or 0
        return tuple(
            record
            for record in reversed(self.records)
            if wanted.admits(record) and (wanted.after_number or 0) < record.number < before
        )[:limit]

    async def chunk(self, after_number: int) -> Sequence[Mapping[str, object]]:
        self._check()
        return [row_of(record) for record in self.records if record.number > after_number]

    async def cut_to(self, *, older_utc_s: float, excess_bytes: int) -> tuple[Cut, int] | None:
        self._check()
        return None
