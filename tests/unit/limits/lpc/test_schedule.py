"""External limits (eebus.md 4)."""

import pytest

from bosd.limits.lpc.schedule import external_limits
from bosd.limits.lpc.use_case import LPC, LPP, UseCase

NOW_UTC_S = 1_700_000_000.25
"""2023-11-14T22:13:20.250Z."""


def entry(at: str, limit_w: float | None, source: str = "EEBUS LPC") -> dict[str, object]:
    """Return one entry of a schedule."""
    limits = {} if limit_w is None else {"total_power_W": {"value": limit_w, "source": source}}
    return {"timestamp": at, "limits_to_root": limits, "limits_to_leaves": limits}


@pytest.mark.parametrize(
    ("limit_w", "left_s", "expected"),
    [
        (None, None, [entry("2023-11-14T22:13:20.250Z", None)]),
        (4200.0, None, [entry("2023-11-14T22:13:20.250Z", 4200.0)]),
        (4200.0, 0.0, [entry("2023-11-14T22:13:20.250Z", 4200.0)]),
        (0.0, 7200.0, [entry("2023-11-14T22:13:20.250Z", 0.0), entry("2023-11-15T00:13:20.250Z", None)]),
    ],
)
def test_consumption(limit_w: float | None, left_s: float | None, expected: list[dict[str, object]]) -> None:
    """Consumption."""
    found = external_limits(LPC, limit_w, left_s, NOW_UTC_S)
    assert found == {"schedule_import": expected, "schedule_export": [], "schedule_setpoints": []}


@pytest.mark.parametrize("use_case", [LPC, LPP])
def test_the_other_direction_stays_empty(use_case: UseCase) -> None:
    """The other direction stays empty."""
    found = external_limits(use_case, 5.0, None, NOW_UTC_S)
    other = {"schedule_import", "schedule_export"} - {use_case.schedule}
    assert found[other.pop()] == []
    assert found[use_case.schedule] == [entry("2023-11-14T22:13:20.250Z", 5.0, use_case.source)]
