"""The audit as `bosctl` shows it: times as typed, records in one line, as documents and in pages."""

import io
import json
import re

import pytest
import typer
from rich.console import Console

from bosd.v1 import audit_pb2 as pb
from clients.bosctl.commands import audit as module
from clients.bosctl.connection import Connection
from clients.bosctl.format_audit import batteries, record_document, what
from clients.bosctl.since import Since, parse_since

# 2026-11-21T10:00:00Z is 20778 days and 10 hours after 1970-01-01: 20778 * 86400 + 36000.
NOON_S = 20778 * 86400 + 36000.0


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("2h", Since(ago_s=7200.0)),
        ("-2h", Since(ago_s=7200.0)),
        ("\N{MINUS SIGN}90s", Since(ago_s=90.0)),
        ("2026-11-21T10:00:00Z", Since(utc_s=NOON_S)),
        ("2026-11-21T12:00:00+02:00", Since(utc_s=NOON_S)),
        ("2026-11-21T10:00", Since(utc_s=NOON_S)),
        ("2026-11-21", Since(utc_s=NOON_S - 36000.0)),
    ],
)
def test_times_as_people_type_them(text: str, since: Since) -> None:
    """Relative ones are ago by the node's clock; without a zone it is UTC."""
    assert parse_since(text) == since


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-21T25:00", "0s", "-", "1 fortnight"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """With what one may write."""
    with pytest.raises(typer.BadParameter, match="is no time"):
        parse_since(text)


def record(**fields: object) -> pb.AuditRecord:
    """Return a set point of 5 A, done, unless told otherwise."""
    values: dict[str, object] = {
        "number": 3,
        "at": NOON_S,
        "until": NOON_S,
        "who": "ann@desk",
        "action": "set",
        "outcome": "done",
        "names": ["p"],
        "count": 1,
        "asked": '{"current_a":5.0,"ttl_s":null}',
        "before": '{"applied_current_a":0.0,"requested_current_a":null}',
        "after": '{"applied_current_a":5.0,"requested_current_a":5.0}',
        "previous": "0" * 64,
        "hash": "1" * 64,
    }
    return pb.AuditRecord(**{**values, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "none -> +5 A"),
        ({"after": '{"applied_current_a":3.0,"requested_current_a":5.0}'}, "none -> +5 A, +3 A applied"),
        (
            {"action": "clear", "before": '{"requested_current_a":-5.0}', "after": '{"requested_current_a":null}'},
            "-5 A -> none",
        ),
        (
            {"outcome": "refused", "reason": "CLAIMED", "message": "held by bob", "before": "", "after": ""},
            "CLAIMED; asked 5 A; held by bob",
        ),
        (
            {
                "action": "apply",
                "comment": "spare",
                "after": '{"changes":[{"action":"add","name":"n"},{"action":"remove","name":"o"}],"more":7,"revision":4}',
            },
            "revision 4: +n, -o and 7 more; “spare”",
        ),
        (
            {"action": "stop", "after": '{"stopped":true,"unconfirmed":["p"]}', "comment": "smoke"},
            "stopped true, unconfirmed p; “smoke”",
        ),
        ({"action": "pseudo", "after": '{"charge_ah":40.0}'}, "charge_ah 40"),
        (
            {
                "action": "assume-safe",
                "before": '{"counted_a":{"sa":20.0},"grants":["5000 W discharge of b"]}',
                "after": '{"counted_a":0.0,"grants":[],"node":"hut"}',
            },
            "hut: no more: sa counted at +20 A, granted 5000 W discharge of b",
        ),
        (
            {"action": "assume-safe", "before": '{"counted_a":{},"grants":[]}', "after": '{"node":"hut"}'},
            "hut: nothing counted",
        ),
        (
            {"action": "assume-safe", "before": '{"counted_a":{},"grants":[],"alone_limits":["at most 96 W charge of b"]}'},
            "no more: counted on at most 96 W charge of b",
        ),
        (
            {"action": "lease-over", "before": '{"current_a":10.0,"holder":"node:m"}', "after": "", "message": "it is over"},
            "+10 A -> none; it is over",
        ),
        ({"action": "newer", "after": "no json", "asked": ""}, ""),
    ],
)
def test_a_record_in_one_line(fields: dict[str, object], line: str) -> None:
    """What was in force before and is after, why it was refused, what an edit changed, the asker's words."""
    assert what(record(**fields)) == line


def test_many_batteries_are_shortened() -> None:
    """Four names and the number of the rest."""
    assert batteries(record(names=["a", "b", "c", "d", "e", "f"])) == "a, b, c, d and 2 more"


def test_a_record_as_a_document() -> None:
    """JSON inside becomes JSON, what is unknown null; what is still counted has no number and no hash."""
    document = record_document(record())
    assert document["at"] == "2026-11-21T10:00:00.000Z"
    assert document["asked"] == {"current_a": 5.0, "ttl_s": None}
    assert (document["number"], document["hash"], document["reason"]) == (3, "1" * 64, None)
    counting = record_document(record(number=0, previous=""))
    assert (counting["number"], counting["hash"], counting["previous"]) == (None, None, None)
    json.dumps(counting, allow_nan=False)


class Pages:
    """A connection whose audit holds so many records, a thousand a page at most."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.calls = 0
        self.audit = self

    @property
    def List(self) -> None:  # noqa: N802 (the stub's name)
        """Stands for the method."""

    def call(self, _method: object, request: pb.ListAuditRequest, doing: str = "") -> pb.ListAuditResponse:
        self.calls += 1
        top = request.before_number - 1 if request.HasField("before_number") else self.count
        numbers = range(top, max(0, top - request.limit), -1)
        answer = pb.ListAuditResponse(records=[record(number=number) for number in numbers])
        if numbers and numbers[-1] > 1:
            answer.next_before = numbers[-1]
        return answer


@pytest.mark.parametrize(("count", "limit", "calls"), [(2500, 2200, 3), (2500, 5000, 3), (10, 50, 1), (0, 50, 1)])
def test_many_records_come_in_pages(count: int, limit: int, calls: int) -> None:
    """All that are wanted, once each, newest first, in calls of at most a thousand."""
    pages = Pages(count)
    connection: Connection = pages  # type: ignore[assignment]
    answer = module._read(connection, pb.ListAuditRequest(), limit)
    assert [each.number for each in answer.records] == list(range(count, max(0, count - limit), -1))
    assert pages.calls == calls


def test_the_table() -> None:
    """One row a record; an ellipsis where there is no number yet; a count beside the command; what was lost below."""
    console = Console(width=160, record=True, file=io.StringIO())
    refused = record(number=0, outcome="refused", reason="CLAIMED", message="held by bob", count=12)
    module._draw(console, pb.ListAuditResponse(records=[refused, record()], unwritten=4, dropped=2))
    lines = [re.sub(r" {2,}", "  ", line).strip() for line in console.export_text().splitlines()]
    assert lines[1] == "…  2026-11-21 10:00:00Z  ann@desk  set refused x12  p  CLAIMED; asked 5 A; held by bob"
    assert lines[2] == "3  2026-11-21 10:00:00Z  ann@desk  set  p  none -> +5 A"
    assert lines[-1] == "4 records wait for the store; 2 found no room and are lost."


def test_times_and_devices_of_a_record_are_for_people() -> None:
    """A booking's times are moments, a guard's devices say what became of them."""
    booked = json.dumps({"booking_id": 1, "current_a": 5.0, "start_utc_s": 1_796_006_322.0})
    assert what(pb.AuditRecord(outcome="done", action="book", after=booked)) == (
        "booking_id 1, current_a 5, start 2026-11-30 02:38:42Z"
    )
    devices = [{"name": "a", "result": "both switches open", "confirmed": True}, {"name": "b", "result": "no answer"}]
    guarded = json.dumps({"why": "the daemon ended without a word", "devices": devices})
    assert what(pb.AuditRecord(outcome="done", action="guard", after=guarded)) == (
        "why the daemon ended without a word, devices a: both switches open, b: no answer (NOT confirmed)"
    )
