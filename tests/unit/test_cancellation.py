"""A cancelled task ends, whatever gRPC makes of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from bosd.cancellation import asked_to_end, heeding
from bosd.v1 import node_pb2 as pb
from bosd.v1.node_pb2_grpc import NodeServiceStub
from tests.support.processes import free_port


async def beats() -> AsyncIterator[pb.Beat]:
    """One beat, and then none."""
    yield pb.Beat()
    await asyncio.Event().wait()


def in_rounds(rounds: int, action: Callable[[], object]) -> None:
    """Have `action` run that many rounds of the loop later."""
    if rounds == 0:
        action()
    else:
        asyncio.get_running_loop().call_soon(in_rounds, rounds - 1, action)


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("rounds", range(6))
async def test_cancelled_while_its_call_fails(*, streams: bool, rounds: int) -> None:
    """In whichever round of the loop it comes, the task is cancelled or had failed before; never does it go on cancelled."""
    went_on: list[int] = []

    async def work(stub: NodeServiceStub) -> None:
        task = asyncio.current_task()
        assert task is not None
        call: Any = stub.Heartbeat(beats()) if streams else stub.Hello(pb.HelloRequest(), timeout=5.0)
        call.add_done_callback(lambda _: in_rounds(rounds, task.cancel))
        try:
            with heeding():
                if streams:
                    async for _ in call:
                        pass
                else:
                    await call
        except grpc.aio.AioRpcError:
            went_on.append(task.cancelling())
        await asyncio.Event().wait()

    async with grpc.aio.insecure_channel(f"127.0.0.1:{free_port()}") as channel:
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(10.0):
                await asyncio.ensure_future(work(NodeServiceStub(channel)))
    assert went_on in ([], [0])


async def test_what_was_asked_before_the_block_is_none_of_its() -> None:
    """Work that a cancelled task does at its end keeps its own failures."""

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert asked_to_end()
            with pytest.raises(ZeroDivisionError), heeding():
                _ = 1 / 0
            with heeding():
                return "done"
        return "not cancelled"

    task = asyncio.ensure_future(work())
    in_rounds(2, task.cancel)
    assert await task == "done"
    assert not asked_to_end()


async def late() -> None:
    """Run out of a deadline, and fail for another reason meanwhile."""
    async with asyncio.timeout(0.0):
        with heeding():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ValueError("in place of it") from None


async def test_a_deadline_within_and_around() -> None:
    """A deadline is no cancellation of the task: the one within has ended, the one around is told as ever."""
    with pytest.raises(TimeoutError), heeding():
        async with asyncio.timeout(0.0):
            await asyncio.Event().wait()
    with pytest.raises(TimeoutError):
        await late()
