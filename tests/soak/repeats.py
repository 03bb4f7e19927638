"""What happens to sessions of real processes at full timers, over and over: how soon it is noticed, safe, and whole again.

The scenarios of tests/integration/test_sessions.py, which run once there with all timers a fifth. Bounds are those of control.md.
"""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import grpc

from bosd.fleet.timers import SessionTimers
from bosd.v1 import battery_pb2 as pb
from tests.soak import apart
from tests.soak.outcome import Book, Outcome, Progress, Series, first_line
from tests.soak.site import ASKED_A, SHARE_A, TTL_S, Sample, Sampler, Site, excess_as, shared, site
from tests.support.processes import Node, until

TIMERS = SessionTimers()
SAFE_WITHIN_S = TIMERS.safe_within_s(0.0)
"""1.0 + 3.0 + 0.03 s of a battery in software, from the controller's last received reply (control.md, "When something dies")."""
GUARD_S = 3.0
"""What the guard may take for a pack (README, "What happens when the daemon dies or hangs"); it begins at once."""
LOOK_S = 0.1
"""Of a busy machine and of the samples: what is measured from outside may be so much late."""
READY_S = 3.0
"""satellites.md section 4, scenario 2."""
RAMP_S = 10.0 + 2.0
"""A full return is ramped over 10 s (control.md, "Limits over a distance"), and may wait for a pause after a failure."""
RESTART_S = 2.0
MOST_S = 30.0
"""What is waited for anything before it counts as never."""

Scenario = Callable[[Site, "Measured"], None]


class Measured:
    """The series of all scenarios."""

    def __init__(self) -> None:
        late_s = TIMERS.lease_s + LOOK_S
        early_s = TIMERS.lease_s - TIMERS.heartbeat_s - LOOK_S
        self.series: dict[str, Series] = {}
        self._add("owner killed: noticed", most=TIMERS.stale_s + LOOK_S)
        self._add("owner killed: pack safe by the guard", most=GUARD_S + LOOK_S)
        self._add("owner killed: share given to others", least=SAFE_WITHIN_S - TIMERS.heartbeat_s - LOOK_S)
        self._add("owner killed: recovery from the start")
        self._add("controller killed: noticed by the owners", least=early_s, most=late_s)
        self._add("controller killed: packs safe", least=early_s, most=SAFE_WITHIN_S + GUARD_S + LOOK_S)
        self._add("controller killed: recovery from the start")
        self._add("controller frozen: noticed by the owners", least=early_s, most=late_s)
        self._add("controller frozen: packs safe", least=early_s, most=SAFE_WITHIN_S + GUARD_S + LOOK_S)
        self._add("controller frozen: recovery from the thaw")
        self._add("owner restarted: ready from its start", most=READY_S)
        self._add("owner restarted: its share back from ready", most=RAMP_S)
        for name in ("owner killed", "owner restarted", "controller killed", "controller frozen"):
            self.series[f"{name}: overshoot"] = Series(f"{name}: overshoot", unit="A s", most=0.001)

    def _add(self, name: str, *, least: float | None = None, most: float | None = None) -> None:
        self.series[name] = Series(name, least=least, most=most)

    def note(self, name: str, value: float) -> None:
        """Note one value."""
        self.series[name].values.append(value)


def _zero(sample: Sample) -> bool:
    return all(current_a == 0.0 for current_a in sample.currents_a)


@contextmanager
def _watched(at: Site, measured: Measured, scenario: str) -> Iterator[Sampler]:
    """Sample the packs; note what flowed above what was asked for."""
    with Sampler(at.packs) as sampler:
        yield sampler
    sampler.check()
    measured.note(f"{scenario}: overshoot", excess_as(sampler.samples, ASKED_A))


def owner_killed(at: Site, measured: Measured) -> None:
    """`kill -9` of an owner: its guard makes the pack safe, its share is kept until it is safe by itself, then it comes back."""
    name, owner = "owner killed", at.owners[-1]
    with _watched(at, measured, name) as sampler, at.at_main() as caller:
        assert caller.status("qc").link == pb.LINK_READY  # connected: what follows has to be seen at once
        killed_s = time.monotonic()
        owner.kill()
        until(lambda: caller.status("qc").link != pb.LINK_READY, because="it is noticed")
        measured.note(f"{name}: noticed", time.monotonic() - killed_s)
        until(lambda: caller.status("qa").applied_current_a > SHARE_A * 1.2, because="the others take its share")
        measured.note(f"{name}: share given to others", time.monotonic() - killed_s)
        safe_s = sampler.first(killed_s, lambda each: each.currents_a[-1] == 0.0, MOST_S, "the guard makes the pack safe")
        measured.note(f"{name}: pack safe by the guard", safe_s - killed_s)
        began_s = time.monotonic()
        owner.start()
        whole_s = sampler.first(began_s, shared, MOST_S, "all share again")
        measured.note(f"{name}: recovery from the start", whole_s - began_s)
        until(lambda: caller.status("qa").applied_current_a < SHARE_A * 1.1, because="the software shares again")


def owner_restarted(at: Site, measured: Measured) -> None:
    """Scenario 2: `kill -9` of an owner that is started again after 2 s: its share comes back, the others never notice."""
    name, owner = "owner restarted", at.owners[-1]
    with _watched(at, measured, name) as sampler, at.at_main() as caller:
        before = [len(each.events("session_ready")) for each in at.owners[:-1]]
        restarts = len(at.main.events("peer_restarted"))
        killed_s = time.monotonic()
        owner.kill()
        time.sleep(max(0.0, killed_s + RESTART_S - time.monotonic()))
        began_s = time.monotonic()
        owner.start()
        until(lambda: caller.status("qc").link == pb.LINK_READY, timeout_s=MOST_S, because="it is ready")
        ready_s = time.monotonic()
        measured.note(f"{name}: ready from its start", ready_s - began_s)
        whole_s = sampler.first(ready_s, shared, MOST_S, "all share again")
        measured.note(f"{name}: its share back from ready", whole_s - ready_s)
        assert len(at.main.events("peer_restarted")) == restarts + 1
        assert [len(each.events("session_ready")) for each in at.owners[:-1]] == before, "another session was begun anew"


def controller_killed(at: Site, measured: Measured) -> None:
    """`kill -9` of who asked: the owners act for one lease, then go to 0 A; started anew, it asks for nothing by itself."""
    name = "controller killed"
    with _watched(at, measured, name) as sampler:
        killed_s, killed_utc_s = time.monotonic(), time.time()
        at.main.kill()
        _lease_ends(at, sampler, measured, name, killed_s, killed_utc_s)
        began_s = time.monotonic()
        at.main.start()
        with at.at_main() as caller:
            at.commandable(caller)
            assert _zero(sampler.samples[-1]), "a set point was stored"
            for battery in ("packs", "soft"):
                caller.set(battery, ASKED_A, TTL_S)
        whole_s = sampler.first(began_s, shared, MOST_S, "all share again")
        measured.note(f"{name}: recovery from the start", whole_s - began_s)


def controller_frozen(at: Site, measured: Measured) -> None:
    """SIGSTOP for longer than a lease: safe meanwhile; thawed, it agrees anew, and what still lives is asked for again."""
    name = "controller frozen"
    with _watched(at, measured, name) as sampler:
        frozen_s, frozen_utc_s = time.monotonic(), time.time()
        at.main.signal(signal.SIGSTOP)
        try:
            _lease_ends(at, sampler, measured, name, frozen_s, frozen_utc_s)
        finally:
            at.main.signal(signal.SIGCONT)
        thawed_s = time.monotonic()
        whole_s = sampler.first(thawed_s, shared, MOST_S, "all share again")
        measured.note(f"{name}: recovery from the thaw", whole_s - thawed_s)


def _lease_ends(at: Site, sampler: Sampler, measured: Measured, name: str, from_s: float, from_utc_s: float) -> None:
    """Wait until the packs are at 0 A; note when, and when each owner said that the lease was over, by its own stamp."""
    safe_s = sampler.first(from_s, _zero, MOST_S, "the packs are safe")
    measured.note(f"{name}: packs safe", safe_s - from_s)
    for owner in at.owners:
        ended_utc_s = until(partial(_ended_at, owner, from_utc_s), because=f"{owner.name} says why")
        measured.note(f"{name}: noticed by the owners", ended_utc_s - from_utc_s)


def _ended_at(owner: Node, from_utc_s: float) -> float:
    """Return when an owner noted, after an instant, that the lease of its pack's set point was over; 0 if it did not."""
    ended = owner.events("setpoint_ended", battery="p", why="the lease is over")
    stamps = [datetime.fromisoformat(each["timestamp"]).timestamp() for each in ended]
    return next((stamp for stamp in stamps if stamp >= from_utc_s), 0.0)


SCENARIOS: tuple[Scenario, ...] = (owner_killed, owner_restarted, controller_killed, controller_frozen)


class _Rounds:
    """Rounds in one site as long as nothing fails; after a failure, in a new one."""

    def __init__(self, times: int, progress: Progress) -> None:
        self.measured = Measured()
        self.failures: list[str] = []
        self.done = self.done_apart = 0
        self.book = Book()
        self._tried = 0
        self._times = times
        self._progress = progress

    @property
    def over(self) -> bool:
        """Whether there is no next round."""
        return self._tried >= self._times or self._progress.left_s <= 0.0

    def run(self) -> None:
        """Run them all."""
        while not self.over:
            with tempfile.TemporaryDirectory(prefix="bosd-soak-") as name:
                try:
                    with site(Path(name)) as at:
                        self._in(at)
                except FAILED as error:
                    self._failed("start", error)

    def apart(self) -> None:
        """Run what needs nodes of its own, each as many times."""
        for name, scenario in apart.SCENARIOS.items():
            for number in range(1, self._times + 1):
                if self._progress.left_s <= 0.0:
                    return
                self._progress.tell(f"{name}: {number} of {self._times}")
                with tempfile.TemporaryDirectory(prefix="bosd-soak-") as directory:
                    try:
                        scenario(Path(directory), self.book)
                    except apart.IMPOSSIBLE as error:
                        self._progress.tell(f"{name}: not on this machine: {error}", now=True)
                        break
                    except FAILED as error:
                        self._failed(name, error, number)
                    else:
                        self.done_apart += 1

    def _in(self, at: Site) -> None:
        while not self.over:
            self._tried += 1
            for scenario in SCENARIOS:
                name = scenario.__name__.replace("_", " ")
                self._progress.tell(f"round {self._tried} of {self._times}: {name}")
                try:
                    with at.at_main() as caller:
                        at.ask(caller)
                    scenario(at, self.measured)
                except FAILED as error:
                    self._failed(name, error)
                    return
            self.done += 1

    def _failed(self, name: str, error: BaseException, number: int | None = None) -> None:
        if name == "start":
            self._tried += 1
        round_number = self._tried if number is None else number
        self._progress.tell(f"round {round_number}: {name}: {error}", now=True)
        self.failures.append(f"round {round_number}: {name}: {first_line(error)}")


FAILED = (AssertionError, OSError, grpc.RpcError)


def run(times: int, minutes: float) -> Outcome:
    """Run every scenario so many times, for so many minutes at most."""
    progress = Progress("repeats", minutes * 60.0)
    progress.tell(f"{times} rounds of {len(SCENARIOS)} scenarios, {minutes:g} minutes at most", now=True)
    rounds = _Rounds(times, progress)
    rounds.apart()
    rounds.run()
    series = [*rounds.measured.series.values(), *rounds.book.series.values()]
    beyond = [f"{each.name}: {value:.3f} {each.unit}, bound {each.bound}" for each in series for value in each.beyond]
    return Outcome(
        part="repeats",
        summary=f"{rounds.done} of {times} rounds of {len(SCENARIOS)} scenarios whole, and {rounds.done_apart} runs of "
        f"{len(apart.SCENARIOS)} with nodes of their own, in {progress.taken_s:.0f} s; "
        f"{len(rounds.failures)} failed, {len(beyond)} values beyond their bound (min / median / max below)",
        figures={
            "rounds": rounds.done,
            "wanted": times,
            "apart": rounds.done_apart,
            "taken_s": progress.taken_s,
            "series": [each.as_json() for each in series],
        },
        details=tuple(each.line() for each in series),
        failures=(*rounds.failures, *beyond),
    )
