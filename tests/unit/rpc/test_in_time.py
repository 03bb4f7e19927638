"""When a command that came too late is sent again."""

import asyncio
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest

from bosd.errors import FencedError
from bosd.rpc.in_time import in_time
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import node_pb2

pytestmark = pytest.mark.jumping


class Clock:
    """The clock of the loop, which jumps."""

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()


ALWAYS = repeat(True)


class Stamped:
    """What is needed of a session: its clock, and a stamp that is newer each time."""

    def __init__(self, epochs: int = 1) -> None:
        self.clock = Clock()
        self.sequence = 0
        self.epochs = epochs

    def fence(self) -> node_pb2.Fence:
        self.sequence += 1
        return node_pb2.Fence(sequence=self.sequence, epoch=min(self.sequence, self.epochs))


async def tried(
    check: str,
    *,
    ttl_s: float | None = None,
    refusals: int = 99,
    newest: Iterator[bool] = ALWAYS,
    takes_s: float = 0.75,
    epochs: int = 1,
) -> list[pb.SetCurrentRequest]:
    """Return what was sent to an owner that takes so long to refuse; what it refuses at last is no error here."""
    session: Any = Stamped(epochs)
    began_s = session.clock.now_s()
    sent: list[pb.SetCurrentRequest] = []

    async def send(request: pb.SetCurrentRequest, within_s: float) -> None:
        assert within_s == pytest.approx(2.0 - (session.clock.now_s() - began_s))
        sent.append(pb.SetCurrentRequest.FromString(request.SerializeToString()))
        await asyncio.sleep(takes_s)
        if len(sent) <= refusals:
            raise FencedError("late", check=check)

    request = pb.SetCurrentRequest(name="b", current_a=3.0, ttl_s=ttl_s)
    if refusals < 99:
        await in_time(send, request, session, 2.0, lambda: next(newest))
    else:
        with pytest.raises(FencedError):
            await in_time(send, request, session, 2.0, lambda: next(newest))
    assert [each.fence.sequence for each in sent] == list(range(1, len(sent) + 1))
    return sent


async def test_it_is_sent_again_until_it_is_taken() -> None:
    """Each time with what is left of its life."""
    assert [each.ttl_s for each in await tried("AGE", ttl_s=60.0, refusals=2)] == pytest.approx([60.0, 59.15, 58.3])


async def test_no_longer_than_one_call_may_take() -> None:
    """Three tries of 0.75 s, 0.1 s apart, are begun within 2 s, two within a life of 1 s; of a refusal at once 20."""
    assert len(await tried("AGE")) == 3
    assert len(await tried("AGE", ttl_s=1.0)) == 2
    assert len(await tried("AGE", takes_s=0.0)) == pytest.approx(20, abs=1)


async def test_not_behind_a_newer_command() -> None:
    """A stop or a lowering that was sent meanwhile would be undone."""
    assert len(await tried("AGE", newest=repeat(False))) == 1
    assert len(await tried("AGE", newest=iter((True, False)))) == 2


async def test_not_in_a_later_session() -> None:
    """What that began with is agreed on, and this is none of it."""
    assert len(await tried("AGE", epochs=2)) == 1


@pytest.mark.parametrize("check", ["SEQUENCE", "LEASE", "EPOCH", "BOOT_ID"])
async def test_what_else_is_wrong_stays_so(check: str) -> None:
    """Waiting was not what kept it."""
    assert len(await tried(check)) == 1
