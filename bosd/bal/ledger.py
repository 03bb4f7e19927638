"""The ledger: who gave charge to whom, in double entry (bal.md, "Partition accounting").

What partitions discharge goes to those that charge first, in proportion; the rest comes from or goes outside. Lines add up to the
changes of the meters: they are made from them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

OUTSIDE = "outside"
UNATTRIBUTED = "unattributed"
DEVIATION = "deviation"
REPLACED = "replaced"
NO_PARTITIONS = (OUTSIDE, UNATTRIBUTED, DEVIATION, REPLACED)
"""Parties that are no partitions: the world outside, what nobody could be charged with, what a policy re-allotted, an edit."""

MOST_PAIRS = 256
"""Above this many pairs, transfers are matched in order instead of in proportion, so that a step costs O(partitions)."""
LEAST_AH = 1e-10
"""What is less stays open and is added to the next entry."""
MOST_CLOSED = 4096
"""Closed entries that wait for their reader; beyond these nothing is closed, and nothing lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Charge, in Ah and never negative, that `giver` gave to `taker` from `start_s` to `end_s` (monotonic).

    `energy_wh` is None where the source's voltage was not known all the time.
    """

    giver: str
    taker: str
    charge_ah: float
    energy_wh: float | None
    start_s: float
    end_s: float


Transfer = tuple[str, str, float]


def matched(discharged: Iterable[tuple[str, float]]) -> Iterator[Transfer]:
    """Yield who gave how much to whom, where each party discharged so much (negative: was charged) in one interval."""
    givers, takers = [], []
    for name, charge_ah in discharged:
        if charge_ah > 0.0:
            givers.append((name, charge_ah))
        elif charge_ah < 0.0:
            takers.append((name, -charge_ah))
    given_ah, taken_ah = sum(each for _, each in givers), sum(each for _, each in takers)
    if not givers or not takers:
        yield from ((name, OUTSIDE, charge_ah) for name, charge_ah in givers)
        yield from ((OUTSIDE, name, charge_ah) for name, charge_ah in takers)
    elif len(givers) * len(takers) > MOST_PAIRS:
        yield from _in_order(givers, takers)
    else:
        most_ah = max(given_ah, taken_ah)
        yield from ((giver, taker, gave * took / most_ah) for giver, gave in givers for taker, took in takers)
        if given_ah > taken_ah:
            yield from ((giver, OUTSIDE, gave * (given_ah - taken_ah) / given_ah) for giver, gave in givers)
        elif taken_ah > given_ah:
            yield from ((OUTSIDE, taker, took * (taken_ah - given_ah) / taken_ah) for taker, took in takers)


def _in_order(givers: list[tuple[str, float]], takers: list[tuple[str, float]]) -> Iterator[Transfer]:
    place, (taker, left_ah) = 0, takers[0]
    for giver, gave_ah in givers:
        rest_ah = gave_ah
        while rest_ah > 0.0 and place < len(takers):
            moved_ah = min(rest_ah, left_ah)
            yield giver, taker, moved_ah
            rest_ah, left_ah = rest_ah - moved_ah, left_ah - moved_ah
            if left_ah <= 0.0:
                place += 1
                taker, left_ah = takers[place] if place < len(takers) else (OUTSIDE, 0.0)
        if rest_ah > 0.0:
            yield giver, OUTSIDE, rest_ah
    if place < len(takers):
        yield OUTSIDE, taker, left_ah
        yield from ((OUTSIDE, each, charge_ah) for each, charge_ah in takers[place + 1 :])


class Book:
    """The flows of one account since `since_s`, and the lines that were closed and wait for `drain`."""

    __slots__ = ("_closed", "_flows", "_voltage_v", "since_s", "until_s")

    def __init__(self) -> None:
        self._flows: dict[tuple[str, str], list[float]] = {}
        self._closed: list[Line] = []
        self._voltage_v: float | None = None
        self.since_s: float | None = None
        self.until_s = 0.0

    def begin(self, at_s: float, voltage_v: float | None) -> None:
        """Begin to count at `at_s`, if that has not begun."""
        if self.since_s is None:
            self.since_s = self.until_s = at_s
        self._voltage_v = voltage_v

    def flow(self, discharged: Iterable[tuple[str, float]], at_s: float, voltage_v: float | None) -> None:
        """Add what each party discharged up to `at_s`, in Ah, at the mean of the source's voltage then and at the last call."""
        known_v = [each for each in (self._voltage_v, voltage_v) if each is not None]
        self.begin(at_s, voltage_v)
        mean_v = sum(known_v) / len(known_v) if known_v else float("nan")
        for giver, taker, charge_ah in matched(discharged):
            self._add(giver, taker, charge_ah, mean_v)
        self.until_s = max(self.until_s, at_s)

    def moved(self, party: str, names: Sequence[str], gained_ah: Sequence[float], at_s: float, voltage_v: float | None) -> None:
        """Add what each name gained from `party`, which is no partition (negative: gave to it), at `at_s`."""
        self.begin(at_s, voltage_v)
        value_v = float("nan") if voltage_v is None else voltage_v
        for name, charge_ah in zip(names, gained_ah, strict=True):
            if charge_ah > 0.0:
                self._add(party, name, charge_ah, value_v)
            elif charge_ah < 0.0:
                self._add(name, party, -charge_ah, value_v)
        self.until_s = max(self.until_s, at_s)

    def _add(self, giver: str, taker: str, charge_ah: float, voltage_v: float) -> None:
        flow = self._flows.get((giver, taker))
        if flow is None:
            self._flows[giver, taker] = [charge_ah, charge_ah * voltage_v]
        else:
            flow[0] += charge_ah
            flow[1] += charge_ah * voltage_v

    def open_lines(self) -> tuple[Line, ...]:
        """Return what flowed since the last close."""
        if self.since_s is None:
            return ()
        return tuple(
            Line(
                giver=giver,
                taker=taker,
                charge_ah=charge_ah,
                energy_wh=None if energy_wh != energy_wh else energy_wh,  # noqa: PLR0124 (not a number)
                start_s=self.since_s,
                end_s=self.until_s,
            )
            for (giver, taker), (charge_ah, energy_wh) in self._flows.items()
            if charge_ah >= LEAST_AH
        )

    def close(self, at_s: float) -> None:
        """End the entries at `at_s`."""
        if self.since_s is None or len(self._closed) >= MOST_CLOSED:
            return
        self.until_s = max(self.until_s, at_s)
        lines = self.open_lines()
        self._closed += lines
        for line in lines:
            del self._flows[line.giver, line.taker]
        self.since_s = self.until_s

    def drain(self) -> tuple[Line, ...]:
        """Return the closed lines, each once."""
        closed, self._closed = tuple(self._closed), []
        return closed
