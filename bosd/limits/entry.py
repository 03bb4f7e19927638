"""One limit as the book holds it: when it is in force, on the monotonic clock as far as that is known."""

import math
from dataclasses import dataclass, replace
from typing import Self

from bosd.bal.cap import Cap
from bosd.clock import Clock
from bosd.errors import StaleRevisionError
from bosd.store.limits import Limit

SOURCE = "book"
"""Whose caps these are."""
ADRIFT_UTC_S = 0.0
"""When a limit was put, as the store has it, that was put by a clock that nobody trusted: its times are the seconds since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A limit as it stands: in force or not, whether the store has it, and what is left of its time."""

    limit: Limit
    in_force: bool
    durable: bool
    restored: bool
    begins_in_s: float
    ends_in_s: float | None


@dataclass(slots=True, eq=False)
class Entry:
    """A limit, whether the store has it, and the monotonic instants of its begin and end, `relative` where they were put so.

    An instant of None follows the wall clock and is not known before that is trusted: until then it has begun, and not ended.
    """

    limit: Limit
    durable: bool = False
    restored: bool = False
    begins_s: float | None = None
    ends_s: float | None = None
    relative: bool = False
    adrift: bool = False
    """Whether it has times that were put as relative by a wall clock that was not trusted, and no trusted one was seen since."""

    @classmethod
    def restored_of(cls, limit: Limit, clock: Clock) -> Self:
        """Return a limit that the store has; one that was put adrift has begun, and all of its time left."""
        until_s = limit.until_utc_s
        if limit.put_utc_s != ADRIFT_UTC_S or (until_s is None and limit.from_utc_s is None):
            return cls(limit, durable=True, restored=True)
        utc_s = clock.utc_s()
        until_utc_s = None if until_s is None else utc_s + until_s
        limit = replace(limit, put_utc_s=utc_s, from_utc_s=None, until_utc_s=until_utc_s)
        ends_s = None if until_s is None else clock.now_s() + until_s
        return cls(limit, durable=True, restored=True, ends_s=ends_s, relative=True, adrift=True)

    def mistrust(self) -> None:
        """Know that it was put while the wall clock is not trusted: that tells nothing of its times."""
        if not self.relative:
            self.begins_s = self.ends_s = None
        self.adrift = self.begins_s is not None or self.ends_s is not None

    def kept(self) -> Limit:
        """Return what the store is to have."""
        return self._moved(ADRIFT_UTC_S - self.limit.put_utc_s) if self.adrift else self.limit

    def _moved(self, by_s: float) -> Limit:
        limit = self.limit
        times_s = {name: getattr(limit, name) for name in ("put_utc_s", "from_utc_s", "until_utc_s")}
        return replace(limit, **{name: time_s + by_s for name, time_s in times_s.items() if time_s is not None})

    def anchor(self, now_s: float, utc_s: float) -> bool:
        """Learn from a trusted wall clock when it begins and ends; instants that were put as `relative` go by no wall clock.

        Returns whether that makes its times other ones, which the store is to have.
        """
        limit = self.limit
        if self.adrift:
            at_s, at_utc_s = (self.begins_s, limit.from_utc_s) if self.ends_s is None else (self.ends_s, limit.until_utc_s)
            self.adrift = False
            if at_s is not None and at_utc_s is not None:
                self.limit = self._moved(utc_s + at_s - now_s - at_utc_s)
            return True
        if self.relative:
            return False
        if limit.from_utc_s is not None:
            self.begins_s = now_s + limit.from_utc_s - utc_s
        if limit.until_utc_s is not None:
            self.ends_s = now_s + limit.until_utc_s - utc_s
        return False

    def begun(self, now_s: float) -> bool:
        """Tell whether it has begun."""
        return self.begins_s is None or self.begins_s <= now_s

    def ended(self, now_s: float) -> bool:
        """Tell whether it is provably past."""
        return self.ends_s is not None and self.ends_s <= now_s

    def in_force(self, now_s: float) -> bool:
        """Tell whether it limits something now."""
        return not self.limit.is_none and self.begun(now_s) and not self.ended(now_s)

    def next_s(self, now_s: float) -> float:
        """Return when it begins or ends; infinite without either to come."""
        edges = [edge_s for edge_s in (self.begins_s, self.ends_s) if edge_s is not None and edge_s > now_s]
        return min(edges, default=math.inf)

    def caps(self) -> tuple[Cap, ...]:
        """Return what it puts on its battery."""
        return caps_of(self.limit)

    def loosens(self, older: "list[Entry]") -> bool:
        """Tell whether nothing is tighter by it than under those it replaces: the store may refuse it, and nothing is lost."""
        mine = self.limit
        if mine.is_none:
            return True
        return any(_within(mine, entry.limit) for entry in older)


def known_revision(limit: Limit, older: "list[Entry]") -> Limit | None:
    """Return the limit that a grant repeats. Raises StaleRevisionError where a later one was here before."""
    newest = max((each.limit.revision for each in older), default=0)
    if not limit.revision or limit.revision > newest:
        return None
    same = [
        each.limit
        for each in older
        if each.durable
        and each.limit.revision == limit.revision
        and (each.limit.limit_w, each.limit.limit_a) == (limit.limit_w, limit.limit_a)
    ]
    if same:
        return same[0]
    message = f"{limit.battery}: revision {limit.revision} of {limit.source} is not after {newest}"
    raise StaleRevisionError(message, expected=limit.revision, actual=newest)


def caps_of(limit: Limit) -> tuple[Cap, ...]:
    """Return a limit as caps: one, of a grant of a limit in watts and one in amperes two, of one that limits nothing none."""
    return tuple(
        Cap(
            source=SOURCE,
            discharging=limit.discharging,
            limit_w=amount if unit == "W" else None,
            limit_a=amount if unit == "A" else None,
            at_grid=True,
            text=f"the {limit.direction} limit {amount:g} {unit} of {limit.source}",
            identity=str(limit.number),
            granted=bool(limit.revision),
        )
        for unit, amount in (("W", limit.limit_w), ("A", limit.limit_a))
        if amount is not None
    )


def superfluous(entries: "list[Entry]") -> "list[Entry]":
    """Return those but the newest that another one is at least as tight as, whenever they are in force."""
    gone: list[Entry] = []
    for entry in entries[:-1]:
        others = [each for each in entries if each is not entry and each not in gone]
        if not entry.durable and (entry.limit.is_none or any(_within(entry.limit, each.limit) for each in others)):
            gone.append(entry)
    return gone


def _within(looser: Limit, tighter: Limit) -> bool:
    """Tell whether a limit allows all that another of the same key allows, whenever that one does not."""
    if tighter.is_none:
        return False
    pairs = ((looser.limit_w, tighter.limit_w), (looser.limit_a, tighter.limit_a))
    if any(mine is not None and (other is None or mine < other) for mine, other in pairs):
        return False
    begins = (looser.from_utc_s or -math.inf) >= (tighter.from_utc_s or -math.inf)
    later = math.inf
    ends = (later if looser.until_utc_s is None else looser.until_utc_s) <= (
        later if tighter.until_utc_s is None else tighter.until_utc_s
    )
    return begins and ends
