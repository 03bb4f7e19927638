"""What a driver tells of itself: traffic with latencies, named bits, identity that never delays."""

import asyncio
from collections import Counter, deque

import pytest

from bosd.bal.device import DeviceFacts, facts_of_device
from bosd.clock import LoopClock
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.line import LATENCIES_KEPT, Line
from bosd.drivers.renewing import Renewing
from bosd.drivers.traffic import traffic_of
from bosd.drivers.transport import MemoryTransport
from tests.support.jbd_bench import bench
from tests.support.jbd_frames import FakeBoard

BYTE_S = 10 / 9600


@pytest.mark.jumping
async def test_latencies_are_those_of_the_wire() -> None:
    """4S with two sensors at 15 ms turnaround: 41 bytes for 0x03 and 22 for 0x04 at 1.0417 ms, 57.7 and 37.9 ms (jbd.md, 6)."""
    async with bench(turnaround_ms=(15.0, 15.0)) as b1:
        await b1.driver.read()
        traffic = b1.driver.facts().traffic
        assert traffic.latency_max_s == pytest.approx(41 * BYTE_S + 0.015, abs=BYTE_S)
        assert traffic.latency_min_s == pytest.approx(22 * BYTE_S + 0.015, abs=BYTE_S)
        assert (traffic.requests, traffic.replies, traffic.retries, traffic.rejects) == (2, 2, 0, ())


@pytest.mark.jumping
async def test_retries_and_reasons() -> None:
    """One reply lost, one with a bad checksum: two retries, counted by reason; no board in order shows a setting."""
    async with bench() as b1:
        b1.simulator.inject(fault="drop", count=1)
        await b1.driver.read()
        b1.simulator.inject(fault="corrupt", count=1)
        await b1.driver.read()
        traffic = b1.driver.facts().traffic
        assert (traffic.retries, dict(traffic.rejects)) == (2, {"timeout": 1, "bad_checksum": 1, "status_81": 1})


@pytest.mark.jumping
async def test_resyncs() -> None:
    """A reply found behind noise is one resync; a refusal is none."""
    board = FakeBoard()
    line = Line(MemoryTransport(lambda request: b"\0\xff" + board.respond(request)))
    driver = JbdDriver(line, LoopClock(asyncio.get_running_loop()), name="b1")
    await driver.read()
    assert (driver.facts().traffic.resyncs, dict(driver.facts().traffic.rejects)) == (2, {"bad_start": 2})


def test_percentiles() -> None:
    """Of 1 to 100 ms: the middle is 50.5 ms, 95 of 100 lie within 96 ms."""
    traffic = traffic_of(Counter(), deque(each / 1000 for each in range(100, 0, -1)), 0)
    assert (traffic.latency_min_s, traffic.latency_median_s, traffic.latency_p95_s, traffic.latency_max_s) == (
        0.001,
        0.0505,
        0.096,
        0.1,
    )
    assert traffic_of(Counter(), deque(), 0).latency_median_s is None


@pytest.mark.jumping
async def test_memory_of_latencies_is_bounded() -> None:
    """A line keeps as many latencies as it says."""
    board = FakeBoard()
    line = Line(MemoryTransport(board.respond))
    driver = JbdDriver(line, LoopClock(asyncio.get_running_loop()), name="b1")
    for _ in range(LATENCIES_KEPT):
        await driver.read()
    assert len(line.latencies_s) == LATENCIES_KEPT


@pytest.mark.jumping
async def test_flags_and_wrappers() -> None:
    """Bits by name, the lock by command beside the protections; a wrapped device tells what it wraps."""
    driver = JbdDriver(
        Line(MemoryTransport(FakeBoard(fets=2, protection=0x1001).respond)), LoopClock(asyncio.get_running_loop()), name="b1"
    )
    assert driver.facts().flags == ()
    await driver.read()
    flags = dict(driver.facts().flags)
    assert {name for name, is_set in flags.items() if is_set} == {
        "discharge_switch_closed",
        "cell_overvoltage",
        "locked_by_command",
    }
    assert Renewing(driver, 10.0).facts() == driver.facts()


def test_a_device_that_tells_nothing() -> None:
    """Facts are an optional part of the port."""

    class Silent:
        hold_s = None

    assert facts_of_device(Silent()) == DeviceFacts()  # type: ignore[arg-type]
