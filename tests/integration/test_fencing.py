"""Commands of other nodes that come twice, late, from before, or from somebody else, at a real node over raw gRPC.

control.md, "Owners, sessions, claims": caller, boot id, epoch, lease, age, sequence; all timers a fifth.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from bosd.v1 import battery_pb2 as pb
from bosd.v1 import node_pb2 as npb
from tests.support.fifth import FIFTH, records
from tests.support.processes import Caller, Node, pseudo, until
from tests.support.raw_session import CALL_S, RawSession

MAX_AGE_S = 0.2
FENCED = (grpc.StatusCode.ABORTED, "FENCED")
NAMES = ("b", "c", "d", "e", "f", "g", "h", "i", "k", "l", "m", "n", "o")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node whose batteries each have one test."""
    topology = FIFTH + "".join(map(pseudo, NAMES))
    with Node(tmp_path_factory.mktemp("fencing"), topology, name="hut") as running:
        yield running


@asynccontextmanager
async def session(node: Node, who: str = "node:ctl") -> AsyncIterator[RawSession]:
    """Keep a session of `who`, beats and all."""
    async with grpc.aio.insecure_channel(node.target) as channel:
        made = RawSession(channel, who)
        await made.open()
        async with made.beating():
            yield made


def in_force(node: Node, name: str) -> tuple[Any, ...]:
    """Return what is in force on a battery, and until when."""
    with Caller(node.target) as caller:
        found: pb.BatteryStatus = caller.status(name)
    return found.requested_current_a, found.applied_current_a, found.current_a, found.setpoint_ends_at


def same(before: tuple[Any, ...]) -> Any:
    """Return what equals it; an end in wall-clock time is computed anew at each read."""
    return pytest.approx(before, rel=0.0, abs=1e-3)


async def counted(node: Node, who: str, name: str) -> list[tuple[str, int]]:
    """Return what was refused to a node on a battery, as the audit has it: reason, how often; beats go on meanwhile."""
    found = await asyncio.to_thread(records, node, who=who, action="set", outcome="refused", names=[name])
    return [(each["reason"], each["count"]) for each in found]


async def fences(peer: RawSession, name: str, current_a: float, fence: npb.Fence | None) -> str:
    """Ask for what has to be fenced; return the check that did."""
    code, error = await peer.refused(name, current_a, fence)
    assert (code, error.reason) == FENCED
    return error.metadata["check"]


async def test_repeated(node: Node) -> None:
    """The same request id: the first answer again, done once. The same sequence with another id: fenced, nothing changed."""
    async with session(node, "node:again") as peer:
        fence = await peer.fresh()
        first = await peer.set("b", 5.0, fence, request_id="one")
        before = in_force(node, "b")
        again = await peer.set("b", 5.0, fence, request_id="one")
        assert again.setpoint_ends_at == pytest.approx(first.setpoint_ends_at, abs=0.1)  # two clocks, read one after the other
        assert before[:3] == (5.0, 5.0, 5.0)
        assert (again.requested_current_a, again.applied_current_a, again.may_run_a) == (5.0, 5.0, 5.0)
        assert in_force(node, "b") == same(before)
        for _ in range(3):
            assert await fences(peer, "b", 9.0, fence) == "SEQUENCE"
        assert in_force(node, "b") == same(before)
        assert await counted(node, "node:again", "b") == [("FENCED", 3)]
        assert (await peer.set("b", 6.0, await peer.fresh())).applied_current_a == 6.0


async def test_delayed(node: Node) -> None:
    """The newest stamp it echoes is older than a command may be: fenced although session, lease and sequence are right."""
    async with session(node, "node:late") as peer:
        assert (await peer.set("c", 5.0, await peer.fresh())).applied_current_a == 5.0
        old_s = peer.stamps[-1]
        await peer.newer_than(old_s + MAX_AGE_S)
        before = in_force(node, "c")
        assert await fences(peer, "c", 9.0, peer.fence(owner_s=old_s)) == "AGE"
        assert await fences(peer, "c", 9.0, peer.fence(owner_s=old_s + 3600.0)) == "AGE"  # no stamp that this owner gave
        assert in_force(node, "c") == same(before)
        assert await counted(node, "node:late", "c") == [("FENCED", 2)]
        assert (await peer.set("c", 9.0, await peer.fresh())).applied_current_a == 9.0


async def test_of_an_old_epoch(node: Node) -> None:
    """A newer Hello of the same peer: what the older session still sends is fenced, beats too; what it has in force goes on."""
    async with session(node, "node:twice") as old:
        assert (await old.set("d", 5.0, await old.fresh())).applied_current_a == 5.0
        async with session(node, "node:twice") as new:
            assert new.epoch > old.epoch
            before = in_force(node, "d")
            assert await fences(old, "d", 9.0, old.fence(owner_s=(await new.fresh()).owner_s)) == "EPOCH"
            assert in_force(node, "d") == same(before)
            async with asyncio.timeout(CALL_S):
                while old.ended is None:  # noqa: ASYNC110 (a stream has no event)
                    await asyncio.sleep(0.01)
            assert (old.ended.reason, old.ended.metadata["epoch"]) == ("FENCED", str(new.epoch))
            assert await counted(node, "node:twice", "d") == [("FENCED", 1)]
            assert (await new.set("d", 9.0, await new.fresh())).applied_current_a == 9.0
    assert not node.events("setpoint_ended", battery="d", why="expired")


async def test_of_a_run_before(tmp_path: Path) -> None:
    """The owner was started anew: every number of the old session is worth nothing, the boot id says so first."""
    with Node(tmp_path, FIFTH + pseudo("b"), name="hut") as hut:
        async with session(hut, "node:ctl") as peer:
            assert (await peer.set("b", 5.0, await peer.fresh())).applied_current_a == 5.0
            hut.kill()
        hut.start()
        async with grpc.aio.insecure_channel(hut.target) as channel:
            again = RawSession(channel, "node:ctl")
            for current_a in (5.0, 0.0):  # 0 A is no lowering of one that runs nothing
                assert await fences(again, "b", current_a, peer.fence()) == "BOOT_ID"
            await again.open()
            assert again.boot_id != peer.boot_id
            assert await fences(again, "b", 5.0, again.fence(boot_id=peer.boot_id)) == "BOOT_ID"
        assert in_force(hut, "b")[1] == 0.0
        assert await counted(hut, "node:ctl", "b") == [("FENCED", 3)]


async def test_without_a_session(node: Node) -> None:
    """A node that said no Hello, or says nothing of a session, commands nothing; another's numbers do not help."""
    async with session(node, "node:known") as known, grpc.aio.insecure_channel(node.target) as channel:
        stranger = RawSession(channel, "node:stranger")
        assert await fences(stranger, "e", 5.0, None) == "SESSION"
        assert await fences(stranger, "e", 5.0, await known.fresh()) == "SESSION"
        assert in_force(node, "e")[1] == 0.0
        assert await counted(node, "node:stranger", "e") == [("FENCED", 2)]


async def test_between_hello_and_ready(node: Node) -> None:
    """Only Ready grants the lease."""
    async with grpc.aio.insecure_channel(node.target) as channel:
        eager = RawSession(channel, "node:eager")
        await eager.hello()
        assert await fences(eager, "f", 5.0, eager.fence()) == "LEASE"
        assert in_force(node, "f")[1] == 0.0
        assert await counted(node, "node:eager", "f") == [("FENCED", 1)]


async def test_after_the_lease(node: Node) -> None:
    """A peer that beats no more: its set point ends with the lease by the owner's clock, and commands of it are fenced."""
    async with grpc.aio.insecure_channel(node.target) as channel:
        peer = RawSession(channel, "node:mute")
        await peer.open()
        async with peer.beating():
            assert (await peer.set("g", 5.0, await peer.fresh())).applied_current_a == 5.0
        until(lambda: node.events("setpoint_ended", battery="g"))
        (ended,) = node.events("setpoint_ended", battery="g")
        assert (ended["why"], in_force(node, "g")[1]) == ("the lease is over", 0.0)
        assert await fences(peer, "g", 5.0, peer.fence()) == "LEASE"
        assert in_force(node, "g")[1] == 0.0


async def test_as_another_node(node: Node) -> None:
    """Numbers of somebody else's session are no session of one's own; the battery is claimed, and stays with its holder."""
    async with session(node, "node:first") as first, session(node, "node:second") as second:
        assert (await first.set("h", 5.0, await first.fresh())).applied_current_a == 5.0
        before = in_force(node, "h")
        for current_a in (0.0, 9.0):
            assert await fences(second, "h", current_a, await first.fresh()) == "EPOCH"
            code, error = await second.refused("h", current_a, await second.fresh())
            assert (code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CLAIMED")
            assert error.metadata["holder"] == "node:first"
        assert in_force(node, "h") == same(before)
        assert sorted(await counted(node, "node:second", "h")) == [("CLAIMED", 2), ("FENCED", 2)]


async def test_lowering_needs_the_caller_and_the_boot_id_alone(node: Node) -> None:
    """Old epoch, old stamp, old sequence: lowering is done all the same; of another run of the owner it is not."""
    async with session(node, "node:down") as old:
        used = await old.fresh()
        assert (await old.set("i", 9.0, used)).applied_current_a == 9.0
        async with session(node, "node:down") as new:
            await new.newer_than(used.owner_s + MAX_AGE_S)
            assert await fences(new, "i", 4.0, new.fence(boot_id="of another run")) == "BOOT_ID"
            assert in_force(node, "i")[1] == 9.0
            assert (await old.set("i", 4.0, used)).applied_current_a == 4.0
            assert await fences(old, "i", 9.0, used) == "EPOCH"
            assert in_force(node, "i")[1] == 4.0
            assert (await old.set("i", 0.0, used)).applied_current_a == 0.0
            assert in_force(node, "i")[1] == 0.0


async def test_a_raise_that_a_lowering_overtook(node: Node) -> None:
    """Sent before, come after: the newer word holds, although it was one that needs no sequence."""
    async with session(node, "node:order") as peer:
        assert (await peer.set("k", 5.0, await peer.fresh())).applied_current_a == 5.0
        overtaken = await peer.fresh()
        assert (await peer.set("k", 2.0, peer.fence())).applied_current_a == 2.0
        assert await fences(peer, "k", 9.0, overtaken) == "SEQUENCE"
        assert in_force(node, "k")[1] == 2.0
        assert (await peer.set("k", 9.0, await peer.fresh())).applied_current_a == 9.0


async def test_a_raise_that_giving_back_overtook(node: Node) -> None:
    """The set point was given back; the 9 A that were sent before it come after it and are fenced."""
    async with session(node, "node:back") as peer:
        assert (await peer.set("m", 5.0, await peer.fresh())).applied_current_a == 5.0
        overtaken = await peer.fresh()
        assert (await peer.clear("m", peer.fence())).applied_current_a == 0.0
        assert await fences(peer, "m", 9.0, overtaken) == "SEQUENCE"
        assert in_force(node, "m")[1] == 0.0


async def test_giving_back_without_a_session(node: Node) -> None:
    """A node's certificate alone ends nothing that its session holds: the node would go on to count on it."""
    async with session(node, "node:bare") as peer:
        assert (await peer.set("m", 5.0, await peer.fresh())).applied_current_a == 5.0
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await peer.clear("m", None)
        assert (refused.value.code(), "through a session" in (refused.value.details() or "")) == (FENCED[0], True)
        assert in_force(node, "m")[1] == 5.0
        assert (await peer.clear("m", peer.fence())).applied_current_a == 0.0


async def test_one_request_id_for_two_batteries(node: Node) -> None:
    """An answer is remembered with the battery it was for: the other one is commanded all the same."""
    async with session(node, "node:ids") as peer:
        assert (await peer.set("n", 5.0, await peer.fresh(), request_id="same")).name == "n"
        answer = await peer.set("o", 4.0, await peer.fresh(), request_id="same")
        assert (answer.name, answer.applied_current_a) == ("o", 4.0)
        assert in_force(node, "o")[1] == 4.0
