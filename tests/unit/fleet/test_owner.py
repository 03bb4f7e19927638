"""The owner's side of sessions, on a clock that the test moves: who is let through, when, and for how long."""

from contextlib import nullcontext

import pytest

from bosd.bal.alone import UNLIMITED, AloneW
from bosd.bal.setpoint import Claim, Lease
from bosd.errors import FencedError, UnavailableError
from bosd.fleet.owner import OwnerSessions, Session
from tests.support.fake_node import FakeCommands

A, B = "node:a", "node:b"


class Clock:
    """Both scales stand where the test puts them."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def now_s(self) -> float:
        return self.at_s

    def utc_s(self) -> float:
        return self.at_s


class Heard:
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def on_session(self, event: str, peer: str, **facts: object) -> None:
        del facts
        self.events.append((event, peer))


class World:
    """An owner with its clock, its claims, and what it tells."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.commands = FakeCommands()
        self.heard = Heard()
        self.digest = "1"
        self.owner = OwnerSessions(
            self.clock, self.commands, boot_id="owner", config_digest=lambda: self.digest, events=self.heard
        )

    def ready(self, peer: str = A, boot_id: str = "a1", nonce: str = "n1", address: str = "here") -> Session:
        """Open a session and have it agreed."""
        session = self.owner.hello(peer, nonce=nonce, boot_id=boot_id, address=address)
        assert self.owner.ready(session, self.owner.digest(session), {}, self.clock.at_s)
        return session

    def check(
        self, session: Session, sequence: int = 1, *, age_s: float = 0.0, lowers: bool = False, **wrong: object
    ) -> Lease | None:
        """Judge a command of a session."""
        named = {"boot_id": "owner", "epoch": session.epoch, **wrong}
        fence = self.owner.fence(
            session.peer,
            boot_id=str(named["boot_id"]),
            epoch=int(str(named["epoch"])),
            sequence=sequence,
            owner_s=self.clock.at_s - age_s,
        )
        return fence.check("b1", lowers=lowers)

    def refused(self, session: Session, sequence: int = 1, **how: object) -> str:
        """Return which check refuses a command."""
        with pytest.raises(FencedError) as refused:
            self.check(session, sequence, **how)  # type: ignore[arg-type]
        return refused.value.metadata["check"]


@pytest.fixture
def world() -> World:
    """An owner nobody has spoken to yet."""
    return World()


def test_each_hello_draws_an_epoch_and_a_repeat_gets_the_same(world: World) -> None:
    """control.md, "Sessions and restarts": a repeat with the same nonce gets the same epoch."""
    first = world.owner.hello(A, nonce="n1", boot_id="a1")
    assert world.owner.hello(A, nonce="n1", boot_id="a1").epoch == first.epoch
    assert world.owner.hello(A, nonce="n2", boot_id="a1").epoch == first.epoch + 1


def test_the_checks_in_their_order(world: World) -> None:
    """control.md, "Owners, sessions, claims": boot id, epoch, lease alive, age of at most 1.0 s, sequence."""
    session = world.owner.hello(A, nonce="n1", boot_id="a1")
    assert world.refused(session) == "LEASE"  # not agreed yet
    world.ready(nonce="n1")
    assert world.refused(session, boot_id="an older run", epoch=99, age_s=5.0) == "BOOT_ID"
    assert world.refused(session, epoch=session.epoch + 1, age_s=5.0) == "EPOCH"
    assert world.refused(session, age_s=1.001) == "AGE"
    assert world.refused(session, age_s=-0.5) == "AGE"  # a stamp that this owner cannot have given yet
    assert world.check(session, 5, age_s=1.0) is session.lease
    assert world.refused(session, 5) == "SEQUENCE"
    assert world.refused(session, 4) == "SEQUENCE"
    world.check(session, 6)


def test_who_never_said_hello_has_no_session(world: World) -> None:
    """The first check: the caller is the session's peer."""
    session = world.ready()
    stranger = Session(B, "b1", "n", "there", session.epoch, Lease(world.clock.at_s + 9.0), ready=True)
    assert world.refused(stranger) == "SESSION"


def test_lowering_needs_the_first_two_alone(world: World) -> None:
    """Whatever the lease, the epoch or the age: less may always be asked by the holder; of another run it is another matter.

    What nothing else would have let pass is given no lease: it renews nothing.
    """
    session = world.ready()
    assert world.check(session, 1, age_s=0.5, lowers=True) is session.lease
    assert world.check(session, 2, age_s=1.5, lowers=True) is None
    assert world.check(session, 3, lowers=True, epoch=session.epoch - 1) is None
    world.clock.at_s += 100.0
    assert world.check(session, 0, age_s=50.0, lowers=True, epoch=77) is None
    assert world.refused(session, lowers=True, boot_id="an older run") == "BOOT_ID"


def test_giving_back_needs_the_boot_id(world: World) -> None:
    """What was meant for an earlier run of the owner gives back nothing of this one's."""
    session = world.ready()
    for boot_id, refused in (("owner", False), ("an older run", True)):
        fence = world.owner.fence(A, boot_id=boot_id, epoch=session.epoch, sequence=4, owner_s=world.clock.at_s)
        with pytest.raises(FencedError) if refused else nullcontext():
            fence.let_go("b1")
    assert world.refused(session, 4) == "SEQUENCE"


def test_what_a_lowering_overtook_is_fenced(world: World) -> None:
    """Lowering needs no sequence, and leaves one: what was sent before raises no more; another session leaves none."""
    session = world.ready()
    world.check(session, 3, lowers=True)
    assert world.refused(session, 2) == "SEQUENCE"
    assert world.refused(session, 3) == "SEQUENCE"
    world.check(session, 4)
    world.check(session, 1, lowers=True)
    assert world.refused(session, 4) == "SEQUENCE"
    world.check(session, 9, lowers=True, epoch=session.epoch - 1)
    world.check(session, 5)


def test_a_lease_of_three_seconds_renewed_by_fresh_beats_only(world: World) -> None:
    """Lease 3.0 s; a beat whose echo is older than 1.0 s does not renew; a lease that is over is not revived by a beat."""
    session = world.ready()
    start_s = world.clock.at_s
    assert session.lease.ends_s == start_s + 3.0
    world.clock.at_s = start_s + 2.0
    assert not world.owner.beat(session, world.clock.at_s - 1.001)
    assert session.lease.ends_s == start_s + 3.0
    assert world.owner.beat(session, world.clock.at_s - 1.0)
    assert session.lease.ends_s == start_s + 5.0
    world.clock.at_s = start_s + 5.0
    assert not world.owner.beat(session, world.clock.at_s)
    assert world.refused(session) == "LEASE"


def test_ready_names_what_is_in_force(world: World) -> None:
    """What changed since Sync is not agreed to: neither a set point nor the configuration."""
    session = world.owner.hello(A, nonce="n1", boot_id="a1")
    seen = world.owner.digest(session)
    world.commands.held[A] = (Claim("b1", 5.0, 60.0),)
    assert not world.owner.ready(session, seen, {}, world.clock.at_s)
    seen = world.owner.digest(session)
    world.digest = "2"
    assert not world.owner.ready(session, seen, {}, world.clock.at_s)
    assert not world.owner.ready(session, world.owner.digest(session), {}, world.clock.at_s - 1.5)  # a Ready that sat in a buffer
    assert world.owner.ready(session, world.owner.digest(session), {"b1": 5.0}, world.clock.at_s)
    assert world.commands.rebound == [(A, {"b1": 5.0})]


def test_peers_do_not_end_each_others_sessions(world: World) -> None:
    """A Hello of one peer never ends another's session, the same batteries or not."""
    a, b = world.ready(A), world.ready(B, boot_id="b1")
    world.check(a)
    world.check(b)
    world.ready(A, boot_id="a2", nonce="n2")
    world.check(b, 2)


def test_a_restarted_peer_takes_over_and_its_old_commands_are_fenced(world: World) -> None:
    """satellites.md 3.7, "controller restarted": epoch +1, all older commands fenced, the old lease is not renewed."""
    old = world.ready()
    new = world.ready(boot_id="a2", nonce="n2")
    assert new.epoch == old.epoch + 1
    assert world.refused(old) == "EPOCH"
    assert ("peer_restarted", A) in world.heard.events
    before_s = old.lease.ends_s
    world.clock.at_s += 1.0
    assert world.owner.beat(new, world.clock.at_s)
    assert old.lease.ends_s == before_s
    assert not old.lease.carries(before_s - 1e-9)


def test_one_identity_at_two_hosts(world: World) -> None:
    """Two hosts with one identity: the newest Hello wins, and it is told."""
    world.ready(address="10.0.0.1:1")
    world.ready(boot_id="a2", nonce="n2", address="10.0.0.2:1")
    assert ("identity_moved", A) in world.heard.events


def test_one_identity_twice_at_one_host(world: World) -> None:
    """A run that is back after another one has lived beside it: no restart does that. The newest Hello wins all the same."""
    first = world.ready()
    second = world.ready(boot_id="a2", nonce="n2")
    assert ("identity_moved", A) not in world.heard.events
    third = world.ready(boot_id="a1", nonce="n3")
    assert ("identity_moved", A) in world.heard.events
    assert (world.refused(first), world.refused(second)) == ("EPOCH", "EPOCH")
    world.check(third)


def test_a_crash_loop_pauses(world: World) -> None:
    """More than five new boot ids in 60 s: CRASH_LOOP, and a pause of 60 s."""
    for number in range(5):
        world.clock.at_s += 1.0
        world.ready(boot_id=f"a{number}", nonce=f"n{number}")
    with pytest.raises(UnavailableError, match="another 60 s"):
        world.ready(boot_id="a6", nonce="n6")
    assert ("crash_loop", A) in world.heard.events
    world.ready(B, boot_id="b1")  # nobody else waits
    world.clock.at_s += 59.9
    with pytest.raises(UnavailableError):
        world.ready(boot_id="a6", nonce="n7")
    world.clock.at_s += 0.2
    world.ready(boot_id="a6", nonce="n8")


def test_who_is_not_heard_of_those_that_command(world: World) -> None:
    """The peer that commanded last counts; before any did, each is enough (control.md, "Limits over a distance")."""
    owner = world.owner
    assert owner.unheard(["b1"]) == "any node"
    by_a = world.ready(A)
    assert owner.unheard(["b1"]) == ""
    world.clock.at_s += 3.0
    assert owner.unheard(["b1"]) == "any node"
    by_a = world.ready(A, nonce="n2")
    world.ready(B, boot_id="b1")
    world.check(by_a)
    world.clock.at_s += 2.9
    world.ready(B, boot_id="b1")
    assert owner.unheard(["b1"]) == ""
    world.clock.at_s += 0.1
    assert owner.unheard(["b1", "top"]) == A  # B is heard, but A commands it
    assert owner.unheard(["other"]) == ""
    owner.hello(A, nonce="n3", boot_id="a2")
    assert owner.unheard(["b1"]) == A  # hello is not ready
    world.ready(A, boot_id="a2", nonce="n3")
    assert owner.unheard(["b1"]) == ""


def test_each_of_those_that_limit_counts(world: World) -> None:
    """Whoever commands: a node whose grant stands sets aside what flows while that is not heard."""
    owner = world.owner
    world.ready(B, boot_id="b1")
    assert owner.unheard(["b1"], [B]) == ""
    assert owner.unheard(["b1"], [B, A]) == A
    world.ready(A)
    assert owner.unheard(["b1"], [B, A]) == ""


def test_who_is_said_to_be_gone_is_missed_no_more(world: World) -> None:
    """A commanded last and is lost; B is heard: nothing is alone any more once a person says that A is gone."""
    owner = world.owner
    session = world.ready()
    owner.tell_alone(session, {"b1": AloneW(None, 96.0)})
    world.check(session)
    world.clock.at_s += 3.0
    world.ready(B, boot_id="b1")
    assert owner.unheard(["b1"]) == A
    assert owner.count_no_more(A) == {"b1": AloneW(None, 96.0)}
    assert owner.unheard(["b1"]) == ""
    assert set(owner.announced) == set()


def test_a_peer_counts_on_the_alone_limits_that_it_agreed_to(world: World) -> None:
    """It was told 96 W, and agreed; 480 W, and did not: it may have heard either. Who is heard counts on nothing."""
    owner, told = world.owner, AloneW(None, 96.0)
    owner.tell_alone(world.ready(), {"b1": told, "b2": UNLIMITED})
    session = world.ready()
    assert owner.known_alone("b1", ["b1"]) == UNLIMITED
    for limits in (AloneW(None, 480.0), UNLIMITED):
        owner.tell_alone(session, {"b1": limits})
        assert set(owner.announced) == {"b1"}
        world.clock.at_s += 3.0
        assert owner.known_alone("b1", ["b1"]) == owner.known_alone("b1", ["b1"], [A, B]) == told
        assert owner.known_alone("b2", ["b2"]) == UNLIMITED
        session = world.ready()
        told = limits
    assert set(owner.announced) == set()


def test_the_last_of_several_commanders_counts(world: World) -> None:
    """Of a battery and of what rests on it; lowering is commanding, too."""
    by_a, by_b = world.ready(A), world.ready(B, boot_id="b1")
    world.check(by_a)
    world.owner.commanded("top", by_b.peer)
    world.clock.at_s += 3.0
    world.ready(A, nonce="n9")
    assert world.owner.unheard(["b1"]) == ""
    assert world.owner.unheard(["b1", "top"]) == B
    world.check(by_a, 7, lowers=True)
    assert world.owner.unheard(["b1", "top"]) == ""
