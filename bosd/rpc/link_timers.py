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
    call_s: float = 2.0
    probe_period_s: float = 5.0
    session: SessionTimers = field(default_factory=SessionTimers)
