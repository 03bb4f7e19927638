"""Rows, rounds and results: a reference and a candidate take turns, and the median of their per-round ratios counts."""

import json
import statistics
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Measure = Callable[[], Awaitable[float]]
"""Measures once; its result is in the row's `scale`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One promise. `goal` is the most `value` may be, the least where `at_least`; both sides are measured in `scale`."""

    name: str
    goal: float
    reference: str
    unit: str = "ratio"
    scale: str = ""
    at_least: bool = False
    stretch: float | None = None


@dataclass(slots=True)
class Rounds:
    """What the rounds of one row gave; `reference` is empty where a value stands for itself."""

    candidate: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)

    def add(self, candidate: float, reference: float | None = None) -> None:
        """Add one round."""
        self.candidate.append(candidate)
        if reference is not None:
            self.reference.append(reference)

    @property
    def values(self) -> list[float]:
        """The ratio of each round, or its value where there is no reference."""
        if not self.reference:
            return list(self.candidate)
        return [candidate / reference for candidate, reference in zip(self.candidate, self.reference, strict=True)]


@dataclass(frozen=True, slots=True)
class Result:
    """A row and what its rounds gave."""

    row: Row
    rounds: Rounds

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds.values)

    @property
    def worst(self) -> float:
        """The worst of the rounds: the largest, or the smallest where more is better."""
        return (min if self.row.at_least else max)(self.rounds.values)

    @property
    def ok(self) -> bool:
        """Whether the median reaches the goal."""
        return self.value >= self.row.goal if self.row.at_least else self.value <= self.row.goal

    @property
    def seen(self) -> str:
        """Both sides as measured, for reading; they do not travel to other machines."""
        if not self.rounds.reference:
            return ""
        candidate, reference = statistics.median(self.rounds.candidate), statistics.median(self.rounds.reference)
        return f"{candidate:.4g} : {reference:.4g} {self.row.scale}"

    def as_json(self) -> dict[str, Any]:
        """Return the entry of `results.json`."""
        return {
            "name": self.row.name,
            "value": self.value,
            "unit": self.row.unit,
            "goal": self.row.goal,
            "ok": self.ok,
            "rounds": len(self.rounds.values),
            "reference": self.row.reference,
        }


async def alternate(rounds: int, reference: Measure, candidate: Measure, *, warm_up: bool = True) -> Rounds:
    """Measure both in turn, the other one first in every second round; a first turn of each may be thrown away."""
    if warm_up:
        await reference()
        await candidate()
    result = Rounds()
    for number in range(rounds):
        if number % 2:
            candidate_value, reference_value = await candidate(), await reference()
        else:
            reference_value, candidate_value = await reference(), await candidate()
        result.add(candidate_value, reference_value)
    return result


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that `part` (0..1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def results_of(rows: Iterable[Row], measured: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Result]:
    """Return the results of those rows that were measured; `measured` is what a worker printed."""
    return [
        Result(row, Rounds(list(measured[row.name]["candidate"]), list(measured[row.name]["reference"])))
        for row in rows
        if row.name in measured
    ]


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write `results.json`."""
    path.write_text(json.dumps([result.as_json() for result in results], indent=2) + "\n")
