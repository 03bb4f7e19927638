"""The judges of random faults see: nodes with one rule of control.md taken out of them are found out, by seeds that are known to.

A seed stops soon after the first violation, so the cheapest that find it are named. Where a change of the fleet gives seeds
another course, others find it: of cheap ones a quarter to all, of a lease that does not end about a fifth.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace

import pytest

from bosd.bal.battery import Battery
from bosd.bal.edited import Edited
from bosd.bal.schedule import Schedule, Segment
from bosd.bal.setpoint import SetPoint
from bosd.bal.spec import BatterySpec, Topology
from bosd.config.topology_toml import format_topology
from bosd.errors import FencedError
from bosd.fleet.owner import Session, SessionFence
from bosd.limits.grants import Grants
from bosd.limits.service import Limits
from bosd.node import execute
from bosd.node.api import Edit
from bosd.node.moves import Move, phases_of
from bosd.node.stops import Stops
from bosd.rpc.remote_battery import RemoteBattery
from tests.soak.outcome import roots
from tests.support.fleet.fleet import stub_spec, sum_spec
from tests.support.fleet.judges import ViolationError
from tests.support.fleet.process_loop import run_processes, this_loop
from tests.support.fleet.random_faults import GRANTED_S, LIMIT_S, RECOVERY_S, SETTLE_S, Kind, RandomFaults, run_seed

FAULTS_S = 90.0
ALONE_S = 30.0

pytestmark = pytest.mark.timeout(300)


def _any_command(patch: pytest.MonkeyPatch) -> None:
    """An owner checks no command: boot id, epoch, lease, age and sequence are nothing to it."""

    def judged(fence: SessionFence, _battery: str) -> Session:
        session = fence._sessions.peers().get(fence._peer)
        if session is None:
            raise FencedError("says hello first", check="SESSION")
        return session

    patch.setattr(SessionFence, "_judged", judged)


def _raise_first(patch: pytest.MonkeyPatch) -> None:
    """What is to be raised is told before what is to be lowered."""

    def swapped(moves: Sequence[Move]) -> tuple[list[Move], list[Move], list[Move]]:
        lowering, settling, raising = phases_of(moves)
        return raising, settling, lowering

    patch.setattr(execute, "phases_of", swapped)


def _no_lease(patch: pytest.MonkeyPatch) -> None:
    """A set point of a node that is not heard any more lives on for its time to live."""
    patch.setattr(SetPoint, "over_s", property(lambda setpoint: setpoint.ends_s))


def _no_time_to_live(patch: pytest.MonkeyPatch) -> None:
    """A set point lives on until somebody asks for another, or its lease ends."""
    patch.setattr(SetPoint, "over_s", property(lambda setpoint: setpoint.lease.ends_s if setpoint.lease else math.inf))


def _stops_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A node that starts reads no stops."""

    async def load(_stops: Stops) -> None:
        """Read nothing."""

    patch.setattr(Stops, "load", load)


def _unseen_is_nothing(patch: pytest.MonkeyPatch) -> None:
    """A battery that is lost counts no more, at once."""
    count = RemoteBattery._count_the_unseen

    def forget(stub: RemoteBattery) -> None:
        count(stub)
        stub.assume_safe()

    patch.setattr(RemoteBattery, "_count_the_unseen", forget)


def _nothing_drained(patch: pytest.MonkeyPatch) -> None:
    """What an edit takes out, or writes otherwise, is not brought to 0 A before."""
    patch.setattr(Edited, "held", ())


def _no_end(patch: pytest.MonkeyPatch) -> None:
    """A booking goes on until the next one."""

    def at(schedule: Schedule, utc_s: float) -> Segment | None:
        begun = [segment for segment in schedule.segments if segment.start_utc_s <= utc_s]
        return begun[-1] if begun else None

    patch.setattr(Schedule, "at", at)
    patch.setattr(Schedule, "over", lambda _schedule, _utc_s: ())


MUTANTS: list[tuple[Callable[[pytest.MonkeyPatch], None], tuple[int, ...]]] = [
    (_any_command, (4, 3)),
    (_raise_first, (4, 1)),
    (_no_lease, (19, 18)),
    (_no_time_to_live, (4, 13)),
    (_stops_forgotten, (4, 7)),
    (_unseen_is_nothing, (10, 7)),
]


PEOPLE: list[tuple[Callable[[pytest.MonkeyPatch], None], tuple[int, ...]]] = [
    (_nothing_drained, (19, 2, 25)),
    (_no_end, (4, 3)),
]
"""Those that need people in the fleet to be found."""


def _not_alone(patch: pytest.MonkeyPatch) -> None:
    """An owner that nobody commands any more puts no alone limit in force."""
    patch.setattr(Battery, "be_alone", lambda _battery, _who: None)


def _found(seed: int, faults_s: float = FAULTS_S, *, people: bool = False, safe: bool = False) -> str:
    """Return what a seed finds wrong, by a judge or at the end; empty if it finds nothing."""
    try:
        run_seed(seed, faults_s, people=people, safe=safe)
    except (AssertionError, BaseExceptionGroup) as error:
        wrong = list(roots(error))
        assert all(isinstance(each, AssertionError) for each in wrong), wrong
        return "; ".join(map(str, wrong))
    return ""


@pytest.mark.parametrize(("mutate", "seeds"), MUTANTS, ids=[mutate.__name__.strip("_") for mutate, _ in MUTANTS])
def test_they_see(mutate: Callable[[pytest.MonkeyPatch], None], seeds: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A node without this rule does not get through these seeds."""
    mutate(monkeypatch)
    assert any(map(_found, seeds))


@pytest.mark.parametrize(("mutate", "seeds"), PEOPLE, ids=[mutate.__name__.strip("_") for mutate, _ in PEOPLE])
def test_they_see_people(
    mutate: Callable[[pytest.MonkeyPatch], None], seeds: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where people edit, book and stop meanwhile."""
    mutate(monkeypatch)
    assert any(_found(seed, people=True) for seed in seeds)


def test_they_see_alone_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where batteries have safe values above their alone limits; with the limits this seed has nothing to find."""
    assert not _found(14, ALONE_S, safe=True)
    _not_alone(monkeypatch)
    assert _found(14, ALONE_S, safe=True)


SAFE_A = 5.0
"""What the first pack runs, as the configuration of its owner says, where no limit holds it down: 240 W."""


class _Member:
    """A world of o1 and o2 below a relay, and that and o3 below m0; what is added up at m0 may discharge 0 W."""

    def __init__(self) -> None:
        self.world = world = RandomFaults(this_loop(), 27, Kind(limits=True))
        self.fleet = world.fleet
        self.pack = self.fleet.packs["p1a"]
        self.limited = world.limited[0]
        assert self.limited.ways == (("o1", "r0", "m0"), ("o2", "r0", "m0"), ("o3", "m0"))
        owner = self.fleet.hosts["o1"]
        (spec,) = owner.topology.batteries
        owner.topology = replace(owner.topology, batteries=(replace(spec, safe_current_a=SAFE_A),))
        world.others.asks_of([self.pack], SAFE_A)

    async def start(self) -> None:
        """Have the limit in force everywhere, and known to be."""
        self.fleet.start()
        await self.world._whole(RECOVERY_S)
        assert await self.world._put(self.limited, discharging=True, limit_w=0.0)
        await self.look(2.0 * GRANTED_S)
        assert self.pack.true_a == 0.0

    async def add_up(self, *stubs: str) -> None:
        """Have the relay add up these and no others."""
        relay = self.fleet.hosts["r0"]
        batteries: list[BatterySpec] = [stub_spec("sp1a", "o1", "p1a"), stub_spec("sp2a", "o2", "p2a"), sum_spec("part", *stubs)]
        edit = Edit(action="whole", toml=format_topology(Topology(batteries=tuple(batteries), splitters=())))
        await self.fleet.within(relay, relay.up.node.apply([edit], expected_revision=None, holder="person"))

    async def runs(self, current_a: float) -> None:
        """Wait until this flows."""
        await self.fleet.until(lambda: abs(self.pack.true_a - current_a) < 0.01, within_s=LIMIT_S, because=f"{current_a} A flow")

    async def look(self, after_s: float) -> None:
        """Have limits judged after a while, and all the time until then."""
        await asyncio.sleep(after_s)
        self.world.book.look()
        self.fleet.check_bugs()

    def is_provable(self) -> bool:
        """Tell whether m0 calls its limit kept."""
        limits: Limits | None = self.fleet.hosts["m0"].up.limits
        assert limits is not None
        return all(view.provable for view in limits.views())


def _told(story: Callable[[_Member], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        member = _Member()
        try:
            await story(member)
        finally:
            await member.fleet.close()

    run_processes(main())


def test_a_limit_counts_what_is_added_up_by_now() -> None:
    """What the relay adds up no more runs its safe value beside the limit, and goes on when it is back unheard; then it obeys."""

    async def story(member: _Member) -> None:
        await member.start()
        await member.add_up("sp2a")
        await member.runs(SAFE_A)
        await member.look(2.0 * LIMIT_S)
        assert member.is_provable()
        member.fleet.cut("r0", "o1")
        await member.add_up("sp2a", "sp1a")
        await member.look(2.0 * LIMIT_S)
        assert member.pack.true_a == pytest.approx(SAFE_A)  # its part was withdrawn, and nobody can tell it a new one
        assert not member.is_provable()
        member.fleet.heal("r0", "o1")
        await member.runs(0.0)
        await member.look(SETTLE_S + LIMIT_S)
        assert member.is_provable()

    _told(story)


def test_they_see_that_who_comes_back_gets_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where the relay tells who is below its sum again nothing of the limit."""

    async def story(member: _Member) -> None:
        await member.start()
        await member.add_up("sp2a")
        await member.runs(SAFE_A)
        monkeypatch.setattr(Grants, "_have_sent", lambda _grants, _stubs, _now_s: None)
        await member.add_up("sp2a", "sp1a")
        with pytest.raises(ViolationError, match=r"m0/all above 0\.0 W"):
            await member.look(2.0 * LIMIT_S)

    _told(story)
