"""Answers hold nothing of what the asker may not read."""

import pytest

from bosd.rpc.veil import COVERED, veil
from bosd.v1 import audit_pb2, battery_pb2, errors_pb2, explain_pb2, ledger_pb2

KNOWN = ("anna", "bert", "bert-2", "split")


def test_names_of_others_are_covered_in_texts_and_fields() -> None:
    """Whole names only: `bert-2` is not `bert`, and a word that holds a name stays."""
    answer = ledger_pb2.ListLedgerResponse(
        entries=[ledger_pb2.LedgerEntry(account="split", giver="bert", taker="anna"), ledger_pb2.LedgerEntry(giver="bert-2")]
    )
    veil(answer, {"anna"}, KNOWN, "tenant:anna")
    first, second = answer.entries
    assert (first.account, first.giver, first.taker) == (COVERED, COVERED, "anna")
    assert second.giver == COVERED


def test_an_explanation_keeps_the_steps_of_what_is_seen() -> None:
    """And covers who else is meant in their texts."""
    answer = explain_pb2.ExplainResponse(
        name="anna",
        discharge=[
            explain_pb2.ExplainStep(battery="bert", text="bert is empty"),
            explain_pb2.ExplainStep(battery="anna", by=["bert"], text="anna waits for bert; albertina too"),
        ],
    )
    veil(answer, {"anna"}, KNOWN, "tenant:anna")
    (step,) = answer.discharge
    assert (step.battery, list(step.by)) == ("anna", [COVERED])
    assert step.text == f"anna waits for {COVERED}; albertina too"


def test_the_audit_shows_ones_own_and_what_concerns_ones_own() -> None:
    """A record of several batteries is shown to who may read all of them."""
    answer = audit_pb2.ListAuditResponse(
        records=[
            audit_pb2.AuditRecord(number=1, who="tenant:anna", action="call"),
            audit_pb2.AuditRecord(number=2, who="admin:root", names=["anna"]),
            audit_pb2.AuditRecord(number=3, who="admin:root", names=["anna", "bert"]),
            audit_pb2.AuditRecord(number=4, who="bosd", action="start"),
        ]
    )
    veil(answer, {"anna"}, KNOWN, "tenant:anna")
    assert [record.number for record in answer.records] == [1, 2]


@pytest.mark.parametrize(("holder", "shown"), [("tenant:anna", ["anna"]), ("node:hut", ["anna", "", "", "anna"])])
def test_a_tenant_reads_the_errors_of_its_own_batteries_alone(holder: str, shown: list[str]) -> None:
    """Those of no battery are the node's own affair, and a battery of another node may be called as its own is."""
    told = [("home", "anna"), ("home", "bert"), ("home", ""), ("hut", ""), ("hut", "anna")]
    errors = [errors_pb2.NodeError(id=str(n), node=node, battery=battery) for n, (node, battery) in enumerate(told)]
    for answer in (
        errors_pb2.ListErrorsResponse(node="home", errors=errors),
        errors_pb2.WatchErrorsResponse(node="home", errors=errors),
    ):
        veil(answer, {"anna"}, KNOWN, holder)
        assert [each.battery for each in answer.errors] == shown


def test_who_asks_finds_itself() -> None:
    """A node that holds a battery, and is called as another battery is, is not covered: it would look like somebody else."""
    answer = battery_pb2.BatteryStatus(name="anna", holder="node:bert", reason="node:bert holds it")
    veil(answer, {"anna"}, KNOWN, "node:bert")
    assert (answer.holder, answer.reason) == ("node:bert", f"node:{COVERED} holds it")
