"""A limit as a schedule of external limits: the JSON that energy managers take (eebus.md 4)."""

from datetime import UTC, datetime

from bosd.limits.lpc.use_case import UseCase

SCHEDULES = ("schedule_import", "schedule_export", "schedule_setpoints")

Entry = dict[str, object]


def external_limits(
    use_case: UseCase, limit_w: float | None, time_left_s: float | None, now_utc_s: float
) -> dict[str, list[Entry]]:
    """Return what holds from `now_utc_s` on; `limit_w` None is unlimited, `time_left_s` None has no end.

    The first entry is in force at once, the last for ever; a limit with an end has a second entry without one.
    """
    entries = [_entry(use_case, limit_w, now_utc_s)]
    if limit_w is not None and time_left_s is not None and time_left_s > 0.0:
        entries.append(_entry(use_case, None, now_utc_s + time_left_s))
    return {name: entries if name == use_case.schedule else [] for name in SCHEDULES}


def _entry(use_case: UseCase, limit_w: float | None, at_utc_s: float) -> Entry:
    def limits() -> dict[str, object]:
        return {} if limit_w is None else {"total_power_W": {"value": limit_w, "source": use_case.source}}

    return {"timestamp": stamp(at_utc_s), "limits_to_root": limits(), "limits_to_leaves": limits()}


def stamp(utc_s: float) -> str:
    """Return an instant as RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(round(utc_s, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
