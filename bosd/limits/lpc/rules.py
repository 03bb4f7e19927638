"""The rules of the state machine as tables: per state, in the order in which they are looked at (eebus.md 2.3 and 0)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where the machine is; the words are those people and programs see."""

    INIT = "Init"
    LIMITED = "Limited"
    UNLIMITED_CONTROLLED = "UnlimitedControlled"
    UNLIMITED_AUTONOMOUS = "UnlimitedAutonomous"
    FAILSAFE = "Failsafe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """Times of the machine in seconds (eebus.md 2.1)."""

    heartbeat_timeout_s: float = 120.0
    init_timeout_s: float = 120.0
    recovery_window_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What rules look at, in one evaluation.

    `active` and `inactive`: a limit is known that has not run out, and is or is not active; `expired`: it ran out just now.
    `received`: a limit came since the state was entered. `recovered_s`: since the first heartbeat after the failsafe began.
    """

    since_start_s: float
    in_state_s: float
    heartbeat_age_s: float
    active: bool
    inactive: bool
    expired: bool
    received: bool
    recovered_s: float | None
    failsafe_duration_s: float
    timers: Timers

    @property
    def heartbeat_lost(self) -> bool:
        """Whether the peer has been silent for longer than it may."""
        return self.heartbeat_age_s > self.timers.heartbeat_timeout_s


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table; without a next state it ends the looking, and the machine stays."""

    guard: Callable[[Situation], bool]
    to: State | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A set of rules. The flags are the differences of eebus.md 0 that are no edges."""

    name: str
    rules: Mapping[State, tuple[Rule, ...]]
    protects_init: bool
    """Init publishes the failsafe value, at once."""
    binds: bool
    """The first peer that speaks is the only one heard."""
    forgets: bool
    """Failsafe and UnlimitedAutonomous forget the limit and the peer."""
    checks_duration: bool
    """A failsafe duration has to lie within its bounds."""


def _lost(s: Situation) -> bool:
    return s.heartbeat_lost


def _init_over(s: Situation) -> bool:
    return s.since_start_s > s.timers.init_timeout_s


def _active(s: Situation) -> bool:
    return s.active


def _inactive(s: Situation) -> bool:
    return s.inactive


def _over(s: Situation) -> bool:
    return s.inactive or s.expired


def _duration_over(s: Situation) -> bool:
    return s.in_state_s >= s.failsafe_duration_s


def _window_over(s: Situation) -> bool:
    return s.recovered_s is not None and s.recovered_s >= s.timers.recovery_window_s


def _received_active(s: Situation) -> bool:
    return s.received and s.active


def _received(s: Situation) -> bool:
    return s.received


def _received_over(s: Situation) -> bool:
    return (s.received and s.inactive) or s.expired


def _duration_and_window_over(s: Situation) -> bool:
    return s.in_state_s > s.failsafe_duration_s + s.timers.recovery_window_s


_I, _L, _C, _A, _F = State
_LOST, _STAY = "no heartbeat", "no heartbeat yet"
_IS_ACTIVE, _IS_INACTIVE, _IS_OVER = "an active limit", "an inactive limit", "the limit is over"
_CONTROLLED: Final = {
    _L: (
        Rule(_lost, _F, f"{_LOST} [912]"),
        Rule(_inactive, _C, f"{_IS_INACTIVE} [908]"),
        Rule(_over, _C, f"{_IS_OVER} [909]"),
    ),
    _C: (Rule(_lost, _F, f"{_LOST} [911]"), Rule(_active, _L, f"{_IS_ACTIVE} [910]")),
}
_RETURNED: Final = (
    Rule(_received_active, _L, f"heartbeat and {_IS_ACTIVE} [916]"),
    Rule(_received, _C, f"heartbeat and {_IS_INACTIVE} [916]"),
)

SPEC: Final = Profile(
    name="spec",
    rules={
        _I: (
            Rule(_init_over, _A, "nothing was said since the start [906]"),
            Rule(_active, _L, f"{_IS_ACTIVE} [904]"),
            Rule(_inactive, _C, f"{_IS_INACTIVE} [902/905]"),
        ),
        **_CONTROLLED,
        _A: (
            Rule(_lost, None, _STAY),
            Rule(_inactive, _C, f"heartbeat and {_IS_INACTIVE} [918/920]"),
            Rule(_active, _L, f"heartbeat and {_IS_ACTIVE} [919]"),
        ),
        _F: (
            Rule(_duration_over, _A, "the failsafe duration is over [922]"),
            Rule(_window_over, _A, "heartbeat, but no limit within the recovery window [921]"),
            Rule(_lost, None, _STAY),
            *_RETURNED,
        ),
    },
    protects_init=True,
    binds=True,
    forgets=True,
    checks_duration=True,
)
"""As the specification has it; numbers in brackets are those of its rules, behind the word of the use case."""

SEED: Final = Profile(
    name="seed",
    rules={
        _I: (
            Rule(_lost, _F, _LOST),
            Rule(_init_over, _A, "nothing was said since the start"),
            Rule(_active, _L, _IS_ACTIVE),
            Rule(_inactive, _C, _IS_INACTIVE),
        ),
        **_CONTROLLED,
        _A: (
            Rule(_lost, _F, _LOST),
            Rule(_received_active, _L, _IS_ACTIVE),
            Rule(_received_over, _C, f"{_IS_INACTIVE}, or {_IS_OVER}"),
        ),
        _F: (
            Rule(_lost, None, _STAY),
            *_RETURNED,
            Rule(_duration_and_window_over, _A, "heartbeat, and the failsafe duration and the recovery window are over"),
        ),
    },
    protects_init=False,
    binds=False,
    forgets=False,
    checks_duration=False,
)
"""As the seed's diagram has it."""

PROFILES: Final[Mapping[str, Profile]] = {profile.name: profile for profile in (SPEC, SEED)}
