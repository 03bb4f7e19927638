"""Grants that this node does not remember: who is asked, and whose they are."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import pytest

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import Grant
from bosd.bal.spec import NetworkSpec
from bosd.bal.status import BatteryStatus, Link
from bosd.clock import LoopClock
from bosd.limits.forgotten import AGAIN_S, Forgotten
from bosd.limits.left_behind import At

pytestmark = pytest.mark.jumping

GRANT = Grant(discharging=False, revision=1, limit_w=240.0, limit_a=None)


class Stub(DeviceLeaf):
    """A stub on a link in some state; `run` is which run of a node answers it."""

    kind = "network"
    __slots__ = ("link", "run")

    def __init__(self, target: str, remote_name: str, link: Link, run: str) -> None:
        super().__init__(NetworkSpec(name=f"{target}-{remote_name}", target=target, remote_name=remote_name))
        self.link = link
        self.run = run

    def status(self, now_s: float) -> BatteryStatus:
        del now_s
        return BatteryStatus(name=self.name, kind=self.kind, link=self.link)

    def _compute(self, now_s: float) -> BatteryStatus:
        raise AssertionError

    async def command(self, current_a: float, ttl_s: float | None) -> None:
        raise AssertionError


async def test_who_answered_is_not_known_once_the_link_is_lost_under_the_answer() -> None:
    """T2 tells of x and is lost: x may be the battery of t1, whose 240 W would be withdrawn as left behind; it is asked again."""
    mine, other = Stub("t1:1", "x", Link.READY, "boot"), Stub("t2:1", "y", Link.READY, "boot")
    remembered: list[At] = []
    asked = 0

    async def granted(stub: Battery) -> Mapping[str, Sequence[Grant]]:
        nonlocal asked
        if stub is not other:
            return {}
        asked += 1
        other.run = "" if asked == 1 else "boot"
        return {"x": [GRANT]}

    def remember(at: At, same: Iterable[At], grant: Grant) -> None:
        del same, grant
        remembered.append(at)

    directory: Any = (mine, other)
    ways = granted, lambda stub: cast("Stub", stub).run
    forgotten = Forgotten(directory, LoopClock(asyncio.get_running_loop()), ways, remember)
    looking = asyncio.create_task(forgotten.run())
    await asyncio.sleep(AGAIN_S - 1.0)
    assert (remembered, asked) == ([], 1)
    await asyncio.sleep(AGAIN_S)
    assert (remembered, asked) == ([], 2)
    looking.cancel()
