"""The audit's records and their chain: each carries the hash of the one before it, so that no record can change unseen.

Hash: SHA-256 over the previous record's hash (64 hexadecimal digits) and the record's columns without `hash` as canonical JSON:
keys sorted, no spaces, ASCII. The first record of all follows 64 zeros. What is cut off at the old end leaves an anchor: the
newest record of action `prune` says which record was cut last and what its hash was.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, Self

GENESIS = "0" * 64
PRUNE = "prune"
MAX_TEXT = 1024
MAX_DETAIL = 16 * 1024
MAX_CHANGES = 100
ROW_OVERHEAD_BYTES = 100
"""What a row takes in the file beside its texts: both indices of SQLite's B-tree, column headers, numbers; generous."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=str)

Outcome = Literal["done", "refused", "failed"]
Row = dict[str, str | int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who did or asked what, and what came of it; times are seconds since 1970-01-01 UTC.

    `names` are the batteries, `count` how many equal ones from `at_utc_s` to `until_utc_s`; `reason` and `message` are the
    refusal's, `comment` is the asker's own. `asked`, `before` and `after` are canonical JSON, empty where nothing is known.
    """

    at_utc_s: float
    until_utc_s: float
    who: str
    action: str
    outcome: Outcome
    names: tuple[str, ...] = ()
    count: int = 1
    reason: str = ""
    message: str = ""
    comment: str = ""
    asked: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Entry):
    """An entry in its place in the chain, numbered from 1; number 0: it is still being counted and has no place yet."""

    number: int
    previous: str
    hash: str


_ENTRY = tuple(field.name for field in fields(Entry))
_RECORD = tuple(field.name for field in fields(Record))


@dataclass(frozen=True, slots=True)
class Fault:
    """The first record that is not as it was written, and why."""

    number: int
    why: str


def canonical(value: object) -> str:
    """Return JSON that is the same for equal values: keys sorted, no spaces, ASCII; what JSON does not know is its text."""
    return _ENCODER.encode(value)


def detail(values: Mapping[str, object] | None) -> str:
    """Return values as canonical JSON, empty for none; what is too large for a record says how large it was."""
    if not values:
        return ""
    try:
        text = canonical(values)
    except ValueError:  # a number that JSON cannot hold
        text = canonical({key: str(value) for key, value in values.items()})
    return text if len(text) <= MAX_DETAIL else canonical({"characters": len(text), "left_out": True})


def clean(text: str) -> str:
    """Return a text that every store can hold, shortened to `MAX_TEXT` characters."""
    if text.isascii() and len(text) <= MAX_TEXT:
        return text
    kept = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    return kept.encode("utf-8", "replace").decode("utf-8")


def hash_of(row: Mapping[str, object]) -> str:
    """Return the hash of a row as the store holds it. Raises ValueError or TypeError for a value no record ever held."""
    content = {key: value for key, value in row.items() if key != "hash"}
    return hashlib.sha256(f"{row['previous']}{canonical(content)}".encode()).hexdigest()


def seal(entry: Entry, number: int, previous: str) -> Record:
    """Give an entry its place after the record whose hash is `previous`."""
    values = {name: getattr(entry, name) for name in _ENTRY}
    row = {**values, "names": canonical(entry.names), "number": number, "previous": previous}
    return Record(**values, number=number, previous=previous, hash=hash_of(row))


def row_of(record: Record) -> Row:
    """Return a record as the store's columns."""
    return {**{name: getattr(record, name) for name in _RECORD}, "names": canonical(record.names)}


def record_of(row: Mapping[str, object]) -> Record:
    """Return the record in a row; a row that was tampered with still gives one."""
    try:
        names = tuple(map(str, json.loads(str(row["names"]))))
    except (ValueError, TypeError):
        names = (str(row["names"]),)
    return Record(**{**row, "names": names})  # type: ignore[arg-type]


def weight(entry: Entry) -> int:
    """Return about how much memory an entry takes, in bytes."""
    texts = (entry.message, entry.comment, entry.asked, entry.before, entry.after, *entry.names)
    return ROW_OVERHEAD_BYTES + sum(map(len, texts))


def bytes_of(row: Row) -> int:
    """Return about how much of the file a row takes."""
    return ROW_OVERHEAD_BYTES + sum(len(value.encode()) for value in row.values() if isinstance(value, str))


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the chain was cut: the last record that went, and its hash."""

    number: int = 0
    hash: str = GENESIS

    @classmethod
    def of(cls, record: Record) -> Self:
        """Return the cut that a record of action `prune` tells of. Raises ValueError if it tells of none."""
        told = json.loads(record.after)
        return cls(int(told["cut_to"]), str(told["hash"]))

    def text(self, records: int) -> str:
        """Return what the record of the cut says."""
        return canonical({"cut_to": self.number, "hash": self.hash, "records": records})


class Verifier:
    """Follows the rows of a chain in the order of their numbers and stops at the first that is wrong."""

    def __init__(self) -> None:
        self.first: Record | None = None
        self.last = Cut()
        self.records = 0
        self.fault: Fault | None = None
        self._cut: Cut | None = None

    def follow(self, rows: Iterable[Mapping[str, object]]) -> bool:
        """Look at the next rows; return whether all is well so far."""
        for row in rows:
            if self.fault is None:
                self._look(row)
        return self.fault is None

    def _look(self, row: Mapping[str, object]) -> None:
        record = record_of(row)
        expected = self.last.number + 1
        if self.first is not None and record.number != expected:
            self.fault = Fault(expected, f"it is missing: the next in place is {record.number}")
        elif why := self._wrong(row, record):
            number = row["number"]
            self.fault = Fault(number if isinstance(number, int) else expected, why)
        if self.fault is not None:
            return
        self.first = self.first or record
        self.last = Cut(record.number, record.hash)
        self.records += 1
        if record.action == PRUNE:
            try:
                self._cut = Cut.of(record)
            except (ValueError, TypeError, KeyError):
                self.fault = Fault(record.number, "it tells of a cut, but not of which")

    def _wrong(self, row: Mapping[str, object], record: Record) -> str:
        try:
            right = hash_of(row) == record.hash
        except (ValueError, TypeError):
            right = False
        if not right:
            return "its content does not fit its hash: it was changed after it was written"
        if self.first is not None and record.previous != self.last.hash:
            return f"it does not follow record {self.last.number}: one of the two was changed after it was written"
        return ""

    def end(self, head: Cut) -> Fault | None:
        """Compare both ends of the chain with what is known of them; return what is wrong, None if nothing is.

        `head` is the last record that was written; the old end is known from the newest `prune` record, or is the first of all.
        """
        if self.fault is not None:
            return self.fault
        if self.first is not None:
            cut = self._cut or Cut()
            if self.first.number != cut.number + 1:
                self.fault = Fault(cut.number + 1, f"it is missing: the oldest in place is {self.first.number}")
            elif self.first.previous != cut.hash:
                self.fault = Fault(self.first.number, "it does not follow what stood before it")
        if self.fault is None and self.last != head:
            if self.last.number < head.number:
                why = f"it is missing: {head.number} records were written, the last in place is {self.last.number}"
                self.fault = Fault(self.last.number + 1, why)
            else:
                self.fault = Fault(self.last.number, f"the chain ends with it, but was written up to {head.number}")
        return self.fault
