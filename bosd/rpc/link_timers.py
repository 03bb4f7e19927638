"""How long a link to another node waits."""

from dataclasses import dataclass, field

from bosd.fleet.timers import SessionTimers


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTimers:
    """How long a link waits, in seconds; `session` has the times that both ends of a session go by."""

    lost_s: float = 3.0
    first_s: float = 1.5
    pause_least_s: float = 0.1
    pause_most_s: float = 0.5
    pause_barred_s: float = 8.0
    """The most between attempts of a node whose own certificate is refused, unless it gets another one meanwhile."""
    call_s: float = 2.0
    probe_period_s: float = 5.0
    session: SessionTimers = field(default_factory=SessionTimers)


class Pauses:
    """How long to wait between attempts: longer from failure to failure, up to a bound."""

    def __init__(self, timers: LinkTimers) -> None:
        self._timers = timers
        self._pause_s = timers.pause_least_s

    def after(self, *, was_up: bool, refused: bool, barred: bool) -> float:
        """Return the pause in seconds after an attempt; `barred`: this node's own certificate was refused."""
        timers = self._timers
        most_s = timers.pause_barred_s if barred else timers.pause_most_s
        self._pause_s = timers.pause_least_s if was_up else min(most_s, 2.0 * self._pause_s)
        return max(self._pause_s, timers.pause_most_s) if refused else self._pause_s
