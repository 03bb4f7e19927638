"""Two nodes, two processes: the remote is killed, frozen, or lives an hour ahead, and the local node goes on."""

import itertools
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bosd.v1 import battery_pb2 as pb
from tests.support.processes import Node, Pack, Recording, Seen, aggregator, battery, pseudo, recording, until

STALE_S, GONE_S = 1.0, 2.0
BACK_S = 3.0
"""A stub is GOOD within 3 s of its node's return (bal.md, "Refreshing")."""
LOCAL_PERIOD_S, LOCAL_STALE_S = 0.5, 1.5
AN_HOUR_AHEAD = """
import bosd.clock
real_utc_s = bosd.clock.SystemClock.utc_s
bosd.clock.SystemClock.utc_s = lambda clock: real_utc_s(clock) + 3600.0
"""


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
    """The local node's own pack."""
    with Pack(tmp_path_factory.mktemp("pack"), "pack") as pack:
        yield pack


def local_of(directory: Path, pack: Pack, remote: Node) -> Node:
    """Return a node with a pack of its own, a stub of the remote's battery, and both as one."""
    stub = battery(
        "stub", "network", target=remote.target, remote_name="far", max_staleness_s=STALE_S, unavailable_after_s=GONE_S
    )
    own = pack.regulated("own", refresh_period_s=LOCAL_PERIOD_S, max_staleness_s=LOCAL_STALE_S)
    return Node(directory, own + stub + aggregator("both", "own", "stub"), name="local")


def check_loss(record: Recording, after: int) -> Seen:
    """Wait until the stub is gone: GOOD, then STALE at its age, then UNAVAILABLE at its age; return the last."""
    stale, gone = record.first("stub", "STALE", after), record.first("stub", "UNAVAILABLE", after)
    order = [each.quality for each in record.of("stub", after)]
    assert order.index("STALE") < order.index("UNAVAILABLE")
    assert STALE_S < stale.status.age_s < GONE_S
    assert gone.status.age_s > GONE_S
    assert (stale.status.HasField("current_a"), gone.status.HasField("current_a")) == (True, False)
    assert gone.status.voltage_v == 13.0
    assert gone.status.max_discharge_current_a == gone.status.max_charge_current_a == 0.0
    assert gone.status.reason
    assert all(each.status.age_s <= STALE_S + 0.05 for each in record.of("stub", after) if each.quality == "GOOD")
    whole = until(
        lambda: [each for each in record.of("both", after) if "stub" in each.status.reason], because="the aggregate names it"
    )
    assert whole[0].quality in ("GOOD", "STALE")
    return gone


def check_return(record: Recording, after: int, returned_s: float) -> None:
    """The stub is GOOD again in time."""
    record.first("stub", "GOOD", after)
    ready = until(
        lambda: [each for each in record.of("stub", after) if each.quality == "GOOD" and each.status.link == pb.LINK_READY],
        because="the stub may be commanded",
    )
    assert ready[0].at_s - returned_s < BACK_S
    assert until(lambda: [each for each in record.of("both", after) if not each.status.reason], because="the aggregate is whole")


def check_own(record: Recording) -> None:
    """The local pack never missed a refresh: GOOD from its first sample on, and never older than its staleness allows."""
    own = list(itertools.dropwhile(lambda each: not each.status.HasField("sampled_to"), record.of("own")))
    assert len(own) > 5
    assert {each.quality for each in own} == {"GOOD"}
    assert max(each.status.age_s for each in own) < LOCAL_STALE_S
    samples = sorted({each.status.sampled_to for each in own})
    assert max(later - earlier for earlier, later in itertools.pairwise(samples)) < LOCAL_STALE_S


@pytest.mark.parametrize("prelude", ["", AN_HOUR_AHEAD], ids=["clocks agree", "an hour ahead"])
def test_a_killed_remote(tmp_path: Path, pack: Pack, prelude: str) -> None:
    """`kill -9` while watched: STALE, UNAVAILABLE, and GOOD again after its return; no other battery missed a refresh."""
    with Node(tmp_path, pseudo("far"), name="remote", prelude=prelude) as remote, local_of(tmp_path, pack, remote) as local:
        with recording(local.target, "own", "stub", "both") as record:
            good = record.first("stub", "GOOD")
            record.first("both", "GOOD")
            assert good.status.age_s < STALE_S
            if prelude:
                assert f"the clock of {remote.target} is 3600 s ahead" in good.status.reason
                assert good.status.sampled_to - time.time() > 3500.0 or not good.status.HasField("sampled_to")
            time.sleep(2 * LOCAL_PERIOD_S)  # some history to compare with
            after = len(record.seen)
            remote.kill()
            check_loss(record, after)
            after = len(record.seen)
            remote.start()
            returned_s = time.monotonic()
            if prelude:
                back = record.first("stub", "GOOD", after)
                assert back.at_s - returned_s < BACK_S
            else:
                check_return(record, after, returned_s)
            check_own(record)
        assert len(local.events("remote_lost")) == 1
        assert len(local.events("remote_ready")) == 2


def test_a_frozen_remote(tmp_path: Path, pack: Pack) -> None:
    """SIGSTOP while watched, and SIGCONT: the same, though no connection was closed."""
    with (
        Node(tmp_path, pseudo("far"), name="remote") as remote,
        local_of(tmp_path, pack, remote) as local,
        recording(local.target, "own", "stub", "both") as record,
    ):
        record.first("stub", "GOOD")
        record.first("both", "GOOD")
        after = len(record.seen)
        remote.signal(signal.SIGSTOP)
        try:
            check_loss(record, after)
            time.sleep(3.0)  # long enough for attempts that meet a frozen peer
            after = len(record.seen)
        finally:
            remote.signal(signal.SIGCONT)
        check_return(record, after, time.monotonic())
        check_own(record)


def test_default_staleness_of_a_stub(tmp_path: Path) -> None:
    """A stub is GOOD for what the remote announces plus 1 s (control.md): the pack there says 1.5 s, so it is 2.5 s here."""
    with Pack(tmp_path, "far") as far, Node(tmp_path, far.toml("far", refresh_period_s=0.5), name="remote") as remote:
        stub = battery("stub", "network", target=remote.target, remote_name="far")
        with Node(tmp_path, stub, name="local") as local, recording(local.target, "stub") as record:
            good = record.first("stub", "GOOD")
            assert good.status.max_staleness_s == 2.5
            assert list(good.status.path) == ["local/stub", "remote/far"]
            assert good.status.sampled_to == pytest.approx(time.time(), abs=5.0)
            remote.kill()
            stale = record.first("stub", "STALE")
            assert 2.5 < stale.status.age_s < 7.5


def test_set_point_through_a_stub(tmp_path: Path) -> None:
    """It reaches the remote's battery with its remaining life; another client there is refused with the holder's name."""
    with Pack(tmp_path, "far") as far, Node(tmp_path, far.regulated("far"), name="remote") as remote:
        stub = battery("stub", "network", target=remote.target, remote_name="far")
        with Node(tmp_path, stub, name="local") as local, recording(local.target, "stub") as record:
            record.first("stub", "GOOD")
            answer = local.ask("set", "stub", "7", "--ttl", "20s")
            assert answer["applied_current_a"] == 7.0
            assert far.load_a == 7.0
            there = remote.status("far")
            assert (there["requested_current_a"], there["setpoint_source"]) == (7.0, "manual")
            refusal = remote.refusal("set", "far", "5")
            assert refusal["reason"] == "CLAIMED"
            assert refusal["metadata"]["holder"] == "node:local"
            assert 10.0 < float(refusal["metadata"]["remaining_s"]) <= 20.0
            assert far.load_a == 7.0
            local.ask("set", "stub", "none")
            assert far.load_a == 0.0
            assert remote.ask("set", "far", "5")["applied_current_a"] == 5.0
            refusal = local.refusal("set", "stub", "6")
            assert refusal["reason"] == "CLAIMED", refusal
            assert far.load_a == 5.0


def test_a_remote_set_point_outlives_nobody(tmp_path: Path) -> None:
    """The local node is killed: the remote's device goes to 0 A when the remaining life is over, not before."""
    with Pack(tmp_path, "far") as far, Node(tmp_path, far.regulated("far"), name="remote") as remote:
        stub = battery("stub", "network", target=remote.target, remote_name="far")
        with Node(tmp_path, stub, name="local") as local:
            until(lambda: local.status("stub")["quality"] == "GOOD")
            local.ask("set", "stub", "7", "--ttl", "4s")
            local.kill()
            assert far.load_a == 7.0
            until(lambda: far.load_a == 0.0)
            assert remote.events("setpoint_ended", battery="far", holder="node:local")
