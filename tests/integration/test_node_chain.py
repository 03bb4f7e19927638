"""Several nodes deep: a battery of a third node, split and aggregated on the way, read, set, stopped and lost."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import Node, Pack, aggregator, battery, pseudo, recording, table, until


@dataclass(frozen=True, slots=True)
class Chain:
    """near: a stub and a battery of its own as one. middle: halves of a stub of the far pack. far: the pack."""

    pack: Pack
    far: Node
    middle: Node
    near: Node


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """Three nodes and one pack."""
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, pack.regulated("pack", refresh_period_s=0.25), name="far") as far:
        parts = [{"name": "left", "fraction": 0.5}, {"name": "right", "fraction": 0.5}]
        splitter = table("[[splitter]]", {"name": "sp", "policy": "proportional", "source": "pack", "partitions": parts})
        middle = Node(tmp_path, battery("pack", "network", target=far.target, remote_name="pack") + splitter, name="middle")
        with middle:
            left = battery("left", "network", target=middle.target, remote_name="left")
            own = pseudo("own", charge_ah=25.0, capacity_ah=50.0, max_discharge_current_a=30.0, max_charge_current_a=15.0)
            with Node(tmp_path, left + own + aggregator("all", "left", "own"), name="near") as near:
                until(lambda: near.status("all")["quality"] == "GOOD" and near.status("left")["quality"] == "GOOD")
                yield Chain(pack, far, middle, near)


def test_values_paths_and_ages_through_three_nodes(chain: Chain) -> None:
    """Half of the pack and 25 Ah of its own: sums, path and the far sample's age, which no hop makes younger."""
    found = chain.near.statuses("left", "all")
    assert found["left"]["charge_ah"] == pytest.approx(25.0, abs=0.2)
    assert found["all"]["charge_ah"] == pytest.approx(50.0, abs=0.2)
    assert found["left"]["path"] == ["near/left", "middle/left", "middle/pack", "far/pack"]
    chain.pack.raw(3, b"")  # the device falls silent: its last sample ages alike at every node
    time.sleep(1.0)
    far = chain.far.status("pack")["age_s"]
    assert chain.near.status("left")["age_s"] > far > 0.9
    chain.pack.raw(3, None)


def test_a_change_is_pushed_through(chain: Chain) -> None:
    """A new sample at the far node is seen at the near one without being asked for."""
    with recording(chain.near.target, "left") as record:
        chain.pack.tell("set", soc=0.6)
        until(lambda: record.seen[-1].status.charge_ah == pytest.approx(30.0, abs=0.3))
        assert all(
            later.status.sampled_to >= earlier.status.sampled_to
            for earlier, later in zip(record.seen, record.seen[1:], strict=False)
        )


def test_set_points_travel_with_what_remains(chain: Chain) -> None:
    """An aggregate's set point reaches the pack through a splitter and two stubs, and ends there in time."""
    chain.near.ask("set", "all", "20", "--ttl", "4s")
    share_a = 20.0 * 25.0 / 50.0
    assert chain.pack.load_a == pytest.approx(share_a, abs=0.2)
    assert chain.middle.status("left")["setpoint_source"] == "manual"
    refusal = chain.middle.refusal("set", "left", "1")
    assert refusal["reason"] == "CLAIMED"
    assert float(refusal["metadata"]["remaining_s"]) <= 4.0
    assert chain.middle.ask("set", "right", "5", "--ttl", "10m")["applied_current_a"] == 5.0
    assert chain.pack.load_a == pytest.approx(share_a + 5.0, abs=0.2)
    until(lambda: chain.pack.load_a == pytest.approx(5.0, abs=1e-6), because="the near node's part has ended")
    assert chain.near.status("all")["requested_current_a"] is None


def test_prolonged_through_the_chain(chain: Chain) -> None:
    """Asking again before the end keeps the far device running beyond the first end."""
    chain.near.ask("set", "all", "20", "--ttl", "3s")
    for _ in range(3):
        time.sleep(1.2)
        chain.near.ask("set", "all", "20", "--ttl", "3s")
    assert chain.pack.load_a == pytest.approx(10.0, abs=0.2)
    chain.near.ask("set", "all", "none")
    assert chain.pack.load_a == 0.0


def test_a_stop_at_the_owner_reaches_the_users(chain: Chain) -> None:
    """Stopped at the far node: 0 A at once, the users' limits follow, what is left is taken by others; release brings it back."""
    chain.near.ask("set", "all", "20", "--ttl", "10m")
    chain.far.ask("stop", "pack")
    assert chain.pack.load_a == 0.0
    until(lambda: chain.near.status("left")["max_discharge_current_a"] == 0.0)
    until(lambda: chain.near.status("own")["current_a"] == pytest.approx(20.0), because="its own battery takes over")
    assert "stopped" in chain.near.status("left")["reason"]
    chain.far.ask("release", "pack")
    until(lambda: chain.pack.load_a == pytest.approx(10.0, abs=0.3), because="the share comes back")
    until(lambda: chain.near.status("own")["current_a"] == pytest.approx(10.0, abs=0.3))


def test_the_middle_is_killed(chain: Chain) -> None:
    """The near node's users see it go and come back; what the far pack was asked ends there with its life."""
    chain.near.ask("set", "all", "20", "--ttl", "6s")
    chain.middle.kill()
    until(lambda: chain.near.status("left")["quality"] == "UNAVAILABLE")
    found = chain.near.statuses("left", "all", "own")
    assert found["left"]["current_a"] is None
    assert found["all"]["current_a"] is None
    assert "left" in found["all"]["reason"]
    assert found["own"]["current_a"] <= 20.0
    until(lambda: chain.pack.load_a == 0.0, because="the far node lets go by its own clock")
    chain.middle.start()
    until(lambda: chain.near.status("left")["quality"] == "GOOD")
    assert chain.near.ask("set", "all", "10")["applied_current_a"] == pytest.approx(10.0)
    until(lambda: chain.pack.load_a == pytest.approx(5.0, abs=0.3), because="what was asked may live still: then it is ramped")
