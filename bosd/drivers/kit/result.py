"""What came out of a trial: one result a check, one row a kind of fault."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Result:
    """One check: its name, how it ended, and what was seen or why it does not apply."""

    check: str
    verdict: Verdict
    detail: str


@dataclass(slots=True, kw_only=True)
class Row:
    """One kind of fault over `hours` of simulated time; times in seconds.

    `availability` is the share of time in which the newest sample was at most three periods old, `wrong` counts samples that
    were not true. A recovery lasts from the end of a fault to the next sample, the `longest_gap_s` from any sample to the next.
    `lasting` faults strike and end. A fault that this medium cannot have has a reason in `not_applicable`; `undetectable` says
    why no driver of this protocol can refuse everything that the fault makes.
    """

    fault: str
    hours: float = 0.0
    strikes: int = 0
    reads: int = 0
    samples: int = 0
    wrong: int = 0
    availability: float = 0.0
    recovery_median_s: float | None = None
    recovery_max_s: float | None = None
    longest_gap_s: float = 0.0
    lasting: bool = False
    not_applicable: str = ""
    undetectable: str = ""
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Card:
    """The report card of one driver on one medium. `untried` says why there is none."""

    kind: str
    medium: str
    seed: int
    driver: str = ""
    untried: str = ""
    results: list[Result] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no check failed and no value was wrong that could have been refused."""
        wrong = any(row.wrong and not row.undetectable for row in self.rows)
        return not wrong and not any(result.verdict is Verdict.FAILED for result in self.results)

    def as_json(self) -> dict[str, Any]:
        """Return the card as a JSON document."""
        return {**asdict(self), "passed": self.passed}


class CheckFailed(Exception):  # noqa: N818 (a verdict, not an error of the program)
    """The driver does not do what the port asks for; the text says what was seen."""


class DoesNotApply(Exception):  # noqa: N818 (a verdict, not an error of the program)
    """There is nothing to check; the text says why."""


def joined(found: Sequence[str], most: int = 3) -> str:
    """Return the first few of what was found."""
    more = f"; and {len(found) - most} more" if len(found) > most else ""
    return "; ".join(found[:most]) + more
