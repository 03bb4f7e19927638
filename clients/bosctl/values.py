"""What people type as values: currents, durations, `key=value` pairs, addresses."""

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import typer

MINUS_SIGN = "\N{MINUS SIGN}"
PSEUDO_KEYS = ("voltage_v", "charge_ah", "capacity_ah", "max_discharge_current_a", "max_charge_current_a")

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER_ONLY = re.compile(_NUMBER)
_SETPOINT = re.compile(rf"({_NUMBER})\s*([AaWw]?)")
_DURATION = re.compile(rf"({_NUMBER})\s*(ms|s|m|min|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPoint:
    """A wish: a current in amperes or a power in watts, positive on discharge; neither ends one's own set point."""

    current_a: float | None = None
    power_w: float | None = None


def guard_negative(argument: str) -> str:
    """Return the argument so that a negative number is not taken for an option: its hyphen becomes a minus sign."""
    return MINUS_SIGN + argument[1:] if re.match(r"-\.?\d", argument) else argument


def parse_setpoint(text: str) -> SetPoint:
    """Read `4`, `-2.5`, `4A`, `500W` or `none`. Raises typer.BadParameter."""
    if text == "none":
        return SetPoint()
    found = _SETPOINT.fullmatch(text.replace(MINUS_SIGN, "-").strip())
    value = float(found[1]) if found else math.nan
    if found is None or not math.isfinite(value):
        raise typer.BadParameter(
            f"{text!r} is no current. Write amperes as 4, -2.5 or 4A (positive discharges, negative charges), watts as 500W, "
            "or none to end your own set point."
        )
    return SetPoint(power_w=value) if found[2] in ("w", "W") else SetPoint(current_a=value)


def parse_duration_s(text: str) -> float:
    """Read `250ms`, `30s`, `8m`, `2h` or `1d` as seconds; a bare number is seconds. Raises typer.BadParameter."""
    found = _DURATION.fullmatch(text.replace(MINUS_SIGN, "-").strip())
    value_s = float(found[1]) * _SECONDS[found[2]] if found else math.nan
    if not (math.isfinite(value_s) and value_s > 0.0):
        raise typer.BadParameter(f"{text!r} is no duration. Write 250ms, 30s, 8m or 2h.")
    return value_s


def parse_address(text: str) -> str:
    """Return a `host:port` or `unix:PATH` address unchanged. Raises typer.BadParameter."""
    if text.startswith("unix:"):
        if text.removeprefix("unix:"):
            return text
    elif (found := re.fullmatch(r"(\[[0-9a-fA-F:.%\w]+\]|[^\s:/@]+):(\d{1,5})", text)) and 0 < int(found[2]) < 65536:
        return text
    raise typer.BadParameter(f"{text!r} is no address. Write host:port, [IPv6]:port or unix:PATH.")


def parse_pairs(pairs: Iterable[str], allowed: tuple[str, ...] = PSEUDO_KEYS) -> dict[str, float]:
    """Read `key=value` words with known keys and finite numbers. Raises typer.BadParameter."""
    values: dict[str, float] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not key=value.")
        if key not in allowed:
            raise typer.BadParameter(f"unknown key {key!r}. {suggest(key, allowed)}")
        if key in values:
            raise typer.BadParameter(f"{key} is given twice.")
        text = text.replace(MINUS_SIGN, "-").strip()
        if not _NUMBER_ONLY.fullmatch(text) or not math.isfinite(float(text)):
            raise typer.BadParameter(f"{key}={text}: not a number. Its unit is in the key, so write {key}=12.5.")
        values[key] = float(text)
    return values


def suggest(word: str, known: tuple[str, ...]) -> str:
    """Return a sentence that helps who wrote an unknown word."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
    return f"Did you mean {close[0]}?" if close else "Known keys: " + ", ".join(known) + "."
