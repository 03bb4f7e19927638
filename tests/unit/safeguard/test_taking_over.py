"""What a daemon makes of the report of an earlier run."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bosd.bal.spec import JbdSpec, PhysicalSpec
from bosd.safeguard.report import Report, write_report
from bosd.safeguard.safe_action import Outcome
from bosd.safeguard.taking_over import take_over


def test_a_report_is_told_once_and_what_it_left_is_inherited_each_time(tmp_path: Path) -> None:
    """A daemon that dies with its guard leaves none: the one before says nothing of that end, but of what is not safe yet."""
    gate = partial(JbdSpec, current_control="gate", max_discharge_current_a=60.0, max_charge_current_a=30.0)
    specs = [gate(name="a", port="/dev/ttyUSB0"), gate(name="b", port="/dev/ttyUSB1")]
    outcomes = [
        Outcome("a", "/dev/ttyUSB0", "open", "both switches open", confirmed=True),
        Outcome("b", "/dev/ttyUSB1", "open", ""),
    ]
    report = partial(Report, by="guard", why="the daemon ended", outcomes=outcomes, specs=specs)
    told: list[str] = []
    inherited: list[str] = []

    def tell(outcome: str, after: Mapping[str, Any]) -> None:
        told.append(f"{after['at']} {outcome}")

    def inherit(left: Sequence[PhysicalSpec]) -> None:
        inherited.extend(spec.name for spec in left)

    for at_s, runs in ((1_800_000_000.5, 2), (1_800_000_060.5, 1)):
        assert write_report(tmp_path, report(at_utc_s=at_s)) == ""
        for _ in range(runs):
            take_over(tmp_path, tell, inherit)
    assert told == ["2027-01-15T08:00:00.500Z failed", "2027-01-15T08:01:00.500Z failed"]
    assert inherited == ["b", "b", "b"]
