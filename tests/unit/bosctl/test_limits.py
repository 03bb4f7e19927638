"""Limits as people type them and as documents."""

import pytest
import typer

from bosd.v1 import limits_pb2 as pb
from clients.bosctl.commands.limits import event_document, limit_document, parse_amount, parse_direction


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("4200W", (4200.0, None)),
        ("4.2kW", (4200.0, None)),
        ("4.2 kw", (4200.0, None)),
        ("0W", (0.0, None)),
        ("80A", (None, 80.0)),
        (".5a", (None, 0.5)),
    ],
)
def test_amounts(text: str, amount: tuple[float | None, float | None]) -> None:
    """Watts or amperes, with their unit."""
    assert parse_amount(text) == pytest.approx(amount)


@pytest.mark.parametrize("text", ["4200", "-1W", "none", "1e3W", "kW", "5 A h", ""])
def test_what_is_no_amount(text: str) -> None:
    """A limit is a magnitude with a unit; ending one is another command."""
    with pytest.raises(typer.BadParameter, match="bosctl limits rm"):
        parse_amount(text)


def test_directions() -> None:
    """One of two."""
    assert parse_direction("charge") == "charge"
    with pytest.raises(typer.BadParameter, match="charge or discharge"):
        parse_direction("both")


def test_documents() -> None:
    """What is not set is null; 0 W is 0."""
    limit = pb.Limit(
        source="eebus", battery="b", direction=pb.DIRECTION_CHARGE, limit_w=0.0, limit_a=0.0, put_at=0.0, in_force=True
    )
    document = limit_document(limit)
    assert (document["limit_w"], document["until"], document["bound_s"], document["applied"]) == (0.0, None, None, None)
    assert (document["direction"], document["enforceable"], document["in_force"]) == ("charge", False, True)
    limit.until = 60.0
    event = event_document(pb.LimitEvent(at=1.0, event="put", limit=limit))
    assert (event["at"], event["until"]) == ("1970-01-01T00:00:01.000Z", "1970-01-01T00:01:00.000Z")
