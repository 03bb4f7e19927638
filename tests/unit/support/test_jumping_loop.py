"""The loop that jumps."""

import asyncio
import random
import re
import socket
import time

import pytest

from tests.support.jumping_loop import DeadlockError, JumpingLoop, run_jumping

DAY_S = 86_400


async def tick(period_s: float, count: int, trace: list[tuple[float, str]], name: str) -> None:
    """Append the loop's time and `name` once every period."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await asyncio.sleep(period_s)
        trace.append((loop.time(), name))


@pytest.mark.jumping
async def test_the_marker_selects_the_loop() -> None:
    """A marked test runs on a jumping loop, and its time starts at zero."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    assert loop.time() == 0.0


async def test_an_unmarked_test_runs_on_the_stock_loop() -> None:
    """Without the marker, time is real."""
    assert not isinstance(asyncio.get_running_loop(), JumpingLoop)


@pytest.mark.jumping
async def test_a_day_of_three_tickers() -> None:
    """Three tickers of one second each tick 86,400 times in a virtual day, and the day ends when the last tick does."""
    trace: list[tuple[float, str]] = []
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(tick(1.0, DAY_S, trace, name))
    assert len(trace) == 3 * DAY_S
    assert asyncio.get_running_loop().time() == DAY_S
    assert [name for _, name in trace[:6]] == list("abcabc")


@pytest.mark.jumping
async def test_timers_far_ahead_are_due() -> None:
    """After thirty years a timer still fires at its very instant, though a float then resolves only 1e-7 s."""
    for _ in range(30):
        await asyncio.sleep(365 * DAY_S)
    assert asyncio.get_running_loop().time() == 30 * 365 * DAY_S


@pytest.mark.jumping
async def test_timeouts_end_on_time() -> None:
    """asyncio.timeout fires at its virtual deadline and no later, however long the wait inside is."""
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5.0):
            await asyncio.sleep(3600.0)
    assert loop.time() == 5.0


def test_the_same_program_gives_the_same_trace() -> None:
    """Five runs of seeded random tickers agree in every instant and in the order of equal instants."""

    async def program() -> list[tuple[float, str]]:
        trace: list[tuple[float, str]] = []
        rng = random.Random(7)
        async with asyncio.TaskGroup() as group:
            for name in "abcde":
                group.create_task(tick(rng.choice([0.1, 0.5, 0.7]), 200, trace, name))
        return trace

    traces = [run_jumping(program()) for _ in range(5)]
    assert len(traces[0]) == 1000
    assert all(trace == traces[0] for trace in traces)


def test_time_never_goes_back_and_reaches_each_timer() -> None:
    """Timers at sums of 0.1 s, which binary fractions cannot hold, all fire, in order, at or after their instant."""
    trace: list[tuple[float, str]] = []
    run_jumping(tick(0.1, 10_000, trace, "t"))
    instants = [at_s for at_s, _ in trace]
    assert instants == sorted(instants)
    assert instants[-1] == pytest.approx(1000.0, abs=1e-6)


def test_a_wait_that_nothing_ends_is_a_deadlock() -> None:
    """A future that nobody sets raises at once, and the message names the task and its line."""

    async def wait_for_nobody() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(DeadlockError, match=r"deadlock at 0\.0 s(.|\n)*in wait_for_nobody"):
        run_jumping(wait_for_nobody())


def test_a_deadlock_is_found_behind_a_task_group() -> None:
    """Tasks that wait for each other are named, each with the line it waits at."""

    async def wait(event: asyncio.Event) -> None:
        await event.wait()

    async def program() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(wait(first), name="one")
            group.create_task(wait(second), name="two")

    with pytest.raises(DeadlockError) as caught:
        run_jumping(program())
    assert re.search(r"one at .*test_jumping_loop\.py:\d+ in wait\n", str(caught.value))
    assert re.search(r"two at .*test_jumping_loop\.py:\d+ in wait$", str(caught.value))


@pytest.mark.jumping
async def test_threads_are_refused() -> None:
    """Work for a thread is refused, since its real time would be jumped over."""
    with pytest.raises(RuntimeError, match="no threads"):
        await asyncio.to_thread(time.sleep, 0)


@pytest.mark.jumping
async def test_a_socket_pair_inside_the_loop_works() -> None:
    """Bytes between two ends on this loop arrive before time moves."""
    left, right = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=left)
    _, far = await asyncio.open_connection(sock=right)
    far.write(b"hello\n")
    assert await reader.readline() == b"hello\n"
    assert asyncio.get_running_loop().time() == 0.0
    for end in (writer, far):
        end.close()
        await end.wait_closed()
