"""Two hundred batteries on twenty lines in one process: each is read at 1 Hz, also beside a dead board on its line.

Addressed boards on lines at 9600 baud, the shipped driver and the node's own refreshing, in virtual time. A poll is 43 bytes
(request 8, reply 35 for two sensors), 24 more for four cells in every fourth cycle; with 15 ms to turn round ten boards need 0.71
of a second (jbd.md, section 6, one byte more a frame for the address).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import JbdSpec
from bosd.bal.status import Quality
from bosd.clock import LoopClock
from bosd.drivers.devices import make_device
from bosd.drivers.far_end.tcp_line import TcpLine
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.kind import DriverContext
from bosd.drivers.lines import Lines
from bosd.drivers.transport import ByteReceiver, ByteTransport, open_transport
from bosd.node.refresh import Refresher
from tests.support.jumping_loop import run_jumping

pytestmark = pytest.mark.timeout(300)

LINES = 20
BOARDS = 10
SETTLED_S = 20.0
"""The first readings, and who each board is, are over: six seldom registers, one a cycle."""
WATCHED_S = 20.0
LOOK_EVERY_S = 0.25
MOST_OF_A_LINE = 0.15
TURN_S = 1.0
"""Longest wait for the line at a full round of ten boards (0.71 s) behind one attempt at a dead one (0.26 s)."""


class Watched:
    """A transport that notes when and to whom each request goes out, and how often it was opened."""

    def __init__(self, inner: ByteTransport) -> None:
        self.port, self.reopen_on_silence = inner.port, inner.reopen_on_silence
        self.reply_s, self.gap_s, self.byte_s = inner.reply_s, inner.gap_s, inner.byte_s
        self.asked: list[tuple[float, int]] = []
        self.opens = 0
        self._inner = inner

    async def open(self, receiver: ByteReceiver) -> None:
        """Open the line."""
        self.opens += 1
        await self._inner.open(receiver)

    def write(self, data: bytes) -> None:
        """Send a request; its second byte is the address."""
        self.asked.append((asyncio.get_running_loop().time(), data[1]))
        self._inner.write(data)

    def discard_input(self) -> None:
        """Pass on."""
        self._inner.discard_input()

    def close(self) -> None:
        """Close the line."""
        self._inner.close()

    def asked_from(self, from_s: float, address: int) -> tuple[int, float]:
        """Return how often a board was asked since `from_s`, and the time from each such request to the next one of anybody."""
        times = [(at_s, whom) for at_s, whom in self.asked if at_s >= from_s]
        taken = [after_s - at_s for (at_s, whom), (after_s, _) in zip(times, times[1:], strict=False) if whom == address]
        return len(taken), sum(taken)


@dataclass(slots=True)
class Site:
    """All lines with their boards, and the batteries in the order of the lines."""

    clock: LoopClock
    simulators: list[JbdSimulator] = field(default_factory=list)
    transports: dict[str, Watched] = field(default_factory=dict)
    batteries: list[PhysicalBattery] = field(default_factory=list)
    oldest_s: dict[str, float] = field(default_factory=dict)

    def kill(self, address: int) -> None:
        """Let the board with this address on each line say nothing more."""
        for simulator in self.simulators:
            simulator.unit(address).inject({"fault": "stuck", "seconds": 1e6})

    async def watch(self, lasts_s: float, address: int | None = None) -> None:
        """Look at the age of every battery but those with that address for so long."""
        ends_s = self.clock.now_s() + lasts_s
        while self.clock.now_s() < ends_s:
            for battery in self.batteries:
                assert isinstance(battery.spec, JbdSpec)
                if battery.spec.address != address:
                    assert battery.sample is not None, f"{battery.name} has never answered: {battery.fault}"
                    age_s = self.clock.now_s() - battery.sample.sampled_s
                    self.oldest_s[battery.name] = max(age_s, self.oldest_s.get(battery.name, 0.0))
            await asyncio.sleep(LOOK_EVERY_S)


@asynccontextmanager
async def site(*, tcp: bool) -> AsyncIterator[Site]:
    """Bring the boards to life and refresh every battery, begun as a node does: spread over the period."""
    here = Site(LoopClock(asyncio.get_running_loop()))
    async with AsyncExitStack() as stack:
        by_port: dict[str, JbdSimulator] = {}
        for number in range(LINES):
            options = SimulatorOptions(seed=1 + BOARDS * number, boards=BOARDS, tcp="127.0.0.1:0" if tcp else None)
            simulator = await stack.enter_async_context(JbdSimulator(options))
            here.simulators.append(simulator)
            at = simulator.line
            by_port[f"tcp://127.0.0.1:{at.port}" if isinstance(at, TcpLine) else f"/dev/line{number}"] = simulator

        def opened(port: str, baud: int) -> ByteTransport:
            inner = open_transport(port, baud) if tcp else by_port[port].memory.transport(port)
            return here.transports.setdefault(port, Watched(inner))

        context = DriverContext(here.clock, Lines(opened))
        for number, port in enumerate(by_port):
            for address in range(1, BOARDS + 1):
                spec = JbdSpec(
                    name=f"l{number}b{address}",
                    port=port,
                    address=address,
                    cells_every=4,
                    max_discharge_current_a=50.0,
                    max_charge_current_a=50.0,
                )
                here.batteries.append(PhysicalBattery(spec, make_device(spec, context)))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(Refresher(each, here.clock, first_delay_s=place / len(here.batteries)).run(), name=each.name)
                for place, each in enumerate(here.batteries)
            ]
            yield here
            for task in tasks:
                task.cancel()
        for battery in here.batteries:
            await battery.device.close()


async def _live(*, tcp: bool, dead: int | None) -> Site:
    async with site(tcp=tcp) as here:
        await asyncio.sleep(SETTLED_S)
        if dead is not None:
            here.kill(dead)
            await asyncio.sleep(SETTLED_S)
        samples = {battery.name: battery.sample for battery in here.batteries}
        await here.watch(WATCHED_S, dead)
        for battery in here.batteries:
            assert isinstance(battery.spec, JbdSpec)
            alive = battery.spec.address != dead
            assert (battery.sample is not samples[battery.name]) is alive
            assert (battery.status(here.clock.now_s()).quality is Quality.GOOD) is alive
        return here


@pytest.mark.parametrize("tcp", [False, True], ids=["serial", "tcp"])
def test_none_is_starved(*, tcp: bool) -> None:
    """All alive: no value of any battery ever gets older than a period and a round of its line; every board is asked each second."""
    here = run_jumping(_live(tcp=tcp, dead=None))
    assert len(here.oldest_s) == LINES * BOARDS
    assert max(here.oldest_s.values()) <= 1.0 + TURN_S
    for transport in here.transports.values():
        assert transport.opens == 1
        for address in range(1, BOARDS + 1):
            count, _ = transport.asked_from(SETTLED_S, address)
            assert count >= WATCHED_S, f"{transport.port}, board {address}: asked {count} times in {WATCHED_S:g} s"


@pytest.mark.parametrize("tcp", [False, True], ids=["serial", "tcp"])
def test_a_dead_board_on_every_line(*, tcp: bool) -> None:
    """The other nine are read as before; the dead one gets at most an attempt each 2 s, and 15 % of the line, and breaks none."""
    dead = 4
    here = run_jumping(_live(tcp=tcp, dead=dead))
    assert len(here.oldest_s) == LINES * (BOARDS - 1)
    assert max(here.oldest_s.values()) <= 1.0 + TURN_S
    for transport in here.transports.values():
        count, taken_s = transport.asked_from(2 * SETTLED_S, dead)
        assert transport.opens == 1
        assert WATCHED_S / 8.0 <= count <= WATCHED_S / 2.0
        assert taken_s / WATCHED_S <= MOST_OF_A_LINE
