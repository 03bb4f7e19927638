"""How long a hold waits for a node that answers no more: Ctrl-C is no minute of silence."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.feed import Feed
from clients.bosctl.holding import LEAST_ANSWER_S, Hold
from clients.bosctl.session import Session

TTL_S = 0.2


class Silent:
    """A node that answers nothing; it keeps how long each call would have waited."""

    target = "far:1"

    def __init__(self) -> None:
        self.waited_s: list[float] = []
        self.batteries = cast("Any", type("Stub", (), {"SetCurrent": None, "ClearCurrent": None}))

    @contextmanager
    def connect(self) -> Iterator["Silent"]:
        """Be the connection, too."""
        yield self

    def call(self, _method: object, _request: object, *, timeout_s: float, doing: str) -> None:
        """Not answer."""
        self.waited_s.append(timeout_s)
        raise Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", f"{doing}: did not answer")

    def get(self, _wait_s: float) -> None:
        """Have no news."""


def test_a_node_that_is_silent_is_not_waited_for_longer_than_it_matters() -> None:
    """A renewal waits for what is left of its life, at least 2 s, and giving back what is lost anyway for 2 s."""
    node = Silent()
    answer = pb.SetCurrentResponse(name="b", applied_current_a=5.0, ttl_s=TTL_S)
    held = Hold(cast("Session", node), pb.SetCurrentRequest(name="b", current_a=5.0), answer, lambda _answer: None)
    while not node.waited_s:
        held.attend(cast("Feed", node))
    with pytest.raises(Failure, match="b was not given back"):
        held.end()
    assert node.waited_s == [LEAST_ANSWER_S, LEAST_ANSWER_S]
