"""Real cuts of the line between two nodes: for a moment, one way, for long (satellites.md 4.4 and 3.7); all timers a fifth."""

import shutil
from collections.abc import Iterator

import pytest

from bosd.v1 import battery_pb2 as pb
from tests.support.fifth import TIMERS, applied, asked, ready
from tests.support.lan import HERE, PORT, THERE, Lan
from tests.support.processes import Caller, Node, battery, pseudo, until

BLIP_S = 0.8 / 5.0
LONGEST_BLIP_S = 0.25
"""TCP sends again 0.2 s after the first loss, and then 0.4 s later: what is mended by then is one retransmission late (3.2)."""
TRIES = 5


@pytest.fixture
def pair(lan: Lan) -> Iterator[tuple[Node, Node]]:
    """`hut` there, `home` here with a stub of its battery; 10 A are asked and run."""
    if shutil.which("nft") is None:
        pytest.skip("cutting a line needs nft (Debian package nftables)")
    far = battery("far", "network", target=f"{THERE}:{PORT}", remote_name="b")
    with (
        lan.node("hut", lan.there, f"{THERE}:{PORT}", pseudo("b"), **TIMERS) as hut,
        lan.node("home", lan.here, f"{HERE}:{PORT}", far, **TIMERS) as home,
    ):
        ready(home, "far")
        assert asked(home, "far", 10.0)["applied_current_a"] == applied(hut, "b") == 10.0
        yield hut, home


def test_a_blip(lan: Lan, pair: tuple[Node, Node]) -> None:
    """No new epoch, no loss, the set point stays; what changed meanwhile is seen after it."""
    hut, home = pair
    longest_s = 0.0
    with Caller(hut.target) as at_hut, Caller(home.target) as at_home:

        def happened() -> list[int]:
            events = (hut.events("session_ready"), hut.events("setpoint_ended"), home.events("remote_lost"))
            return list(map(len, events))

        for charge_ah in range(40, 40 + TRIES):
            until(lambda: at_hut.status("b").applied_current_a == 10.0)
            before = happened()
            blip = lan.there.blip(BLIP_S)
            at_hut.modify("b", charge_ah=float(charge_ah))
            longest_s, dropped = blip.over()
            assert dropped > 0
            until(lambda wanted=charge_ah: round(at_home.status("far").charge_ah) == wanted, because="the change is seen")  # type: ignore[misc]
            if longest_s <= LONGEST_BLIP_S:
                break
        else:
            pytest.skip(f"this machine is too busy for a cut of {BLIP_S:g} s: {longest_s:.2f} s")
        assert happened() == before
        until(lambda: at_home.status("far").link == pb.LINK_READY, because="it is stale no longer than until the next beat")
        assert at_hut.status("b").applied_current_a == 10.0


def test_one_way_loss(lan: Lan, pair: tuple[Node, Node]) -> None:
    """The owner hears and is not heard: beats that echo no news do not renew, so both ends let go; mended, it is asked again."""
    hut, home = pair
    with lan.there.cut("output"):
        until(lambda: hut.events("setpoint_ended"), because="the lease is over at the owner")
        until(lambda: home.status("far")["link"] == "lost", because="the asker hears nothing")
        assert applied(hut, "b") == 0.0
    (ended,) = hut.events("setpoint_ended")
    assert ended["why"] == "the lease is over"
    until(lambda: applied(hut, "b") == 10.0, because="it is asked again")
    first, *later = [each["epoch"] for each in hut.events("session_ready")]
    assert later
    assert first < min(later)
    assert not hut.events("peer_restarted")
    assert not home.events("peer_restarted")


def test_a_cut_longer_than_the_lease(lan: Lan, pair: tuple[Node, Node]) -> None:
    """Both ways: the same, and while it lasts it counts at what it may run, no longer than until it is safe by itself."""
    hut, home = pair
    with lan.there.cut():
        until(lambda: hut.events("setpoint_ended"), because="the lease is over at the owner")
        until(lambda: home.status("far")["link"] == "lost", because="the asker hears nothing")
        until(lambda: "counted" not in home.status("far")["reason"], because="it is safe by itself")
        assert applied(hut, "b") == 0.0
        assert home.refusal("set", "far", "12")["reason"] == "UNAVAILABLE"
    until(lambda: applied(hut, "b") == 10.0, because="it is asked again")
    assert len(hut.events("setpoint_ended")) == 1
    assert not hut.events("peer_restarted")
