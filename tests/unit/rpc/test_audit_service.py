"""The audit over real gRPC: filters, pages, verdicts, and what the edge refuses by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import pytest

from bosd.clock import SystemClock
from bosd.errors import ClaimedError
from bosd.node.audit import AuditLog
from bosd.node.audited import audited
from bosd.rpc.server import RpcServer
from bosd.v1 import audit_pb2 as pb
from bosd.v1 import battery_pb2 as bpb
from bosd.v1.audit_pb2_grpc import AuditServiceStub
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from tests.support.fake_node import FakeNode
from tests.support.memory_audit import MemoryAudit

UTC_S = 1_700_000_000.0


class Wall(SystemClock):
    """The wall clock stands at 2023-11-14T22:13:20Z."""

    def utc_s(self) -> float:
        """Return that."""
        return UTC_S


@asynccontextmanager
async def served() -> AsyncIterator[tuple[AuditLog, MemoryAudit, Any, Any]]:
    """Serve an audited node; yield the audit, its store and both stubs."""
    store = MemoryAudit()
    audit = AuditLog(store, Wall())
    node = FakeNode()
    node.put("b")
    bugs: list[BaseException] = []
    async with RpcServer(audited(node, audit), bugs.append, audit) as server:
        (address,) = await server.start(["127.0.0.1:0"])
        async with grpc.aio.insecure_channel(address) as channel:
            yield audit, store, AuditServiceStub(channel), BatteryServiceStub(channel)
    assert bugs == []


async def test_records_come_in_pages() -> None:
    """Five records in pages of two: each page tells where the next begins, the last tells none."""
    async with served() as (audit, _, stub, _batteries):
        for number in range(5):
            audit.note("set", who="ann", names=["b"], comment=str(number))
        await audit.flush()
        first = await stub.List(pb.ListAuditRequest(limit=2))
        assert [record.number for record in first.records] == [5, 4]
        assert first.next_before == 4
        last = await stub.List(pb.ListAuditRequest(limit=2, before_number=2))
        assert [record.number for record in last.records] == [1]
        assert not last.HasField("next_before")


@pytest.mark.parametrize(
    ("request_", "count"),
    [
        (pb.ListAuditRequest(ago_s=1.0), 1),
        (pb.ListAuditRequest(since=UTC_S + 1.0), 0),
        (pb.ListAuditRequest(until=UTC_S - 1.0), 0),
        (pb.ListAuditRequest(until_ago_s=1.0), 0),
        (pb.ListAuditRequest(who="bob"), 0),
        (pb.ListAuditRequest(battery="b", who="ann"), 1),
        (pb.ListAuditRequest(after_number=2**64 - 1), 0),
        (pb.ListAuditRequest(before_number=2**64 - 1), 1),
    ],
)
async def test_filters(request_: pb.ListAuditRequest, count: int) -> None:
    """One record at 2023-11-14T22:13:20Z, now; relative times are before now by the node's clock."""
    async with served() as (audit, _, stub, _batteries):
        audit.note("set", who="ann", names=["b"])
        assert len((await stub.List(request_)).records) == count


@pytest.mark.parametrize("request_", [pb.ListAuditRequest(limit=1001), pb.ListAuditRequest(since=float("nan"))])
async def test_what_is_no_filter_is_refused(request_: pb.ListAuditRequest) -> None:
    """INVALID_ARGUMENT."""
    async with served() as (_, _, stub, _batteries):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.List(request_)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_verify_names_the_record() -> None:
    """First in order with its last hash, then with a record that somebody took out."""
    async with served() as (audit, store, stub, _batteries):
        for _ in range(3):
            audit.note("set", who="ann")
        good = await stub.Verify(pb.VerifyAuditRequest())
        assert (good.ok, good.records, good.first_number, good.last_number) == (True, 3, 1, 3)
        assert good.last_hash == store.records[-1].hash
        del store.records[1]
        bad = await stub.Verify(pb.VerifyAuditRequest())
        assert (bad.ok, bad.broken_number, bad.why) == (False, 2, "it is missing: the next in place is 3")


async def test_what_the_edge_refuses_is_recorded_once_and_reads_are_not() -> None:
    """A set point without a name never reaches the node; one that the node refuses is recorded there and not again."""
    async with served() as (audit, _, stub, batteries):
        for request in (bpb.SetCurrentRequest(current_a=1.0), bpb.SetCurrentRequest(name="b", current_a=float("inf"))):
            with pytest.raises(grpc.aio.AioRpcError):
                await batteries.SetCurrent(request, metadata=(("bosd-client", "ann"),))
        with pytest.raises(grpc.aio.AioRpcError):
            await batteries.SetCurrent(bpb.SetCurrentRequest(current_a=1.0, dry_run=True))
        with pytest.raises(grpc.aio.AioRpcError):
            await batteries.GetStatus(bpb.GetStatusRequest(name=""))
        found = (await stub.List(pb.ListAuditRequest())).records
        assert [(record.who, record.action, list(record.names), record.count) for record in found] == [
            ("ann", "set", ["b"], 1),
            ("ann", "set", [], 1),
        ]
        audit.refused("set", ClaimedError("x"), who="bob")
        assert len((await stub.List(pb.ListAuditRequest(who="bob"))).records) == 1
