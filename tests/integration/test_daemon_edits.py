"""Topology edits from another process: seen by every watcher, and through `kill -9` the old or the new, never a mix."""

import asyncio
import random
import threading
import tomllib
from pathlib import Path

import grpc
import grpc.aio
import pytest

from bosd.v1 import battery_pb2 as pb
from bosd.v1 import topology_pb2 as tpb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from bosd.v1.topology_pb2_grpc import TopologyServiceStub
from tests.support.processes import BOSCTL, REPOSITORY, Caller, Node, Pack, aggregator, battery, pseudo, until

WATCHERS = 100
EDITS = 200
KILLS = 4


class Steps:
    """Where all watchers and the editor meet: everybody watches, everybody has seen the new battery."""

    def __init__(self) -> None:
        self.watching = asyncio.Barrier(WATCHERS + 1)
        self.added = asyncio.Barrier(WATCHERS + 1)


async def sees_battery(channel: grpc.aio.Channel, name: str, steps: Steps) -> int:
    """Watch everything until a battery of that name was seen and then removed."""
    started = seen = False
    async for message in BatteryServiceStub(channel).Watch(pb.WatchRequest()):
        if not started:
            started = True
            await steps.watching.wait()
        if not seen and any(status.name == name for status in message.statuses):
            seen = True
            await steps.added.wait()
        if seen and name in message.removed:
            return 1
    return 0


async def sees_revision(channel: grpc.aio.Channel, name: str, steps: Steps) -> int:
    """Watch the topology until it had that battery and then no more."""
    started = seen = False
    async for topology in TopologyServiceStub(channel).Watch(tpb.WatchTopologyRequest()):
        names = {entry.name for entry in topology.entries}
        if not started:
            started = True
            await steps.watching.wait()
        if not seen and name in names:
            seen = True
            await steps.added.wait()
        if seen and name not in names:
            return 1
    return 0


async def run_bosctl(node: Node, *arguments: str) -> None:
    """Run `bosctl` beside the watchers."""
    process = await asyncio.create_subprocess_exec(
        *BOSCTL, "--target", node.target, *arguments, cwd=REPOSITORY, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


async def test_an_edit_is_seen_by_all_watchers(tmp_path: Path) -> None:
    """`bosctl add` and `rm` while 80 watch all batteries and 20 the topology, over four connections: each sees both."""
    new = tmp_path / "new.toml"
    new.write_text(pseudo("new"))
    with Node(tmp_path, pseudo("old")) as node:
        steps = Steps()
        options = (("grpc.use_local_subchannel_pool", 1),)
        channels = [grpc.aio.insecure_channel(node.target, options=options) for _ in range(4)]
        async with asyncio.timeout(40.0), asyncio.TaskGroup() as group:
            watchers = [
                group.create_task((sees_revision if number % 5 == 0 else sees_battery)(channels[number % 4], "new", steps))
                for number in range(WATCHERS)
            ]
            await steps.watching.wait()
            await run_bosctl(node, "add", str(new))
            await steps.added.wait()
            await run_bosctl(node, "rm", "new")
        assert sum(watcher.result() for watcher in watchers) == WATCHERS
        for channel in channels:
            await channel.close(None)


class Editor:
    """Adds pairs of batteries, one pair an edit, until the node is gone; remembers what was acknowledged and what was begun."""

    def __init__(self, node: Node) -> None:
        self.acknowledged: list[int] = []
        self.begun = 0
        self._node = node

    def edit(self, upto: int) -> None:
        """Add pairs until number `upto`, or until the node is killed."""
        with Caller(self._node.target) as caller:
            while self.begun < upto:
                number = self.begun = self.begun + 1
                try:
                    caller.add(
                        pseudo(f"a{number}") + pseudo(f"b{number}") + aggregator(f"ab{number}", f"a{number}", f"b{number}")
                    )
                except grpc.RpcError:
                    return
                self.acknowledged.append(number)


def stored_numbers(node: Node) -> set[int]:
    """Return the pairs in the node's topology; each is there with its aggregate, or not at all."""
    with Caller(node.target) as caller:
        found = caller.topology.Get(tpb.GetTopologyRequest(), timeout=10.0)
    names = {table["name"] for table in tomllib.loads(found.toml)["battery"]}
    assert names == {entry.name for entry in found.entries}
    numbers = {int(name[2:]) for name in names if name.startswith("ab")}
    assert names == {f"{kind}{number}" for number in numbers for kind in ("a", "b", "ab")} | {"old"}
    return numbers


@pytest.mark.timeout(120)
def test_no_acknowledged_edit_is_lost(tmp_path: Path) -> None:
    """200 edits, the daemon killed at four random moments: all that was acknowledged is there, at most one more, none by half."""
    moments = random.Random(200)
    node = Node(tmp_path, pseudo("old"))
    editor = Editor(node)
    with node:
        for _ in range(KILLS):
            killed_after = len(editor.acknowledged) + moments.randint(20, 45)
            thread = threading.Thread(target=editor.edit, args=(EDITS,))
            thread.start()
            until(lambda at=killed_after: len(editor.acknowledged) >= at, because="edits are acknowledged")  # type: ignore[misc]
            node.kill()
            thread.join(30.0)
            acknowledged, begun = set(editor.acknowledged), editor.begun
            node.start()
            found = stored_numbers(node)
            assert acknowledged <= found <= acknowledged | {begun}
            editor.acknowledged = sorted(found)
        editor.edit(EDITS)
        assert stored_numbers(node) >= set(editor.acknowledged)
        assert editor.begun == EDITS
        revisions = [line["revision"] for line in node.ask("topology", "history")]
        assert revisions == list(range(revisions[0], revisions[-1] - 1, -1))


def test_a_changed_file_is_applied_on_request_only(tmp_path: Path) -> None:
    """After the first start the stored topology is the truth; `topology apply` makes the node look like the file."""
    node = Node(tmp_path, pseudo("old"))
    with node:
        text = node.config.read_text()
        node.config.write_text(text + pseudo("later"))
        assert node.terminate() == 0
        node.start()
        assert list(node.statuses()) == ["old"]
        (warning,) = node.events("topology_differs")
        assert "later" in warning["detail"]
        file = tmp_path / "topology.toml"
        file.write_text(pseudo("old") + pseudo("later"))
        planned = node.ask("topology", "plan", str(file))
        assert [change["name"] for change in planned["changes"]] == ["later"]
        assert list(node.statuses()) == ["old"]
        node.ask("topology", "apply", str(file))
        assert list(node.statuses()) == ["old", "later"]


def test_refused_edits_change_nothing(tmp_path: Path) -> None:
    """Cycle, name taken, in use, voltage mismatch and stale revision: each with its reason, and no edit by half."""
    edit = tmp_path / "edit.toml"
    with Node(tmp_path, pseudo("a") + pseudo("b", voltage_v=48.0) + aggregator("top", "a")) as node:
        before = node.ask("topology", "show")
        refusals = {
            "NAME_TAKEN": ("add", pseudo("new") + pseudo("a")),
            "VOLTAGE_MISMATCH": ("add", aggregator("mixed", "b", voltage_v=13.0)),
            "BATTERY_IN_USE": ("add", pseudo("new") + aggregator("second", "a")),
            "CYCLE": ("replace", battery("a", "aggregator", sources=["top"], voltage_v=13.0, voltage_tolerance_v=3.0)),
            "BAD_NAME": ("add", aggregator("of nothing".replace(" ", "-"), "nothing")),
        }
        for reason, (verb, toml) in refusals.items():
            edit.write_text(toml)
            arguments = ("replace", "a", str(edit)) if verb == "replace" else ("add", str(edit))
            assert node.refusal(*arguments)["reason"] == reason
        error = node.refusal("rm", "a")
        assert error["reason"] == "BATTERY_IN_USE"
        assert "top" in error["message"]
        edit.write_text(pseudo("new"))
        error = node.refusal("add", str(edit), "--revision", str(before["revision"] + 5))
        assert error["reason"] == "STALE_REVISION"
        assert node.ask("topology", "show") == before


def test_an_edit_does_not_disturb_the_others(tmp_path: Path) -> None:
    """While batteries come and go, a pack that did not change is refreshed as before and its line is never let go."""
    edit = tmp_path / "edit.toml"
    edit.write_text(pseudo("extra"))
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, pack.regulated("own", refresh_period_s=0.25)) as node:
        until(lambda: node.status("own")["quality"] == "GOOD")
        node.ask("set", "own", "5")
        requests = pack.tell("stats")["stats"]["requests"]
        for _ in range(3):
            node.ask("add", str(edit))
            node.ask("rm", "extra")
        own = node.status("own")
        assert (own["quality"], own["applied_current_a"]) == ("GOOD", 5.0)
        assert own["age_s"] < 0.75
        assert pack.load_a == 5.0
        assert pack.tell("stats")["stats"]["requests"] > requests
        assert not node.events("battery_lost")


def test_an_edit_repeated_with_its_id_gets_its_first_answer(tmp_path: Path) -> None:
    """After a lost answer the same request is safe to send again: one revision, the same answer."""
    with Node(tmp_path, pseudo("p")) as node, grpc.insecure_channel(node.target) as channel:
        edits = [tpb.TopologyEdit(add='[[battery]]\nname = "spare"\nkind = "null"\nvoltage_v = 48.0\n')]
        request = tpb.ApplyTopologyRequest(edits=edits, expected_revision=1, request_id="once")
        stub = TopologyServiceStub(channel)
        answers = [stub.Apply(request, timeout=5.0, metadata=(("bosd-client", "test"),)) for _ in range(2)]
        assert answers[0] == answers[1]
        assert stub.Get(tpb.GetTopologyRequest(), timeout=5.0).revision == 2
