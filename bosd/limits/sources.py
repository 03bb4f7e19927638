"""The book as one source sees it: it puts and ends its own limits."""

from typing import Protocol

from bosd.bal.cap import at_most_told
from bosd.bal.schedule import Moment
from bosd.clock import Clock
from bosd.store.limits import Direction, Limit

RESTORED = "restored"
"""What tells the limit of an earlier run from the one that its source put since."""
LEAST_S = 0.001
"""What is over already is in force this long, so that it stands in the history."""


class Book(Protocol):
    """What a source needs of the book."""

    clock: Clock

    async def put(self, wanted: Limit, *, begins: Moment | None = None, ends: Moment | None = None) -> Limit:
        """Keep a limit; durable when this returns."""
        ...

    def post(self, wanted: Limit, *, ends: Moment | None = None) -> Limit:
        """Keep a limit without waiting for the store."""
        ...


class LimitSource:
    """The limits of one source."""

    def __init__(self, book: Book, name: str) -> None:
        self.name = name
        self._book = book

    async def put(
        self, battery: str, direction: Direction, limit_w: float | None, until_s: float | None = None, *, comment: str = ""
    ) -> Limit:
        """Limit a battery to `limit_w`, to the monotonic instant `until_s`; None ends it. Raises as the book's put does."""
        most_w = at_most_told(limit_w)
        wanted = Limit(source=self.name, battery=battery, direction=direction, limit_w=most_w, who=self.name, comment=comment)
        return await self._book.put(wanted, ends=self._moment(limit_w, until_s))

    def post(
        self,
        battery: str,
        direction: Direction,
        limit_w: float | None,
        until_s: float | None = None,
        *,
        identity: str = "",
        comment: str = "",
    ) -> Limit:
        """Do as `put` does without waiting: a tighter limit is in force on return, a looser one once the store has it.

        Of several limits of one battery and direction each has an `identity`. Raises InvalidArgumentError, BadNameError,
        NoResourcesError.
        """
        wanted = Limit(
            source=self.name,
            battery=battery,
            direction=direction,
            limit_w=at_most_told(limit_w),
            identity=identity,
            who=self.name,
            comment=comment,
        )
        return self._book.post(wanted, ends=self._moment(limit_w, until_s))

    def _moment(self, limit_w: float | None, until_s: float | None) -> Moment | None:
        return None if until_s is None or limit_w is None else Moment(in_s=max(LEAST_S, until_s - self._book.clock.now_s()))


class BatteryLimit:
    """One source's limit of one battery and direction, told without waiting; a restored one stands beside it."""

    def __init__(self, source: LimitSource, battery: str, direction: Direction) -> None:
        self._source = source
        self._battery = battery
        self._direction = direction

    def publish(self, limit_w: float | None, until_s: float | None, *, state: str, reason: str) -> None:
        """Put a limit in place of the last one; None is none."""
        self._source.post(self._battery, self._direction, limit_w, until_s, comment=f"{state}: {reason}")

    def restore(self, limit_w: float, until_s: float, *, reason: str) -> None:
        """Put the limit of an earlier run in force beside the published one."""
        self._source.post(self._battery, self._direction, limit_w, until_s, identity=RESTORED, comment=reason)

    def end_restored(self, *, reason: str) -> None:
        """End the restored limit."""
        self._source.post(self._battery, self._direction, None, identity=RESTORED, comment=reason)
