"""The whole simulator in memory on a clock that jumps: the pace is exact, hours cost nothing."""

import asyncio

import pytest

from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.errors import InvalidArgumentError
from tests.unit.drivers.jbd_simulator.bench_pack import BASIC, BYTE_S, CELLS

pytestmark = pytest.mark.jumping


class Listener:
    """Collects what arrives, and when."""

    def __init__(self, simulator: JbdSimulator) -> None:
        self.times_s: list[float] = []
        self.data = b""
        self._loop = asyncio.get_running_loop()
        simulator.memory.on_bytes = self._take

    def _take(self, data: bytes) -> None:
        self.data += data
        self.times_s += [self._loop.time()] * len(data)

    def clear(self) -> None:
        self.data, self.times_s = b"", []


async def test_every_byte_keeps_its_deadline() -> None:
    """36 bytes: byte i no earlier than start + (i + 1) x 1.0417 ms and at most one byte time late; first to last 36.46 ms."""
    async with JbdSimulator(SimulatorOptions(ntc_count=3, turnaround_ms=(15.0, 15.0))) as simulator:
        listener = Listener(simulator)
        simulator.memory.write(BASIC)
        await asyncio.sleep(0.2)
    assert len(listener.data) == 36
    start_s = 7 * BYTE_S + 0.015
    for index, arrived_s in enumerate(listener.times_s):
        assert -1e-9 <= arrived_s - (start_s + (index + 1) * BYTE_S) <= BYTE_S + 1e-9
    assert listener.times_s[0] == pytest.approx(start_s + BYTE_S)
    assert listener.times_s[-1] - listener.times_s[0] == pytest.approx(35 * BYTE_S)


async def test_a_split_reply_keeps_its_pause() -> None:
    """Seven bytes on time, silence for 200 ms, then the rest, whose first byte may wait one byte time for its neighbour."""
    options = SimulatorOptions(wake_artefact="split", turnaround_ms=(15.0, 15.0))
    async with JbdSimulator(options) as simulator:
        listener = Listener(simulator)
        await asyncio.sleep(31.0)
        simulator.memory.write(BASIC)
        await asyncio.sleep(0.3)
        assert listener.data == b""
        simulator.memory.write(BASIC)
        await asyncio.sleep(1.0)
    assert len(listener.data) == 34
    assert 0.2 + BYTE_S - 1e-9 <= listener.times_s[7] - listener.times_s[6] <= 0.2 + 2 * BYTE_S + 1e-9


async def test_ten_hours_of_polling_discharge_the_pack() -> None:
    """5 A for 10 h are 50 Ah: from 75 to 25 Ah, seen through 03 as 7500 and 2500 in 10 mAh."""
    async with JbdSimulator(SimulatorOptions(soc=0.75, load_current_a=5.0)) as simulator:
        listener = Listener(simulator)
        seen = []
        for _ in range(2 * 3600 + 1):
            listener.clear()
            simulator.memory.write(BASIC)
            await asyncio.sleep(5.0)
            seen.append(int.from_bytes(listener.data[8:10], "big"))
    assert (seen[0], seen[-1]) == (7500, 2500)
    assert seen == sorted(seen, reverse=True)


async def test_a_minute_of_polling_reaches_the_ceiling() -> None:
    """Both reads back to back: 63 bytes of 1.0417 ms and two turnarounds of 15 ms are 95.6 ms, 10.46 polls a second (5 %)."""
    async with JbdSimulator(SimulatorOptions(turnaround_ms=(15.0, 15.0))) as simulator:
        loop, polls, heard, arrived = asyncio.get_running_loop(), 0, bytearray(), asyncio.Event()

        def take(data: bytes) -> None:
            heard.extend(data)
            arrived.set()

        simulator.memory.on_bytes = take
        ends_s = loop.time() + 60.0
        while loop.time() < ends_s:
            for request, size in ((BASIC, 34), (CELLS, 15)):
                heard.clear()
                simulator.memory.write(request)
                while len(heard) < size:
                    arrived.clear()
                    await arrived.wait()
            polls += 1
    assert polls / 60.0 == pytest.approx(1.0 / (63 * BYTE_S + 0.030), rel=0.05)


async def test_unplugged_bytes_are_lost_both_ways() -> None:
    """The hang-up is told, a reply in flight stops, what is written meanwhile is counted, and afterwards it answers."""
    async with JbdSimulator(SimulatorOptions()) as simulator:
        listener, hung_up = Listener(simulator), asyncio.Event()
        simulator.memory.on_hangup = hung_up.set
        simulator.memory.write(BASIC)
        await asyncio.sleep(0.04)
        simulator.inject(fault="unplug", seconds=10.0)
        assert hung_up.is_set()
        await asyncio.sleep(1.0)
        assert len(listener.data) < 34
        simulator.memory.write(CELLS)
        assert simulator.stats()["bytes_refused"] == 7
        await asyncio.sleep(9.5)
        listener.clear()
        simulator.memory.write(CELLS)
        await asyncio.sleep(0.2)
        assert len(listener.data) == 15


async def test_closing_from_within_the_last_byte_is_safe() -> None:
    """A client may unplug the line in the middle of what it is given."""
    async with JbdSimulator(SimulatorOptions()) as simulator:
        simulator.memory.on_bytes = lambda _data: simulator.memory.unplug(1.0)
        simulator.memory.write(BASIC)
        await asyncio.sleep(2.0)
        listener = Listener(simulator)
        simulator.memory.write(CELLS)
        await asyncio.sleep(0.2)
        assert len(listener.data) == 15


async def test_back_to_back_requests_get_both_replies() -> None:
    """One write of two requests: 03 then 04, one after the other."""
    async with JbdSimulator(SimulatorOptions()) as simulator:
        listener = Listener(simulator)
        simulator.memory.write(BASIC + CELLS)
        await asyncio.sleep(0.5)
    assert [listener.data[1], listener.data[34 + 1], len(listener.data)] == [3, 4, 49]


async def test_a_pack_in_memory_has_no_link() -> None:
    """Asking for it is an error in the argument, not a None somewhere later."""
    async with JbdSimulator(SimulatorOptions()) as simulator:
        with pytest.raises(InvalidArgumentError, match="link"):
            _ = simulator.link
