"""Refreshing on real lines: losses told once, lazy batteries, faults on the wire, slow lines beside fast ones."""

import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Caller, Node, Pack, aggregator, recording, until

PERIOD_S = 0.5


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
    """One pack for all; each test leaves it as it was."""
    with Pack(tmp_path_factory.mktemp("pack"), "pack") as pack:
        yield pack


def test_unplugged_twice(pack: Pack, tmp_path: Path) -> None:
    """Each loss is logged once and each return once; GOOD within 2 s and two periods of the device's return."""
    with Node(tmp_path, pack.toml("b1", refresh_period_s=PERIOD_S)) as node, recording(node.target, "b1") as record:
        record.first("b1", "GOOD")
        for number in range(1, 3):
            pack.tell("inject", fault="unplug", seconds=1.5)
            until(lambda n=number: len(node.events("battery_lost")) == n, because="the loss is logged")  # type: ignore[misc]
            until(lambda: pack.tell("get")["state"]["plugged"])
            returned_s = time.monotonic()
            until(lambda n=number: len(node.events("battery_back")) == n, because="the return is logged")  # type: ignore[misc]
            after = len(record.seen)
            assert record.first("b1", "GOOD", after).at_s - returned_s < 2.0 + 2 * PERIOD_S + 1.0  # and a beat to be told
        assert len(node.events("battery_lost")) == len(node.events("battery_back")) == 2
        assert all(event["detail"] for event in node.events("battery_lost"))


FAULTS: dict[str, dict[str, float]] = {"drop": {}, "corrupt": {}, "truncate": {}, "flip_bit": {}, "delay": {"delay_s": 0.6}}


def test_faults_on_the_wire(tmp_path: Path) -> None:
    """Five packs, a third of the replies of each struck by one kind of fault: no wrong value is seen, all GOOD at the end."""
    with contextlib.ExitStack() as stack:
        packs = {name: stack.enter_context(Pack(tmp_path, name, load_current_a=7.0)) for name in FAULTS}
        node = stack.enter_context(Node(tmp_path, "".join(pack.toml(name, refresh_period_s=0.1) for name, pack in packs.items())))
        record = stack.enter_context(recording(node.target))
        for name, pack in packs.items():
            record.first(name, "GOOD")
            pack.tell("inject", fault=name, probability=0.3, **FAULTS[name])
        for name in FAULTS:
            until(lambda n=name: len({each.status.sampled_to for each in record.of(n)}) >= 15, timeout_s=30.0, because=name)  # type: ignore[misc]
        for name, pack in packs.items():
            pack.tell("clear")
            until(lambda n=name: (last := record.of(n)[-1]).quality == "GOOD" and last.status.reason == "no current control")  # type: ignore[misc]
            assert pack.tell("stats")["stats"]["faults"] > 0
        assert node.running
    for seen in record.seen:
        status = seen.status
        if not status.HasField("sampled_to"):
            continue
        assert status.voltage_v == pytest.approx(13.2, abs=0.2)
        assert status.current_a == pytest.approx(7.0, abs=0.1) or not status.HasField("current_a")
        assert status.charge_ah == pytest.approx(50.0, abs=0.5)
        assert status.soc == pytest.approx(0.5, abs=0.02)
        assert not status.cells_v or list(status.cells_v) == pytest.approx([3.3] * 4, abs=0.05)


def test_a_sleeping_board(pack: Pack, tmp_path: Path) -> None:
    """It swallows what wakes it up: the battery stays GOOD, and nothing is logged as lost."""
    topology = pack.toml("b1", refresh_period_s=PERIOD_S, max_staleness_s=3.0)
    with Node(tmp_path, topology) as node, recording(node.target, "b1") as record:
        record.first("b1", "GOOD")
        for artefact in ("none", "zeros", "ff", "split"):
            pack.tell("set", wake_artefact=artefact)
            swallowed = pack.tell("stats")["stats"]["swallowed"]
            pack.tell("inject", fault="sleep")
            until(lambda s=swallowed: pack.tell("stats")["stats"]["swallowed"] > s, because="a request woke it up")  # type: ignore[misc]
            samples = {each.status.sampled_to for each in record.seen}
            until(lambda s=samples: record.seen[-1].status.sampled_to not in s, because="it is read again")  # type: ignore[misc]
        assert {each.quality for each in record.seen if each.status.HasField("sampled_to")} == {"GOOD"}
        assert not node.events("battery_lost")
    pack.tell("set", wake_artefact="none")


def test_a_lazy_battery(pack: Pack, tmp_path: Path) -> None:
    """Unread it is left alone; a read when stale waits for one sample; a watch keeps it fresh at its period."""
    lazy = pack.toml("b1", refresh="lazy", refresh_period_s=PERIOD_S)

    def requests() -> int:
        return int(pack.tell("stats")["stats"]["requests"])

    with Node(tmp_path, lazy + aggregator("top", "b1")) as node, Caller(node.target) as caller:
        before = requests()
        time.sleep(3 * PERIOD_S)
        assert requests() == before
        status = caller.status("top")
        assert status.quality == 1
        assert status.voltage_v == pytest.approx(13.2, abs=0.1)
        asked = requests()
        assert asked in (before + 2, before + 3)  # one sample: basic information, cells, and one of what is read seldom
        assert caller.status("b1").age_s < 1.5
        assert requests() == asked
        time.sleep(2.0)  # until it is stale: 1.5 s
        sampled_to = status.sampled_to
        assert node.status("b1")["quality"] == "GOOD"
        assert caller.status("b1").sampled_to > sampled_to
        quiet = requests()
        with recording(node.target, "top") as record:
            until(lambda: len({each.status.sampled_to for each in record.seen}) >= 3)
            assert max(each.status.age_s for each in record.seen[2:]) < 2.5
        after = requests()
        assert after >= quiet + 4
        time.sleep(3 * PERIOD_S)
        assert requests() <= after + 2


def test_a_slow_line_beside_a_fast_one(pack: Pack, tmp_path: Path) -> None:
    """One device answers after 0.25 s, another never: the third is refreshed as if it were alone."""
    with Pack(tmp_path, "slow", turnaround_ms=(250, 250)) as slow, Pack(tmp_path, "mute") as mute:
        mute.raw(3, b"")
        topology = "".join(
            each.toml(name, refresh_period_s=PERIOD_S) for each, name in ((pack, "fast"), (slow, "slow"), (mute, "mute"))
        )
        with Node(tmp_path, topology) as node, recording(node.target) as record:
            until(lambda: len({each.status.sampled_to for each in record.of("slow") if each.quality == "GOOD"}) >= 6)
            fast = sorted({each.status.sampled_to for each in record.of("fast") if each.quality == "GOOD"})
            assert max(later - earlier for earlier, later in itertools.pairwise(fast)) < 2 * PERIOD_S
            assert node.status("mute")["quality"] == "UNAVAILABLE"
            assert "no answer" in node.status("mute")["reason"]


def test_real_pace(tmp_path: Path) -> None:
    """At 9600 baud with a board's own turnaround: GOOD, and `refresh` brings a newer sample."""
    with Pack(tmp_path, "real", baud=9600, turnaround_ms=(10, 20)) as real, Node(tmp_path, real.toml("b1")) as node:
        first = until(lambda: (found := node.status("b1"))["quality"] == "GOOD" and found)
        assert node.ask("refresh", "b1")["sampled_to"] > first["sampled_to"]


def test_refresh_recursive_across_nodes(pack: Pack, tmp_path: Path) -> None:
    """`refresh --recursive` of an aggregate over a stub reads the device at the other node."""
    from tests.support.processes import battery, pseudo

    with Node(tmp_path, pack.toml("far", refresh="lazy", max_staleness_s=300.0), name="remote") as remote:
        stub = battery("stub", "network", target=remote.target, remote_name="far")
        with Node(tmp_path, stub + pseudo("own") + aggregator("top", "stub", "own"), name="local") as local:
            first = until(lambda: (found := local.status("stub"))["quality"] == "GOOD" and found)
            local.ask("refresh", "top", "--recursive")
            until(lambda: local.status("stub")["sampled_to"] > first["sampled_to"])


def test_topology_file_round_trip(pack: Pack, tmp_path: Path) -> None:
    """What `topology export` prints, applied again, changes nothing."""
    with Node(tmp_path, pack.regulated("b1") + aggregator("top", "b1")) as node:
        file = tmp_path / "export.toml"
        exported = node.ask("topology", "export")
        file.write_text(exported["toml"] if isinstance(exported, dict) else exported)
        assert node.ask("topology", "plan", str(file))["changes"] == []
