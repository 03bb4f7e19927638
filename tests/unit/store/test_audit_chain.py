"""The audit's chain: any change of any record is found, and by its number."""

import hashlib
import json
from typing import Any

import pytest

from bosd.store.audit_chain import (
    GENESIS,
    MAX_DETAIL,
    MAX_TEXT,
    Cut,
    Entry,
    Record,
    Row,
    Verifier,
    canonical,
    clean,
    detail,
    record_of,
    row_of,
    seal,
)

COLUMNS = sorted(row_of(seal(Entry(at_utc_s=0.0, until_utc_s=0.0, who="", action="", outcome="done"), 1, GENESIS)))


def entry(action: str = "set", **fields: Any) -> Entry:
    """Return an entry of which every column holds something."""
    usual: dict[str, Any] = {
        "at_utc_s": 1_700_000_000.25,
        "until_utc_s": 1_700_000_001.5,
        "who": "ann@desk",
        "outcome": "refused",
        "names": ("b1", "b2"),
        "count": 3,
        "reason": "CLAIMED",
        "message": "held by bob",
        "comment": "why not, €",
        "asked": '{"current_a":5.0}',
        "before": '{"current_a":1.0}',
        "after": '{"current_a":2.0}',
    }
    return Entry(action=action, **{**usual, **fields})


def chain(*entries: Entry, after: Cut | None = None) -> list[Record]:
    """Return records sealed one after the other."""
    end = after or Cut()
    records = []
    for each in entries:
        records.append(seal(each, end.number + 1, end.hash))
        end = Cut(records[-1].number, records[-1].hash)
    return records


def verified(rows: list[Row], head: Cut) -> tuple[int, str] | None:
    """Follow rows to a head; return the fault's number and text."""
    verifier = Verifier()
    verifier.follow(rows)
    fault = verifier.end(head)
    return None if fault is None else (fault.number, fault.why)


def head_of(records: list[Record]) -> Cut:
    """Return the end of a chain."""
    return Cut(records[-1].number, records[-1].hash)


def test_the_hash_is_what_the_page_says() -> None:
    """SHA-256 over the previous hash and the columns without the hash as JSON with sorted keys and no spaces."""
    (record,) = chain(entry())
    row = row_of(record)
    told = row.pop("hash")
    text = json.dumps(row, sort_keys=True, separators=(",", ":"))
    assert told == hashlib.sha256(("0" * 64 + text).encode()).hexdigest()


def test_a_row_gives_its_record_back() -> None:
    """What is stored is what was recorded."""
    (record,) = chain(entry())
    assert record_of(row_of(record)) == record


def test_a_whole_chain_is_in_order() -> None:
    """Five records, followed in two portions."""
    records = chain(*(entry(count=count) for count in range(1, 6)))
    rows = list(map(row_of, records))
    verifier = Verifier()
    assert verifier.follow(rows[:2])
    assert verifier.follow(rows[2:])
    assert verifier.end(head_of(records)) is None
    assert verifier.records == 5


def test_an_empty_chain_is_in_order() -> None:
    """Nothing was written, nothing is there."""
    assert verified([], Cut()) is None


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_change_of_any_column_of_any_record_is_found(column: str, place: int) -> None:
    """The record is named, or (its hash replaced by that of other content) the one it no longer fits."""
    records = chain(*(entry(count=count) for count in range(1, 6)))
    rows = list(map(row_of, records))
    value = rows[place][column]
    changes: list[Any] = [None, "x", b"x", f"{value} "] if isinstance(value, str) else [value + 7, "x", None]
    for changed in changes:
        tampered = [dict(row) for row in rows]
        tampered[place][column] = changed
        fault = verified(tampered, head_of(records))
        assert fault is not None, changed
        if (column, place) != ("number", 0):
            assert fault[0] == place + 1, changed


def test_a_record_that_was_exchanged_with_its_hash_is_found_at_the_next() -> None:
    """Record 3 sealed anew with other content: record 4 does not follow it."""
    records = chain(*(entry(count=count) for count in range(1, 6)))
    records[2] = seal(entry(who="mallory"), 3, records[1].hash)
    fault = verified(list(map(row_of, records)), head_of(records))
    assert fault is not None
    assert fault[0] == 4
    assert "does not follow record 3" in fault[1]


@pytest.mark.parametrize(
    ("kept", "number", "why"),
    [
        ((1, 2, 3, 4), 1, "it is missing: the oldest in place is 2"),
        ((0, 1, 3, 4), 3, "it is missing: the next in place is 4"),
        ((0, 1, 2, 3), 5, "5 records were written, the last in place is 4"),
        ((0,), 2, "5 records were written, the last in place is 1"),
        ((), 1, "5 records were written, the last in place is 0"),
    ],
)
def test_a_record_that_was_taken_out_is_found(kept: tuple[int, ...], number: int, why: str) -> None:
    """At the old end, in the middle, at the new end, and all."""
    records = chain(*(entry(count=count) for count in range(1, 6)))
    fault = verified([row_of(records[place]) for place in kept], head_of(records))
    assert fault is not None
    assert fault[0] == number
    assert why in fault[1]


def test_records_in_another_order_are_found() -> None:
    """Two records exchanged, with their numbers."""
    rows = list(map(row_of, chain(*(entry(count=count) for count in range(1, 6)))))
    rows[1]["number"], rows[2]["number"] = rows[2]["number"], rows[1]["number"]
    rows.sort(key=lambda row: row["number"])
    fault = verified(rows, Cut(5, str(rows[4]["hash"])))
    assert fault is not None
    assert fault[0] == 2


def test_a_cut_chain_is_in_order_while_it_tells_of_the_cut() -> None:
    """Records 1 to 3 went; record 6 says so and holds the hash of record 3. Without it, or with one more gone, it is broken."""
    records = chain(*(entry(count=count) for count in range(1, 6)))
    cut = Cut(3, records[2].hash)
    (told,) = chain(entry("prune", after=cut.text(3)), after=head_of(records))
    kept = [*records[3:], told]
    assert verified(list(map(row_of, kept)), head_of(kept)) is None
    assert verified(list(map(row_of, kept[:-1])), head_of(kept[:-1])) == (1, "it is missing: the oldest in place is 4")
    assert verified(list(map(row_of, kept[1:])), head_of(kept)) == (4, "it is missing: the oldest in place is 5")


def test_a_cut_that_names_another_hash_is_found() -> None:
    """The oldest record that is left follows what the cut says."""
    records = chain(*(entry(count=count) for count in range(1, 6)))
    (told,) = chain(entry("prune", after=Cut(3, GENESIS).text(3)), after=head_of(records))
    kept = [*records[3:], told]
    assert verified(list(map(row_of, kept)), head_of(kept)) == (4, "it does not follow what stood before it")


def test_texts_are_bounded_and_can_be_stored() -> None:
    """Long texts end with an ellipsis, half characters become question marks, large details say their size."""
    assert len(clean("x" * 10_000)) == MAX_TEXT
    assert clean("a\ud800b") == "a?b"
    large = detail({"x": "y" * 100_000})
    assert len(large) <= MAX_DETAIL
    assert json.loads(large) == {"characters": 100_000 + len('{"x":""}'), "left_out": True}
    assert detail({"a": float("nan")}) == '{"a":"nan"}'
    assert detail({}) == detail(None) == ""


def test_canonical_does_not_depend_on_the_order() -> None:
    """The same values give the same text."""
    assert canonical({"b": 1, "a": [2.5, "ü"]}) == canonical({"a": [2.5, "ü"], "b": 1}) == '{"a":[2.5,"\\u00fc"],"b":1}'
