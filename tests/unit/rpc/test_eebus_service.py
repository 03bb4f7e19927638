"""The EEBUS half of the limits over real gRPC: what is unset, what streams, what is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from bosd.errors import BadNameError
from bosd.limits.lpc.judging import WrittenLimit
from bosd.limits.lpc.lpc import Lpc
from bosd.node.audit import AuditLog
from bosd.rpc.eebus import Eebus, Enforcer, audited_by
from bosd.rpc.server import RpcServer
from bosd.v1 import eebus_pb2 as pb
from bosd.v1.eebus_pb2_grpc import EebusServiceStub
from clients.bosctl.__main__ import run
from clients.bosctl.commands.limits_eebus import amount, line, publication_document, state_document
from tests.support.eebus_mock import SKI
from tests.support.fake_node import FakeNode
from tests.support.lpc_rig import Book, HandClock, make

UTC_S = 1_700_000_000.0
"""2023-11-14T22:13:20Z."""


@asynccontextmanager
async def served(eebus: Eebus | None) -> AsyncIterator[Any]:
    """Serve a node with this part; yield the stub."""
    bugs: list[BaseException] = []
    async with RpcServer(FakeNode(), bugs.append, eebus=eebus) as server:
        (address,) = await server.start(["127.0.0.1:0"])
        async with grpc.aio.insecure_channel(address) as channel:
            yield EebusServiceStub(channel)
    assert bugs == []


async def limited() -> tuple[Lpc, HandClock]:
    """Return a limitation to 0 W for 60 s, 10 s ago."""
    clock = HandClock(UTC_S)
    lpc, _, _ = make(clock=clock)
    await lpc.start()
    assert lpc.admits(SKI, "DataUpdateLimit", data=True)
    lpc.limit(SKI, WrittenLimit(active=True, value_w=0.0, duration_ns=60_000_000_000))
    clock.s += 10.0
    return lpc, clock


async def test_zero_watts_and_unlimited_are_two_things() -> None:
    """0 W is 0, unlimited is null, and so is its end."""
    lpc, clock = await limited()
    async with served(Eebus(clock, lpc)) as stub:
        state = await stub.Get(pb.GetEebusRequest())
        document = state_document(state)
        assert (document["limit_w"], document["limit_until"], document["time_left_s"]) == (0.0, "2023-11-14T22:14:20.000Z", 50.0)
        assert (document["heartbeat_age_s"], document["statement"], document["connected"]) == (None, "limited", False)
        assert document["last_transition"]["reason"] == "an active limit [LPC-904]"
        assert amount(state) == "0 W, for another 50 s"
        assert "Limited  0 W, for another 50 s  no heartbeat  not connected" in line(state)
        clock.s += 50.0
        lpc.attend()
        document = state_document(await stub.Get(pb.GetEebusRequest()))
        assert (document["state"], document["limit_w"], document["limit_until"]) == ("UnlimitedControlled", None, None)
        answer = await stub.History(pb.EebusHistoryRequest())
        assert [(each["state"], each["limit_w"], each["until"]) for each in map(publication_document, answer.publications)] == [
            ("Init", 4200.0, None),
            ("Limited", 0.0, "2023-11-14T22:14:20.000Z"),
            ("UnlimitedControlled", None, None),
        ]
        newest = await stub.History(pb.EebusHistoryRequest(limit=1))
        assert [each.number for each in newest.publications] == [3]


async def test_a_change_is_streamed_at_once_and_silence_each_second() -> None:
    """At once, after each change, and each second without one."""
    lpc, clock = await limited()
    async with served(Eebus(clock, lpc)) as stub:
        stream = stub.Watch(pb.WatchEebusRequest())
        assert (await stream.read()).state == "Limited"
        lpc.limit(SKI, WrittenLimit(active=False, value_w=0.0))
        assert (await stream.read()).state == "UnlimitedControlled"
        assert (await stream.read()).state == "UnlimitedControlled"
        stream.cancel()


async def test_bosctl_shows_and_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a person sees; CSV for the operator's proof; the schedule; a refusal has its status."""
    lpc, clock = await limited()
    async with RpcServer(FakeNode(), lambda bug: None, eebus=Eebus(clock, lpc)) as server:
        (address,) = await server.start(["127.0.0.1:0"])

        async def bosctl(*words: str) -> str:
            status = await asyncio.to_thread(run, ["--target", address, "limits", "eebus", *words])
            assert status == 0
            return capsys.readouterr().out

        shown = await bosctl()
        assert "state               Limited, profile spec\n" in shown
        assert "limit               0 W, for another 50 s\n" in shown
        file = tmp_path / "proof.csv"
        await bosctl("history", "--csv", str(file))
        assert file.read_text().splitlines() == [
            "number,at,state,limit_w,until,reason",
            "1,2023-11-14T22:13:20.000Z,Init,4200.0,,start",
            "2,2023-11-14T22:13:20.000Z,Limited,0.0,2023-11-14T22:14:20.000Z,an active limit [LPC-904]",
        ]
        assert await bosctl("history", "--limit", "1", "--csv", "-") == "\n".join([*file.read_text().splitlines()[::2], ""])
        table = await bosctl("history")
        assert "Init" in table
        assert "4200" in table
        (first, last) = json.loads(await bosctl("schedule"))["schedule_import"]
        assert first["limits_to_root"] == {"total_power_W": {"value": 0.0, "source": "EEBUS LPC"}}
        assert (last["timestamp"], last["limits_to_root"]) == ("2023-11-14T22:14:20.000Z", {})
        refused = await asyncio.to_thread(run, ["--target", address, "limits", "eebus", "history", "--csv", str(tmp_path)])
        assert refused == 2


@pytest.mark.parametrize("method", ["Get", "History", "Schedule"])
async def test_a_node_without_a_section_refuses(method: str) -> None:
    """With what it lacks."""
    async with served(None) as stub:
        requests = {"Get": pb.GetEebusRequest, "History": pb.EebusHistoryRequest, "Schedule": pb.EebusScheduleRequest}
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(stub, method)(requests[method]())
        assert "no [eebus] section" in (refused.value.details() or "")


async def test_a_faulty_section_is_shown_and_streamed() -> None:
    """The fault stands where the state would."""
    async with served(Eebus(HandClock(UTC_S), fault="eebus.grpc_port: 0 is not 1 to 65535")) as stub:
        document = state_document(await stub.Get(pb.GetEebusRequest()))
        assert (document["state"], document["fault"]) == (None, "eebus.grpc_port: 0 is not 1 to 65535")
        stream = stub.Watch(pb.WatchEebusRequest())
        assert (await stream.read()).fault
        stream.cancel()


class Shelf(Book):
    """A book that lacks the battery at first."""

    missing = True

    def publish(self, limit_w: float | None, until_s: float | None, *, state: str, reason: str) -> None:
        if self.missing:
            raise BadNameError("no battery site")
        super().publish(limit_w, until_s, state=state, reason=reason)


def test_a_battery_that_comes_later_is_limited_then() -> None:
    """Nothing breaks; the newest limit counts, and the failure is seen until it is in force."""
    shelf = Shelf()
    enforcer = Enforcer(shelf)
    enforcer.restore(1000.0, 5.0, reason="restored")
    enforcer.publish(4200.0, None, state="Init", reason="start")
    enforcer.publish(3000.0, None, state="Limited", reason="r")
    assert (shelf.restored, shelf.limit_w, enforcer.failure) == ((1000.0, 5.0), None, "no battery site")
    shelf.missing = False
    enforcer.again()
    assert (shelf.told, enforcer.failure) == ([("Limited", 3000.0)], "")
    enforcer.again()
    assert len(shelf.told) == 1
    assert Enforcer(None).failure


async def test_what_is_wrong_is_an_error_of_the_node() -> None:
    """A faulty section, a service that is away, a failsafe, a disk that is full; not before the first attempt."""
    assert [each.kind for each in Eebus(HandClock(), fault="x").noticed()] == ["EEBUS_CONFIG"]
    lpc, clock = await limited()
    part = Eebus(clock, lpc)
    assert list(part.noticed()) == []
    lpc.set_connection(connected=False, why="nothing listens at localhost:50051")
    assert [each.kind for each in part.noticed()] == ["EEBUS_LOST"]
    lpc.set_connection(connected=True, why="")
    clock.s += 40.0
    lpc.attend()
    clock.s += 100.0
    lpc.attend()
    assert [(each.kind, each.battery) for each in part.noticed()] == [("EEBUS_FAILSAFE", "site")]
    lpc.history.failure = "the disk is full"
    assert [each.kind for each in part.noticed()] == ["EEBUS_FAILSAFE", "EEBUS_UNWRITTEN"]


def test_what_is_not_finite_is_audited_in_words() -> None:
    """A peer may write infinity (eebus.md 2.6); JSON has none, and a record with it would be words as a whole."""
    records: list[dict[str, object]] = []

    class Audit:
        def note(self, action: str, **facts: object) -> None:
            records.append({"action": action, **facts})

    note = audited_by(cast(AuditLog, Audit()), "site")
    note("eebus write", who="eebus:a", refused="", after={"active": True, "limit_w": float("inf")})
    assert records[0]["after"] == {"active": True, "limit_w": "inf"}
