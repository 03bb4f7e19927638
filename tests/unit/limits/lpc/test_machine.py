"""The state machine: the tables of eebus.md 5.3, every edge of 2.3, every guard false once, and its boundaries.

Failsafe 1000 W, active limit 5000 W, timers as in 2.1, as the tables have them; times are seconds since the start.
"""

import itertools
import math
from dataclasses import dataclass, field
from typing import Self

import pytest

from bosd.limits.lpc.machine import Failsafe, Machine, Order, Publication, Step
from bosd.limits.lpc.rules import PROFILES, SEED, SPEC, Profile, Situation, State, Timers
from bosd.limits.lpc.use_case import LPC, LPP

A, B = "a" * 40, "b" * 40
HOURS_2 = 7200.0
INIT, LIMITED, CONTROLLED, AUTONOMOUS, FAILSAFE = State


@dataclass
class Story:
    """Plays a machine along a line of time; the clock begins somewhere, as a boot-time clock does."""

    profile: Profile = SPEC
    heartbeat_timeout_s: float = 120.0
    autonomous_w: float | None = None
    bound: str = ""
    now_s: float = 5000.0
    published: list[tuple[str, float | None]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.machine = Machine(
            Failsafe(limit_w=1000.0, duration_s=HOURS_2),
            profile=self.profile,
            timers=Timers(heartbeat_timeout_s=self.heartbeat_timeout_s),
            autonomous_w=self.autonomous_w,
            bound_ski=self.bound,
        )
        self._note(self.machine.start(self.now_s))

    def _note(self, step: Step) -> None:
        if (publication := step.publication) is not None:
            self.published.append((publication.state, publication.limit_w))
        if step.transition is not None:
            self.reasons.append(step.transition.reason)

    def wait(self, seconds: float) -> Self:
        """Let time pass, with one tick at its end."""
        self.now_s += seconds
        self._note(self.machine.tick(self.now_s))
        return self

    def hb(self, ski: str = A) -> Self:
        """Hear a heartbeat."""
        if self.machine.admits(ski, data=True):
            self._note(self.machine.heartbeat(self.now_s))
        return self

    def active(self, value_w: float = 5000.0, duration_s: float | None = None, ski: str = A) -> Self:
        """Read an active limit."""
        return self._order(ski, Order(active=True, limit_w=value_w, duration_s=duration_s, at_s=self.now_s))

    def inactive(self, ski: str = A) -> Self:
        """Read an inactive one."""
        return self._order(ski, Order(active=False, limit_w=0.0, duration_s=None, at_s=self.now_s))

    def _order(self, ski: str, order: Order) -> Self:
        if self.machine.admits(ski, data=True):
            self._note(self.machine.receive(order))
        return self

    def write(self, limit_w: float | None = None, duration_s: float | None = None) -> Self:
        """Write failsafe values."""
        self._note(self.machine.write_failsafe(self.now_s, limit_w=limit_w, duration_s=duration_s))
        return self

    def is_(self, state: State, limit_w: float | None) -> Self:
        """Assert where it is, and what holds."""
        assert (self.machine.state, self.machine.in_force()[0]) == (state, limit_w)
        return self

    def publishes(self, *expected: tuple[str, float | None]) -> Self:
        """Assert what was published since the last look."""
        found, self.published = self.published, []
        assert found == list(expected)
        return self


def limited() -> Story:
    """Return one that was limited to 5000 W at the start."""
    return Story().hb().active().is_(LIMITED, 5000.0).publishes((INIT, 1000.0), (LIMITED, 5000.0))


def controlled() -> Story:
    """Return one that was told not to limit."""
    return Story().hb().inactive().is_(CONTROLLED, None).publishes((INIT, 1000.0), (CONTROLLED, None))


def autonomous() -> Story:
    """Return one that was told nothing for 121 s."""
    return Story().wait(121.0).is_(AUTONOMOUS, None).publishes((INIT, 1000.0), (AUTONOMOUS, None))


def failsafe() -> Story:
    """Return one that was limited, and lost its peer."""
    return limited().wait(121.0).is_(FAILSAFE, 1000.0).publishes((FAILSAFE, 1000.0))


# --- eebus.md 5.3, row by row


def test_applies_failsafe_limit_immediately_on_startup() -> None:
    """Applies failsafe limit immediately on startup."""
    Story().is_(INIT, 1000.0).publishes((INIT, 1000.0))


def test_init_transitions_to_unlimited_autonomous_not_failsafe_after_120s() -> None:
    """Init transitions to unlimited autonomous not failsafe after 120s."""
    autonomous()


def test_heartbeat_timeout_of_limited() -> None:
    """Heartbeat timeout of limited."""
    limited().wait(119.0).is_(LIMITED, 5000.0).publishes()
    limited().wait(121.0).is_(FAILSAFE, 1000.0).publishes((FAILSAFE, 1000.0))


def test_unlimited_controlled_enters_failsafe() -> None:
    """Unlimited controlled enters failsafe."""
    controlled().wait(121.0).is_(FAILSAFE, 1000.0).publishes((FAILSAFE, 1000.0))


def test_unlimited_autonomous_needs_heartbeat() -> None:
    """Unlimited autonomous needs heartbeat."""
    autonomous().wait(300.0).is_(AUTONOMOUS, None).publishes()
    autonomous().active().is_(AUTONOMOUS, None).publishes((AUTONOMOUS, None))
    autonomous().inactive().is_(AUTONOMOUS, None).publishes((AUTONOMOUS, None))
    autonomous().hb().active().is_(LIMITED, 5000.0).publishes((LIMITED, 5000.0))
    autonomous().hb().inactive().is_(CONTROLLED, None).publishes((CONTROLLED, None))


def test_failsafe_exits_after_its_duration() -> None:
    """Failsafe exits after its duration."""
    failsafe().wait(HOURS_2 - 1.0).is_(FAILSAFE, 1000.0).publishes()
    failsafe().wait(HOURS_2 + 1.0).is_(AUTONOMOUS, None).publishes((AUTONOMOUS, None))


def test_failsafe_exits_when_heartbeat_received_but_no_limit_within_120s() -> None:
    """Failsafe exits when heartbeat received but no limit within 120s."""
    story = failsafe().wait(10.0).hb().wait(119.0).is_(FAILSAFE, 1000.0).publishes()
    story.wait(2.0).is_(AUTONOMOUS, None).publishes((AUTONOMOUS, None))


def test_failsafe_exits_on_heartbeat_and_a_limit() -> None:
    """Failsafe exits on heartbeat and a limit."""
    failsafe().wait(10.0).hb().active().is_(LIMITED, 5000.0).publishes((LIMITED, 5000.0))
    failsafe().wait(10.0).hb().inactive().is_(CONTROLLED, None).publishes((CONTROLLED, None))


def test_unlimited_autonomous_does_not_re_apply_failsafe_period_limit() -> None:
    """Unlimited autonomous does not re apply failsafe period limit."""
    story = failsafe().wait(5.0).active().is_(FAILSAFE, 1000.0).publishes((FAILSAFE, 1000.0))
    story.wait(HOURS_2).is_(AUTONOMOUS, None).publishes((AUTONOMOUS, None))
    story.hb().is_(AUTONOMOUS, None).publishes()


def test_binding() -> None:
    """The first peer alone is heard, until Failsafe or UnlimitedAutonomous forget it."""
    story = limited().wait(119.0).hb(B).wait(2.0).is_(FAILSAFE, 1000.0)
    assert story.machine.bound_ski == ""
    story.hb(B).active(ski=B).is_(LIMITED, 5000.0)
    assert story.machine.bound_ski == B
    autonomous().hb(B).active(ski=B).is_(LIMITED, 5000.0)
    assert not limited().machine.admits(B, data=False)
    free = Story().machine
    assert free.admits(B, data=False)
    assert free.bound_ski == ""
    Story(bound=A).hb(B).active(ski=B).is_(INIT, 1000.0)


def test_timed_active_limit_expiry_settles_in_unlimited_controlled() -> None:
    """Timed active limit expiry settles in unlimited controlled."""
    story = Story().hb().active(5000.0, 30.0).is_(LIMITED, 5000.0)
    assert story.machine.in_force() == (5000.0, 5030.0)
    story.published.clear()
    story.wait(31.0).hb().is_(CONTROLLED, None).publishes((CONTROLLED, None))
    story.wait(1.0).wait(1.0).wait(1.0).publishes()


# --- eebus.md 2.3 and 2.7: what the rows above leave out


def test_every_edge_of_the_table_is_reached() -> None:
    """By its reason: each rule that leads somewhere has led there in one of these stories."""
    stories = [
        autonomous(),
        limited().wait(121.0),
        limited().inactive(),
        limited().active(4000.0, 5.0).wait(6.0),
        controlled().wait(121.0),
        controlled().active(),
        Story().inactive(),
        autonomous().hb().inactive(),
        autonomous().hb().active(),
        failsafe().wait(HOURS_2),
        failsafe().hb().wait(120.0),
        failsafe().hb().active(),
        failsafe().hb().inactive(),
    ]
    reached = set(itertools.chain.from_iterable(story.reasons for story in stories))
    assert reached == {rule.reason for rules in SPEC.rules.values() for rule in rules if rule.to is not None}


def situation(**facts: object) -> Situation:
    """Return one in which no guard holds."""
    calm: dict[str, object] = {
        "since_start_s": 0.0,
        "in_state_s": 0.0,
        "heartbeat_age_s": 0.0,
        "active": False,
        "inactive": False,
        "expired": False,
        "received": False,
        "recovered_s": None,
        "failsafe_duration_s": HOURS_2,
        "timers": Timers(),
    }
    return Situation(**(calm | facts))  # type: ignore[arg-type]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_no_rule_acts_where_nothing_happened(profile: Profile) -> None:
    """Every guard is false in a calm situation, with a fresh heartbeat and no limit."""
    assert not any(rule.guard(situation()) for rules in profile.rules.values() for rule in rules)


@pytest.mark.parametrize(
    ("at", "before", "after", "timer_s"),
    [
        ("heartbeat", False, True, 120.0),  # strictly greater (2.1)
        ("init", False, True, 120.0),  # strictly greater
        ("duration", True, True, HOURS_2),  # at once
        ("window", True, True, 120.0),  # at once
        ("expiry", True, True, 30.0),  # at once (2.2)
    ],
)
def test_boundaries(at: str, before: bool, after: bool, timer_s: float) -> None:
    """Whether a timer has run out exactly at its length, and just after; never just before."""
    begin, leaves = {
        "heartbeat": (limited, LIMITED),
        "init": (Story, INIT),
        "duration": (failsafe, FAILSAFE),
        "window": (lambda: failsafe().hb(), FAILSAFE),
        "expiry": (lambda: limited().active(4000.0, 30.0), LIMITED),
    }[at]
    for wait_s, expected in ((timer_s - 0.001, False), (timer_s, before), (timer_s + 0.001, after)):
        assert (begin().wait(wait_s).machine.state is not leaves) is expected, wait_s


def test_nothing_happens_before_the_start() -> None:
    """Nothing happens before the start."""
    machine = Machine(Failsafe(limit_w=1000.0, duration_s=HOURS_2))
    assert machine.tick(1e6) == Step()
    assert machine.state is INIT


def test_limits_in_limited_are_published_each_time_with_a_fresh_end() -> None:
    """Also an equal one (2.4)."""
    story = limited().active().publishes((LIMITED, 5000.0))
    story.wait(10.0).active(5000.0, 60.0).publishes((LIMITED, 5000.0))
    assert story.machine.in_force() == (5000.0, story.now_s + 60.0)


def test_zero_watts_is_a_limit() -> None:
    """Not "no limit", as elsewhere (eebus.md 7)."""
    limited().active(0.0).is_(LIMITED, 0.0).publishes((LIMITED, 0.0))


def test_a_limit_that_came_in_failsafe_leaves_it_at_the_next_heartbeat() -> None:
    """2.7: active and inactive; one that ran out meanwhile was received all the same, and limits nothing."""
    failsafe().active(3000.0).wait(5.0).hb().is_(LIMITED, 3000.0)
    failsafe().inactive().wait(5.0).hb().is_(CONTROLLED, None)
    failsafe().active(3000.0, 2.0).wait(5.0).hb().is_(CONTROLLED, None)


def test_a_heartbeat_alone_never_leaves_failsafe_at_once() -> None:
    """6.1 item 9: that opened an unlimited gap elsewhere."""
    failsafe().hb().wait(1.0).hb().is_(FAILSAFE, 1000.0).publishes()


def test_the_window_counts_from_the_first_heartbeat_also_when_more_follow() -> None:
    """The window counts from the first heartbeat also when more follow."""
    story = failsafe().wait(10.0).hb()
    for _ in range(5):
        story.wait(23.0).hb()
    story.is_(FAILSAFE, 1000.0).wait(5.0).is_(AUTONOMOUS, None)


def test_a_second_failsafe_begins_its_window_anew() -> None:
    """A second failsafe begins its window anew."""
    story = failsafe().wait(10.0).hb().active().is_(LIMITED, 5000.0).wait(121.0).is_(FAILSAFE, 1000.0)
    story.wait(10.0).hb().wait(119.0).is_(FAILSAFE, 1000.0).wait(1.0).is_(AUTONOMOUS, None)


def test_failsafe_values_written_in_failsafe_are_in_force_at_once() -> None:
    """2.8 item 1, 6.1 item 7; elsewhere they are kept and nothing is published."""
    failsafe().write(limit_w=700.0).is_(FAILSAFE, 700.0).publishes((FAILSAFE, 700.0))
    limited().write(limit_w=700.0).publishes().wait(121.0).publishes((FAILSAFE, 700.0))
    Story().publishes((INIT, 1000.0)).write(limit_w=700.0).publishes().is_(INIT, 700.0)
    failsafe().write(duration_s=60.0).publishes().wait(60.0).is_(AUTONOMOUS, None)


def test_the_value_of_failsafe_is_never_the_peers_last_one() -> None:
    """6.3 item 21, and a tighter limit too."""
    limited().active(500.0).wait(121.0).is_(FAILSAFE, 1000.0)


def test_a_limit_without_end_does_not_end() -> None:
    """6.1 item 9."""
    story = limited()
    for _ in range(1000):
        story.wait(100.0).hb()
    story.is_(LIMITED, 5000.0)


def test_no_heartbeat_at_all_gives_a_whole_timeout_from_the_start() -> None:
    """6.1 item 11: elsewhere a machine that had heard none failed 10 s after its start."""
    Story().active().wait(120.0).is_(LIMITED, 5000.0).wait(0.1).is_(FAILSAFE, 1000.0)


def test_an_own_cap_of_unlimited_autonomous() -> None:
    """6.1 item 10: `autonomous_limit_W`."""
    Story(autonomous_w=2500.0).wait(121.0).is_(AUTONOMOUS, 2500.0).hb().inactive().is_(CONTROLLED, None)


def test_limited_without_a_limit_holds_the_failsafe_value_and_says_so() -> None:
    """2.4; no input leads there, so it is put there."""
    story = limited()
    story.machine.order = None
    publication = story.machine._publication("test")
    assert publication == Publication(
        state=LIMITED, limit_w=1000.0, until_s=None, reason="test", warning="no limit is known: the failsafe value holds"
    )


# --- eebus.md 0 and 5.4: the seed's edges, with its heartbeat timeout of 60 s


def seed() -> Story:
    """Return one of the profile `seed`."""
    return Story(SEED, heartbeat_timeout_s=60.0)


def test_seed_publishes_nothing_at_the_start() -> None:
    """Seed publishes nothing at the start."""
    seed().publishes().is_(INIT, None)


def test_seed_enters_failsafe_from_anywhere_within_65_s() -> None:
    """5.4: directly from Init, too; in the order heartbeat, init timeout."""
    seed().wait(65.0).is_(FAILSAFE, 1000.0).publishes((FAILSAFE, 1000.0))
    seed().hb().active().wait(65.0).is_(FAILSAFE, 1000.0)
    seed().hb().inactive().wait(65.0).is_(FAILSAFE, 1000.0)
    seed().wait(500.0).is_(FAILSAFE, 1000.0)


def seed_autonomous() -> Story:
    """5.4, test_init_state_timeout: heartbeats at 0, 50 and 70 s, unlimited within 125 s."""
    return seed().hb().wait(50.0).hb().wait(20.0).hb().wait(51.0).is_(AUTONOMOUS, None)


def test_seed_leaves_unlimited_autonomous() -> None:
    """Seed leaves unlimited autonomous."""
    seed_autonomous().wait(65.0).is_(FAILSAFE, 1000.0)
    seed_autonomous().active().is_(LIMITED, 5000.0)
    seed_autonomous().inactive().is_(CONTROLLED, None)


def test_seed_failsafe_ends_by_duration_and_window_with_a_heartbeat() -> None:
    """5.4, test_update_failsafe_duration_minimum: 5 s is taken; silence; heartbeats at 0, 55, 110 s; unlimited by 130 s."""
    story = seed().write(duration_s=5.0).hb().inactive().wait(61.0).is_(FAILSAFE, 1000.0)
    story.hb().wait(55.0).hb().wait(55.0).hb().is_(FAILSAFE, 1000.0).wait(15.0).is_(FAILSAFE, 1000.0)
    story.wait(0.001).is_(AUTONOMOUS, None)
    silent = seed().write(duration_s=5.0).wait(61.0).wait(1000.0).is_(FAILSAFE, 1000.0)
    silent.hb().is_(AUTONOMOUS, None)


def test_seed_failsafe_needs_a_new_limit() -> None:
    """It takes "heartbeat restored AND new limit received": the old one, which is not forgotten, is none."""
    story = seed().hb().active().wait(61.0).is_(FAILSAFE, 1000.0).hb().is_(FAILSAFE, 1000.0)
    story.active(3000.0).is_(LIMITED, 3000.0)
    seed().wait(61.0).hb().inactive().is_(CONTROLLED, None)


def test_seed_limits_that_run_out() -> None:
    """Seed limits that run out."""
    seed().hb().active(5000.0, 30.0).wait(30.0).is_(CONTROLLED, None)
    story = seed().hb().active(5000.0, 7000.0).wait(61.0).is_(FAILSAFE, 1000.0).write(duration_s=0.0)
    story.hb().wait(59.0).hb().wait(59.0).hb().wait(3.0).is_(AUTONOMOUS, None)
    while story.machine.order is not None:
        story.wait(50.0).hb()
    story.is_(CONTROLLED, None)


def test_seed_reaches_every_edge() -> None:
    """Seed reaches every edge."""
    stories = [
        seed().wait(61.0),
        seed_autonomous(),
        seed().active(),
        seed().inactive(),
        seed().active().inactive(),
        seed().active().active(1.0, 1.0).wait(2.0),
        seed().active().wait(61.0),
        seed().inactive().wait(61.0),
        seed().inactive().active(),
        seed_autonomous().wait(61.0),
        seed_autonomous().active(),
        seed_autonomous().inactive(),
        seed().wait(61.0).hb().active(),
        seed().wait(61.0).hb().inactive(),
        seed().write(duration_s=0.0).wait(61.0).wait(121.0).hb(),
    ]
    reached = set(itertools.chain.from_iterable(story.reasons for story in stories))
    assert reached == {rule.reason for rules in SEED.rules.values() for rule in rules if rule.to is not None}


def test_seed_hears_every_peer() -> None:
    """Seed hears every peer."""
    seed().hb(A).active(ski=A).inactive(ski=B).is_(CONTROLLED, None)


# --- production: the same machine (1.7)


def test_production_limits() -> None:
    """Written limits are <= 0 W, failsafe values >= 0 W; the machine's limits are magnitudes in the other direction."""
    assert (LPP.direction, LPC.direction) == ("discharge", "charge")
    assert LPP.wrong(-5000.0) == ""
    assert LPP.wrong(-0.0) == LPP.wrong(0.0) == LPC.wrong(-0.0) == ""
    assert LPP.magnitude_w(-5000.0) == 5000.0
    assert math.copysign(1.0, LPP.magnitude_w(0.0)) == 1.0
    assert LPP.wrong(100.0).startswith("LPP-001: the limit must be <= 0 W")
    machine = Machine(Failsafe(limit_w=1000.0, duration_s=HOURS_2), use_case=LPP)
    machine.start(0.0)
    machine.heartbeat(0.0)
    step = machine.receive(Order(active=True, limit_w=LPP.magnitude_w(-5000.0), duration_s=None, at_s=1.0))
    assert step.publication is not None
    assert (step.publication.state, step.publication.limit_w) == (LIMITED, 5000.0)
    assert machine.tick(121.0).publication == Publication(
        state=FAILSAFE, limit_w=1000.0, until_s=None, reason="no heartbeat [912]"
    )
