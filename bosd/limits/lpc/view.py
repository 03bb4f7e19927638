"""What people and programs see of the machine."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from bosd.limits.lpc.rules import State

COUNTERS = (
    "transitions",
    "publications",
    "heartbeats",
    "limits_received",
    "limits_refused",
    "writes_approved",
    "writes_denied",
    "failsafe_writes",
    "failsafe_writes_refused",
    "events_dropped",
    "events_of_unlisted_peers",
    "unknown_events",
    "failed_calls",
    "connections",
    "losses",
    "binary_starts",
)

BEAT_S = 1.0


class Statement(IntEnum):
    """What the peer says now; numbers are those of the API."""

    NONE = 1
    UNLIMITED = 2
    LIMITED = 3


STATEMENTS: Mapping[State, Statement] = {
    State.INIT: Statement.NONE,
    State.LIMITED: Statement.LIMITED,
    State.UNLIMITED_CONTROLLED: Statement.UNLIMITED,
    State.UNLIMITED_AUTONOMOUS: Statement.NONE,
    State.FAILSAFE: Statement.NONE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTransition:
    """A change of state by the wall clock."""

    at_utc_s: float
    before: State
    after: State
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRestored:
    """The limit of an earlier run that is still in force."""

    limit_w: float
    until_utc_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything at one instant; None is unlimited, without end, or never (`heartbeat_age_s`). `fault`: why nothing runs."""

    battery: str
    profile: str
    use_case: str
    direction: str
    at_utc_s: float
    fault: str = ""
    state: State | None = None
    statement: Statement | None = None
    limit_w: float | None = None
    limit_until_utc_s: float | None = None
    time_left_s: float | None = None
    heartbeat_age_s: float | None = None
    bound_ski: str = ""
    failsafe_limit_w: float = 0.0
    failsafe_duration_s: float = 0.0
    connected: bool = False
    connection: str = ""
    service: str = ""
    last: SeenTransition | None = None
    counters: Mapping[str, int]
    restored: SeenRestored | None = None


class Changes:
    """Wakes those who watch; `view` returns what they see."""

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view
        self._wakes: set[asyncio.Event] = set()

    def tell(self) -> None:
        """Something is different."""
        for wake in self._wakes:
            wake.set()

    async def watch(self) -> AsyncIterator[View]:
        """Yield everything at once, after each change (the latest alone), and each second without one."""
        wake = asyncio.Event()
        self._wakes.add(wake)
        try:
            while True:
                wake.clear()
                yield self._view()
                try:
                    async with asyncio.timeout(BEAT_S):
                        await wake.wait()
                except TimeoutError:
                    continue
        finally:
            self._wakes.discard(wake)
