"""Stubs that `fleet adopt` makes."""

import tomllib
from typing import Any

import pytest

from bosd.v1 import topology_pb2 as pb
from clients.bosctl.adopting import chosen_of, plan_stubs
from clients.bosctl.errors import Failure

HOLDER = "node:home"
THERE = pb.Topology(
    node="hut",
    entries=[
        pb.TopologyEntry(name="b1", kind="jbd", users=["all"]),
        pb.TopologyEntry(name="all", kind="aggregator", sources=["b1"]),
        pb.TopologyEntry(name="far", kind="network"),
        pb.TopologyEntry(name="spare", kind="null"),
    ],
)


def stubs(*wanted: str, here: dict[str, Any] | None = None, taken: tuple[str, ...] = (), address: str | None = None) -> Any:
    """Return what is planned, read back."""
    text = plan_stubs(here or {}, taken, THERE, chosen_of(THERE, wanted, None, HOLDER), address)
    return tomllib.loads(text).get("battery", [])


def test_what_is_free_is_taken() -> None:
    """Neither a source nor a stub of a third node; a name that is taken gets the node's before it."""
    assert stubs(taken=("all",)) == [
        {"name": "hut-all", "kind": "network", "node": "hut", "remote_name": "all"},
        {"name": "spare", "kind": "network", "node": "hut", "remote_name": "spare"},
    ]


def test_what_has_a_stub_is_left() -> None:
    """By serial, or by the address that is given."""
    here = {"battery": [{"kind": "network", "node": "hut", "remote_name": "all"}, {"kind": "pseudo", "name": "p"}]}
    assert [each["remote_name"] for each in stubs(here=here)] == ["spare"]
    here = {"battery": [{"kind": "network", "target": "h:1", "remote_name": "all"}]}
    assert [each["remote_name"] for each in stubs(here=here)] == ["all", "spare"]
    assert stubs(here=here, address="h:1") == [{"name": "spare", "kind": "network", "target": "h:1", "remote_name": "spare"}]


def test_what_is_named() -> None:
    """In that order, once, even where something rests on it there: the owner decides."""
    assert [each["name"] for each in stubs("b1", "all", "b1")] == ["b1", "all"]
    with pytest.raises(Failure, match="hut has no battery x; it has b1, all, far, spare"):
        stubs("x")


def test_what_is_not_granted_gets_no_stub() -> None:
    """What is named has to be granted; of all that is free those that are, and at least one."""
    assert chosen_of(THERE, (), ["spare", "b1"], HOLDER) == ["spare"]
    assert chosen_of(THERE, ("b1",), ["spare", "b1"], HOLDER) == ["b1"]
    remedy = r'in its \[security.grants\], "node:home" = \["all"\]'
    with pytest.raises(
        Failure, match=f"hut does not grant all to node:home: name them {remedy}, and start it anew. Nothing"
    ) as failed:
        chosen_of(THERE, ("spare", "all"), ["spare"], HOLDER)
    assert failed.value.reason == "NOT_ALLOWED"
    with pytest.raises(Failure, match="hut does not grant all, spare to node:home"):
        chosen_of(THERE, (), [], HOLDER)
