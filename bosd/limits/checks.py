"""What can be a limit, and a limit in words."""

from bosd.bal.cap import MOST_TOLD
from bosd.errors import InvalidArgumentError
from bosd.store.limits import CHARGE, DISCHARGE, Limit

MOST_TEXT = 64


def check(limit: Limit) -> None:
    """Raise InvalidArgumentError for what no limit can be."""
    for field in ("source", "identity"):
        text = getattr(limit, field)
        if len(text) > MOST_TEXT or not (text.isprintable() if text else field == "identity"):
            raise InvalidArgumentError(f"{field} {text[:80]!r}: 1 to {MOST_TEXT} printable characters", field=field)
    if limit.direction not in (CHARGE, DISCHARGE):
        raise InvalidArgumentError(f"direction {limit.direction!r} is none: charge or discharge", field="direction")
    if limit.limit_w is not None and limit.limit_a is not None and not limit.revision:  # a grant is of limits in both
        raise InvalidArgumentError("give one of limit_w and limit_a", field="limit_w")
    for field in ("limit_w", "limit_a"):
        value = getattr(limit, field)
        if value is not None and not 0.0 <= value <= MOST_TOLD:
            message = f"{field} {value:g} is no limit: a magnitude, 0 or more and at most {MOST_TOLD:g}; one without end is none"
            raise InvalidArgumentError(message, field=field)


def words(limit: Limit) -> dict[str, object]:
    """Return a limit for the log and the audit."""
    return {
        "source": limit.source,
        "battery": limit.battery,
        "direction": limit.direction,
        "limit_w": limit.limit_w,
        "limit_a": limit.limit_a,
        **({"identity": limit.identity} if limit.identity else {}),
        **({"from_utc_s": limit.from_utc_s} if limit.from_utc_s is not None else {}),
        "until_utc_s": limit.until_utc_s,
        **({"revision": limit.revision} if limit.revision else {}),
    }
