"""`--selector`: patterns over what `fleet ls --json` shows."""

from typing import Any

import pytest
import typer

from bosd.v1 import battery_pb2, fleet_pb2
from clients.bosctl.errors import ExitStatus
from clients.bosctl.fleet_rows import exit_status, rows
from clients.bosctl.selecting import KEYS, parse_selector, select

FACTS = fleet_pb2.NodeFacts(node="hut-1", version="1.2.0", errors=1, clock_doubt="no", parted="b1 differs")
ANSWER = fleet_pb2.ListPeersResponse(
    own=fleet_pb2.NodeFacts(node="home", version="1.3.0"),
    peers=[
        fleet_pb2.Peer(node="hut-1", target="h:1", link=battery_pb2.LINK_READY, facts=FACTS, required=True),
        fleet_pb2.Peer(target="h:2", link=battery_pb2.LINK_LOST, failure="UNAVAILABLE", drifted=True),
        fleet_pb2.Peer(node="main", keeps_session=True, lease_left_s=1.0),
        fleet_pb2.Peer(node="old", keeps_session=True),
    ],
)
ROWS = rows(ANSWER)


def chosen(*selectors: str) -> list[Any]:
    """Return the nodes that meet all of them."""
    return [row["node"] or row["target"] for row in select(ROWS, [parse_selector(each) for each in selectors])]


@pytest.mark.parametrize(
    ("selectors", "nodes"),
    [
        ((), ["home", "hut-1", "h:2", "main", "old"]),
        (("state=lost",), ["h:2", "old"]),
        (("link=lost", "node=ol*"), ["old"]),
        (("state=session",), ["main"]),
        (("name=h*",), ["home", "hut-1"]),
        (("name=h*", "required=yes"), ["hut-1"]),
        (("version!=1.3.*", "name=?*"), ["hut-1", "main", "old"]),
        (("drift=yes",), ["hut-1", "h:2"]),
        (("errors=yes",), ["hut-1"]),
        (("trusted=no",), ["hut-1", "h:2", "main", "old"]),
        (("status=NOT_ASKED",), ["main", "old"]),
        (("target=h:?",), ["hut-1", "h:2"]),
        (("name=HOME",), []),
    ],
)
def test_patterns(selectors: tuple[str, ...], nodes: list[str]) -> None:
    """All are met; case counts; what is unknown is no."""
    assert chosen(*selectors) == nodes


@pytest.mark.parametrize("text", ["", "state", "state=", "=x", "stat=lost", "State=lost", "!=x"])
def test_what_is_no_selector(text: str) -> None:
    """Said, with what would be one."""
    with pytest.raises(typer.BadParameter, match=r"KEY=PATTERN|state"):
        parse_selector(text)


def test_an_unknown_key_names_the_known_ones() -> None:
    """All of them, or the one that was meant."""
    with pytest.raises(typer.BadParameter, match="Did you mean version"):
        parse_selector("versoin=1")
    with pytest.raises(typer.BadParameter, match=", ".join(KEYS)):
        parse_selector("zzzz=1")


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (["DONE", "NOT_ASKED"], ExitStatus.DONE),
        (["DONE", "UNAVAILABLE"], ExitStatus.UNREACHABLE),
        (["UNAVAILABLE", "BAD_NAME"], ExitStatus.REFUSED),
        ([], ExitStatus.DONE),
    ],
)
def test_the_exit_status(statuses: list[str], status: ExitStatus) -> None:
    """3 where nodes were only not reached, 1 where one said no."""
    assert exit_status(statuses) is status


def test_what_is_unknown_is_none() -> None:
    """A node that never answered has no version, no clock, no certificate; drift of its session is known."""
    (lost,) = [row for row in ROWS if row["target"] == "h:2"]
    unknown = ("node", "version", "clock_ahead_s", "clock_trusted", "certificate_days_left", "batteries", "errors", "age_s")
    assert [lost[key] for key in unknown] == [None] * len(unknown)
    assert lost["drift"] == ["changed"]
    assert all(row.keys() == ROWS[0].keys() for row in ROWS)
