import pytest
import typer

from clients.bosctl.values import (
    MINUS_SIGN,
    SetPoint,
    guard_negative,
    parse_address,
    parse_duration_s,
    parse_pairs,
    parse_setpoint,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4", SetPoint(current_a=4.0)),
        ("-2.5", SetPoint(current_a=-2.5)),
        (f"{MINUS_SIGN}2.5", SetPoint(current_a=-2.5)),
        ("+.5", SetPoint(current_a=0.5)),
        ("4A", SetPoint(current_a=4.0)),
        ("4 a", SetPoint(current_a=4.0)),
        ("1e1", SetPoint(current_a=10.0)),
        ("0", SetPoint(current_a=0.0)),
        ("-500W", SetPoint(power_w=-500.0)),
        ("none", SetPoint()),
    ],
)
def test_a_set_point_is_amperes_watts_or_none(text: str, expected: SetPoint) -> None:
    """Amperes with or without their unit, watts with it, and the word that ends a set point."""
    assert parse_setpoint(text) == expected


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "1e999", "4 mA", "4V", "A", "--5", "0x4", "4,5", "None", "1_0"])
def test_what_is_no_current_is_refused(text: str) -> None:
    """Neither other units nor what is not finite passes for a current."""
    with pytest.raises(typer.BadParameter):
        parse_setpoint(text)


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [("30s", 30.0), ("8m", 480.0), ("8min", 480.0), ("2h", 7200.0), ("250ms", 0.25), ("1d", 86400.0), ("1.5", 1.5)],
)
def test_durations_become_seconds(text: str, expected_s: float) -> None:
    """The units of the documentation, and bare seconds."""
    assert parse_duration_s(text) == pytest.approx(expected_s, rel=1e-12)


@pytest.mark.parametrize("text", ["", "0s", "-5s", "30 parsecs", "s", "nan", "inf", "1e999s", "1h30m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Nothing but a positive, finite time with a known unit."""
    with pytest.raises(typer.BadParameter):
        parse_duration_s(text)


@pytest.mark.parametrize("text", ["127.0.0.1:4004", "garage.local:4004", "[::1]:4004", "[fe80::1%eth0]:1", "unix:/run/bosd/x"])
def test_addresses_are_passed_on_unchanged(text: str) -> None:
    """Host and port, bracketed IPv6, and unix sockets."""
    assert parse_address(text) == text


@pytest.mark.parametrize(
    "text", ["", "host", ":4004", "host:", "host:0", "host:65536", "::1:4004", "http://h:1", "unix:", "a b:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """A typing error is told before any waiting for a connection."""
    with pytest.raises(typer.BadParameter):
        parse_address(text)


def test_pairs_are_known_keys_with_numbers() -> None:
    """The unit is in the key, the value a plain number."""
    assert parse_pairs(["voltage_v=48", "charge_ah=-.5"]) == {"voltage_v": 48.0, "charge_ah": -0.5}


@pytest.mark.parametrize(
    ("pair", "say"),
    [
        ("voltage_v", "not key=value"),
        ("voltage=48", "Did you mean voltage_v"),
        ("colour=3", "Known keys"),
        ("voltage_v=48V", "not a number"),
        ("voltage_v=nan", "not a number"),
        ("voltage_v=", "not a number"),
    ],
)
def test_a_bad_pair_is_refused_with_what_is_wrong(pair: str, say: str) -> None:
    """Unknown keys get a suggestion, units and words are no numbers."""
    with pytest.raises(typer.BadParameter, match=say):
        parse_pairs([pair])


def test_a_key_given_twice_is_refused() -> None:
    """Which of two values was meant cannot be known."""
    with pytest.raises(typer.BadParameter, match="twice"):
        parse_pairs(["voltage_v=1", "voltage_v=2"])


@pytest.mark.parametrize(
    ("word", "expected"), [("-5", "\u22125"), ("-.5", "\u2212.5"), ("--ttl", "--ttl"), ("-h", "-h"), ("-", "-")]
)
def test_only_negative_numbers_are_guarded(word: str, expected: str) -> None:
    """Options stay options."""
    assert guard_negative(word) == expected
