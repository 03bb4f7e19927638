"""The state machine of a limitation of power, apart from any connection: values in, steps out, time as an argument.

Instants are `now_s` on one monotonic scale; powers are magnitudes in watts, whatever the use case's sign. Every input is followed
by one evaluation of the rules, as is each tick (eebus.md 2.2 to 2.4).
"""

import math
from dataclasses import dataclass

from bosd.limits.lpc.rules import SPEC, Profile, Rule, Situation, State, Timers
from bosd.limits.lpc.use_case import LPC, UseCase


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A limit the peer wrote, as it was read at `at_s`; `limit_w` is a magnitude, `duration_s` None where it has no end."""

    active: bool
    limit_w: float
    duration_s: float | None
    at_s: float

    @property
    def until_s(self) -> float | None:
        """When it is over."""
        return None if self.duration_s is None else self.at_s + self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of state at an instant."""

    at_s: float
    before: State
    after: State
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What holds from now on: `limit_w` None is unlimited, `until_s` None is without end."""

    state: State
    limit_w: float | None
    until_s: float | None
    reason: str
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What one input led to."""

    transition: Transition | None = None
    publication: Publication | None = None


@dataclass(slots=True, kw_only=True)
class Failsafe:
    """The values that hold while the peer is silent, changed by what it writes."""

    limit_w: float
    duration_s: float


class Machine:
    """One machine; `autonomous_w` caps UnlimitedAutonomous where it is given, `bound_ski` is whom an earlier run listened to."""

    def __init__(
        self,
        failsafe: Failsafe,
        *,
        use_case: UseCase = LPC,
        profile: Profile = SPEC,
        timers: Timers | None = None,
        autonomous_w: float | None = None,
        bound_ski: str = "",
    ) -> None:
        self.failsafe = failsafe
        self.use_case = use_case
        self.profile = profile
        self.timers = timers or Timers()
        self.state = State.INIT
        self.bound_ski = bound_ski
        self.order: Order | None = None
        self.last: Transition | None = None
        self.heard_s: float | None = None
        self._autonomous_w = autonomous_w
        self._started_s: float | None = None
        self._entered_s = 0.0
        self._heartbeat_s = 0.0
        self._returned_s: float | None = None
        self._received = False

    # --- inputs

    def start(self, now_s: float) -> Step:
        """Begin; the peer counts as heard now, so that the first timeout is a whole one. Rules rest until then."""
        self._started_s = self._entered_s = self._heartbeat_s = now_s
        return Step(publication=self._publication("start")) if self.profile.protects_init else Step()

    def joined(self, now_s: float) -> None:
        """Give a peer that can be heard only from now on a whole init time, and a whole heartbeat timeout."""
        if self.state is State.INIT and self._started_s is not None:
            self._started_s, self._heartbeat_s = now_s, max(now_s, self._heartbeat_s)

    def admits(self, ski: str, *, data: bool) -> bool:
        """Tell whether a peer is heard; one whose event is `data` is the only one from then on, until it is forgotten."""
        if self.profile.binds and self.bound_ski:
            return ski == self.bound_ski
        if data:
            self.bound_ski = ski
        return True

    def heartbeat(self, now_s: float) -> Step:
        """Note that the peer is there."""
        self._heartbeat_s = self.heard_s = now_s
        return self._evaluate(now_s)

    def receive(self, order: Order) -> Step:
        """Take a limit that was read; it is published also where it equals the last one."""
        self.order = order
        self._received = True
        return self._evaluate(order.at_s, because="a limit was received")

    def write_failsafe(self, now_s: float, *, limit_w: float | None = None, duration_s: float | None = None) -> Step:
        """Change the failsafe values; a power that is in force as the failsafe's is published at once."""
        if duration_s is not None:
            self.failsafe.duration_s = duration_s
        if limit_w is not None:
            self.failsafe.limit_w = limit_w
        publishes = limit_w is not None and self.state is State.FAILSAFE
        return self._evaluate(now_s, because="the failsafe value was written" if publishes else "")

    def tick(self, now_s: float) -> Step:
        """Let time count."""
        return self._evaluate(now_s)

    # --- what holds

    def in_force(self) -> tuple[float | None, float | None]:
        """Return the limit that holds in this state (None: none), and when it ends (None: it does not)."""
        order = self.order
        if self.state is State.LIMITED and order is not None:
            return order.limit_w, order.until_s
        if self.state in (State.FAILSAFE, State.LIMITED) or (self.state is State.INIT and self.profile.protects_init):
            return self.failsafe.limit_w, None
        return (self._autonomous_w, None) if self.state is State.UNLIMITED_AUTONOMOUS else (None, None)

    def due_s(self) -> tuple[float, ...]:
        """Return instants at which time alone may change something; some may be past, and change nothing any more."""
        if self._started_s is None:
            return ()
        timers = self.timers
        ends = [self._heartbeat_s + timers.heartbeat_timeout_s, self._started_s + timers.init_timeout_s]
        if self.order is not None and self.order.until_s is not None:
            ends.append(self.order.until_s)
        if self.state is State.FAILSAFE:
            over_s = self._entered_s + self.failsafe.duration_s
            ends += [over_s, over_s + timers.recovery_window_s]
        if self._returned_s is not None:
            ends.append(self._returned_s + timers.recovery_window_s)
        return tuple(ends)

    # --- rules

    def _evaluate(self, now_s: float, because: str = "") -> Step:
        if self._started_s is None:
            return Step()
        order = self.order
        expired = order is not None and order.until_s is not None and now_s >= order.until_s
        if expired:
            self.order = order = None
        situation = self._situation(now_s, self._started_s, order, expired=expired)
        rule = next((rule for rule in self.profile.rules[self.state] if rule.guard(situation)), None)
        transition = self._enter(rule, now_s) if rule is not None and rule.to is not None else None
        if rule is None and self.state is State.FAILSAFE and self._returned_s is None:
            self._returned_s = self._heartbeat_s
        reason = transition.reason if transition is not None else because
        return Step(transition, self._publication(reason) if reason else None)

    def _situation(self, now_s: float, started_s: float, order: Order | None, *, expired: bool) -> Situation:
        return Situation(
            since_start_s=now_s - started_s,
            in_state_s=now_s - self._entered_s,
            heartbeat_age_s=now_s - self._heartbeat_s,
            active=order is not None and order.active,
            inactive=order is not None and not order.active,
            expired=expired,
            received=self._received,
            recovered_s=None if self._returned_s is None else now_s - self._returned_s,
            failsafe_duration_s=self.failsafe.duration_s,
            timers=self.timers,
        )

    def _enter(self, rule: Rule, now_s: float) -> Transition:
        assert rule.to is not None  # noqa: S101 (who calls has looked)
        self.last = Transition(at_s=now_s, before=self.state, after=rule.to, reason=rule.reason)
        self.state, self._entered_s = rule.to, now_s
        self._received, self._returned_s = False, None
        if self.profile.forgets and rule.to in (State.FAILSAFE, State.UNLIMITED_AUTONOMOUS):
            self.order, self.bound_ski = None, ""
        return self.last

    def _publication(self, reason: str) -> Publication:
        limit_w, until_s = self.in_force()
        uncertain = self.state is State.LIMITED and self.order is None
        warning = "no limit is known: the failsafe value holds" if uncertain else ""
        return Publication(state=self.state, limit_w=limit_w, until_s=until_s, reason=reason, warning=warning)


def tighter_w(one_w: float | None, other_w: float | None) -> float | None:
    """Return the smaller of two limits; None is no limit."""
    found = min(math.inf if one_w is None else one_w, math.inf if other_w is None else other_w)
    return None if math.isinf(found) else found
