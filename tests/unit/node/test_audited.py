"""What the audit gets of a node's commands; reads go past it."""

import asyncio
import json
from inspect import signature
from typing import Any

import pytest

from bosd.bal.edits import Change
from bosd.clock import LoopClock
from bosd.errors import ClaimedError, StoreError
from bosd.node.api import ApplyResult, Edit, NodeApi
from bosd.node.audit import AuditLog
from bosd.node.audited import AuditedNode, audited
from bosd.store.audit import AuditFilter
from bosd.store.audit_chain import Record
from tests.support.fake_node import FakeNode
from tests.support.memory_audit import MemoryAudit

pytestmark = pytest.mark.jumping

READS = {
    "bookings",
    "config_digest",
    "device",
    "explain",
    "fresh_status",
    "history",
    "ledger",
    "names",
    "plan",
    "refresh",
    "status",
    "stored_topology",
    "time",
    "topology",
    "watch",
    "watch_topology",
    "facts",
    "first_look",
}
"""And the clock, which moves on simulated nodes alone."""


class Edited(FakeNode):
    """Answers every edit with two differences."""

    async def apply(self, *args: Any, **kwargs: Any) -> ApplyResult:
        changes = [Change(action="add", name=name, kind="null", detail="48 V") for name in ("n1", "n2")]
        return ApplyResult(revision=8, changes=tuple(changes))


def made(node: FakeNode | None = None) -> tuple[FakeNode, NodeApi, AuditLog]:
    """Return a node with one battery, the same audited, and the audit."""
    clock = LoopClock(asyncio.get_running_loop())
    inner = node or FakeNode(clock=clock)
    inner.put("b", requested_current_a=None, applied_current_a=0.0)
    audit = AuditLog(MemoryAudit(), clock)
    return inner, audited(inner, audit), audit


async def only(audit: AuditLog) -> Record:
    """Return the one record there is."""
    (record,) = await audit.list(AuditFilter(), 10)
    return record


def values(text: str) -> Any:
    """Return what a record holds as JSON."""
    return json.loads(text)


async def test_no_command_goes_past_the_audit() -> None:
    """Whatever a node can be asked is a read named here, or recorded, with the same parameters."""
    asked = {name for name in vars(NodeApi) if not name.startswith("_")}
    commands = {name for name in vars(AuditedNode) if not name.startswith("_")}
    assert asked - commands == READS
    for name in commands:
        assert list(signature(getattr(AuditedNode, name)).parameters) == list(signature(getattr(NodeApi, name)).parameters)


async def test_reads_are_the_nodes_own() -> None:
    """The very methods of the node: a read costs what it costs without an audit, and leaves no record."""
    inner, node, audit = made()
    for name in ("status", "fresh_status", "watch", "names", "refresh", "topology", "plan", "history", "watch_topology"):
        assert getattr(node, name) == getattr(inner, name)
    await node.fresh_status("b")
    await node.refresh("b")
    assert await audit.list(AuditFilter(), 10) == ()


async def test_a_set_point_says_what_was_before_and_after() -> None:
    """Who asked for what, what was in force before, what is now."""
    _, node, audit = made()
    await node.set_current("b", 5.0, ttl_s=30.0, holder="ann")
    record = await only(audit)
    assert (record.action, record.outcome, record.who, record.names, record.number) == ("set", "done", "ann", ("b",), 1)
    assert values(record.asked) == {"current_a": 5.0, "ttl_s": 30.0}
    assert values(record.before) == {"requested_current_a": None, "applied_current_a": 0.0}
    assert values(record.after) == {"requested_current_a": 5.0, "applied_current_a": 5.0}


async def test_renewals_are_counted() -> None:
    """Asking again for what is in force leaves one record with a count, beside that of the first."""
    inner, node, audit = made()
    await node.set_current("b", 5.0, ttl_s=None, holder="ann")
    inner.put("b", requested_current_a=5.0, applied_current_a=5.0)
    for _ in range(3):
        await node.set_current("b", 5.0, ttl_s=None, holder="ann")
    records = await audit.list(AuditFilter(), 10)
    assert [(record.action, record.count) for record in records] == [("renew", 3), ("set", 1)]


async def test_ends_of_nothing_are_counted() -> None:
    """A node that ends again what has ended, each second while something below is not heard, leaves one record with a count."""
    inner, node, audit = made()
    inner.put("b", requested_current_a=5.0, applied_current_a=5.0)
    await node.clear_current("b", holder="node:m")
    inner.put("b", requested_current_a=None, applied_current_a=0.0)
    for _ in range(3):
        await node.clear_current("b", holder="node:m")
    records = await audit.list(AuditFilter(), 10)
    assert [(record.action, record.count) for record in records] == [("clear", 3), ("clear", 1)]


async def test_a_dry_run_is_a_read() -> None:
    """It is not recorded, neither done nor refused."""
    inner, node, audit = made()
    await node.set_current("b", 5.0, ttl_s=None, holder="ann", dry_run=True)
    inner.raises = ClaimedError("held by bob")
    with pytest.raises(ClaimedError):
        await node.set_current("b", 5.0, ttl_s=None, holder="ann", dry_run=True)
    assert await audit.list(AuditFilter(), 10) == ()


async def test_every_command_is_recorded() -> None:
    """Clear, stop, release, pseudo: each with its asker, batteries and the reason given."""
    inner, node, audit = made()
    inner.put("b", voltage_v=13.0, requested_current_a=5.0, applied_current_a=5.0)
    await node.clear_current("b", holder="ann")
    await node.stop(["b"], reason="smoke", holder="bob")
    await node.release(["b"], holder="cy")
    await node.modify_pseudo("b", {"voltage_v": 12.0}, holder="di")
    pseudo, release, stop, clear = await audit.list(AuditFilter(), 10)
    assert [record.action for record in (clear, stop, release, pseudo)] == ["clear", "stop", "release", "pseudo"]
    assert [record.who for record in (clear, stop, release, pseudo)] == ["ann", "bob", "cy", "di"]
    assert all(record.names == ("b",) for record in (clear, stop, release, pseudo))
    assert values(clear.after) == {"requested_current_a": None, "applied_current_a": 0.0}
    assert stop.comment == "smoke"
    assert values(stop.before) == {"b": {"requested_current_a": 5.0, "applied_current_a": 5.0}}
    assert (values(pseudo.before), values(pseudo.after)) == ({"voltage_v": 13.0}, {"voltage_v": 12.0})


async def test_an_edit_says_its_revision_and_differences() -> None:
    """The batteries that changed are its names, so that they can be found by them."""
    _, node, audit = made(Edited(clock=LoopClock(asyncio.get_running_loop())))
    await node.apply([Edit(action="add", toml="x")], expected_revision=7, holder="ann", comment="spare ones")
    record = await only(audit)
    assert (record.action, record.names, record.comment) == ("apply", ("n1", "n2"), "spare ones")
    assert values(record.before) == {"revision": 7}
    assert values(record.after)["revision"] == 8
    assert values(record.after)["changes"][0] == {"action": "add", "name": "n1", "kind": "null", "detail": "48 V"}


@pytest.mark.parametrize("error", [ClaimedError("held by bob"), StoreError("the disk is full")])
async def test_a_refusal_is_recorded_and_goes_on(error: ClaimedError | StoreError) -> None:
    """Who was refused what and why; the error is marked so that no edge records it again."""
    inner, node, audit = made()
    inner.raises = error
    for call in (node.release(["b"], holder="ann"), node.release(["b"], holder="ann")):
        with pytest.raises(type(error)):
            await call
    record = await only(audit)
    assert (record.action, record.outcome, record.count) == ("release", "refused", 2)
    assert (record.reason, record.message) == (error.reason, error.message)
    assert error.audited


async def test_a_command_whose_asker_went_away_is_recorded() -> None:
    """Nobody knows whether it was done: it failed, as far as the audit can say."""
    inner, node, audit = made()
    inner.hang = asyncio.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await node.set_current("b", 5.0, ttl_s=None, holder="ann")
    record = await only(audit)
    assert (record.outcome, record.reason) == ("failed", "CANCELLED")


async def test_a_programming_error_is_recorded_and_escapes() -> None:
    """The daemon stops loudly all the same."""
    inner, node, audit = made()
    inner.raises = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await node.clear_current("b", holder="ann")
    record = await only(audit)
    assert (record.outcome, record.reason, record.message) == ("failed", "INTERNAL", "ZeroDivisionError")
