"""What the options and settings of simulated devices must be; each fault names its key."""

from bosd.errors import InvalidArgumentError


def check_number(key: str, value: object, lowest: float, highest: float) -> float:
    """Return `value` as a float, or raise InvalidArgumentError naming `key` and the range."""
    if isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest:
        return float(value)
    raise InvalidArgumentError(f"{key} must be a number from {lowest:g} to {highest:g}, not {_shown(value)}", key=key)


def check_choice(key: str, value: object, choices: tuple[str, ...]) -> str:
    """Return `value`, or raise InvalidArgumentError naming `key` and the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidArgumentError(f"{key} must be one of {', '.join(choices)}, not {_shown(value)}", key=key)
    return value


def check_turnaround(value: object) -> tuple[float, float]:
    """Return (lowest, highest) in ms, or raise InvalidArgumentError."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        message = f"turnaround_ms must be two numbers, lowest and highest, not {_shown(value)}"
        raise InvalidArgumentError(message, key="turnaround_ms")
    lowest, highest = (check_number("turnaround_ms", item, 0.0, 10_000.0) for item in value)
    if lowest > highest:
        raise InvalidArgumentError(
            f"turnaround_ms: the lowest, {lowest:g}, is above the highest, {highest:g}", key="turnaround_ms"
        )
    return lowest, highest


def _shown(value: object) -> str:
    """Return `value` for a message, cut where it would flood it."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 1 << 64 else "a larger integer"
    return text if len(text) <= 80 else text[:77] + "..."
