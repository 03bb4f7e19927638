"""Times as people type them."""

import pytest
import typer

from clients.bosctl.moments import When, parse_when

NOON_UTC_S = 1_769_860_800.0
"""2026-01-31T12:00:00Z: 20,484 days and 12 hours after 1970-01-01."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", When()),
        ("+0s", When()),
        ("+0", When()),
        ("+10m", When(in_s=600.0)),
        ("+1.5h", When(in_s=5400.0)),
        ("2026-01-31T12:00:00Z", When(utc_s=NOON_UTC_S)),
        ("2026-01-31t12:00:00z", When(utc_s=NOON_UTC_S)),
        ("2026-01-31 13:00:00.250+01:00", When(utc_s=NOON_UTC_S + 0.25)),
        ("2026-01-31T12:00Z", When(utc_s=NOON_UTC_S)),
    ],
)
def test_times_that_are_read(text: str, expected: When) -> None:
    """Relative ones stay relative; others are instants, whatever offset they are written with."""
    assert parse_when(text) == expected


def test_the_hour_that_comes_twice() -> None:
    """At the end of summer time 02:30 comes twice; the offset tells them apart, an hour from each other."""
    summer, winter = parse_when("2026-10-25T02:30:00+02:00"), parse_when("2026-10-25T02:30:00+01:00")
    assert summer.utc_s is not None
    assert winter.utc_s == summer.utc_s + 3600.0


@pytest.mark.parametrize(
    "text", ["", "+", "+x", "-10m", "tomorrow", "12:00", "2026-13-01T00:00:00Z", "2026-01-31", "20260131T120000Z"]
)
def test_times_that_are_not(text: str) -> None:
    """The message says how times are written."""
    with pytest.raises(typer.BadParameter):
        parse_when(text)


def test_a_time_without_offset() -> None:
    """Local time is refused: it would be somebody else's on the node, and twice or never when the clocks change."""
    with pytest.raises(typer.BadParameter, match="no offset: add Z"):
        parse_when("2026-01-31T12:00:00")
