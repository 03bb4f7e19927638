"""What a part of the soak found, its figures, and how it tells that it is still at work."""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

BETWEEN_S = 5.0
"""Between two lines of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one part found. `summary` is its one line, `details` go below it, `figures` is what `--json` prints."""

    part: str
    summary: str
    figures: dict[str, Any]
    details: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def as_json(self) -> dict[str, Any]:
        """Return the part's entry in the document."""
        return {"part": self.part, "ok": self.ok, "summary": self.summary, **self.figures, "failures": list(self.failures)}


class Progress:
    """Lines on standard error while a part runs, one in five seconds at most; `left_s` counts down the part's time."""

    def __init__(self, part: str, bound_s: float) -> None:
        self.part = part
        self._started_s = time.monotonic()
        self._ends_s = self._started_s + bound_s
        self._told_s = self._started_s

    @property
    def taken_s(self) -> float:
        """What the part took until now."""
        return time.monotonic() - self._started_s

    @property
    def left_s(self) -> float:
        """What is left of its time, negative when it is over."""
        return self._ends_s - time.monotonic()

    def end(self) -> None:
        """Have its time be over."""
        self._ends_s = time.monotonic()

    def tell(self, what: str, *, now: bool = False) -> None:
        """Say how far it is, unless that was said a moment ago."""
        now_s = time.monotonic()
        if now or now_s - self._told_s >= BETWEEN_S:
            self._told_s = now_s
            sys.stderr.write(f"{self.part}: {self.taken_s:.0f} s: {what}\n")
            sys.stderr.flush()


@dataclass(slots=True)
class Series:
    """Values of one thing measured over and over, in `unit`, against a bound: `most` and `least` where there is one."""

    name: str
    unit: str = "s"
    most: float | None = None
    least: float | None = None
    values: list[float] = field(default_factory=list)

    @property
    def bound(self) -> str:
        """The bound in words."""
        parts = [f"{word} {limit:.4g}" for word, limit in (("from", self.least), ("to", self.most)) if limit is not None]
        return " ".join(parts) or "none"

    @property
    def beyond(self) -> list[float]:
        """The values outside the bound."""
        low, high = (-1e300 if self.least is None else self.least), (1e300 if self.most is None else self.most)
        return [value for value in self.values if not low <= value <= high]

    def line(self) -> str:
        """Return smallest, median and largest beside the bound."""
        if not self.values:
            return f"{self.name}: never measured"
        low, middle, high = min(self.values), statistics.median(self.values), max(self.values)
        told = f"{self.name}: {low:.3f} / {middle:.3f} / {high:.3f} {self.unit}, bound {self.bound}, {len(self.values)} times"
        return told + (f", {len(self.beyond)} beyond" if self.beyond else "")

    def as_json(self) -> dict[str, Any]:
        """Return the entry of a document."""
        seen = sorted(self.values)
        figures = {"min": seen[0], "median": statistics.median(seen), "max": seen[-1]} if seen else {}
        return {"name": self.name, "unit": self.unit, "least": self.least, "most": self.most, "count": len(seen), **figures}


class Book:
    """The series of these scenarios, by name."""

    def __init__(self) -> None:
        self.series: dict[str, Series] = {}

    def note(self, name: str, value: float, *, most: float | None = None, least: float | None = None, unit: str = "s") -> None:
        """Note one value beside its bound."""
        self.series.setdefault(name, Series(name, unit=unit, most=most, least=least)).values.append(value)


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that `part` (0..1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def roots(error: BaseException) -> Iterator[BaseException]:
    """Yield what went wrong, out of its groups."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from roots(each)
    else:
        yield error


def message_of(error: BaseException) -> str:
    """Return what went wrong as one line."""
    return "; ".join(f"{type(each).__name__}: {' '.join(str(each).split())}" for each in roots(error))


def first_line(error: BaseException) -> str:
    """Return the first line of what went wrong: the rest of it are logs."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
