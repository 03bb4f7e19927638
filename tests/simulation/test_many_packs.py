"""Two hundred batteries on twenty lines in one process: each is read at 1 Hz, also beside a dead board on its line.

Addressed boards on lines at 9600 baud, the shipped driver and the node's own refreshing, in virtual time. A poll is 43 bytes
(request 8, reply 35 for two sensors), 24 more for four cells in every fourth cycle; with 15 ms to turn round ten boards need 0.71
of a second (jbd.md, section 6, one byte more a frame for the address).
"""

import asyncio
import itertools
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

pytestmark = pytest.mark.timeout(900)

LINES = 20
TCP_LINES = 2
"""Lines know nothing of each other; sockets cost more than the memory of a line."""
BOARDS = 10
SETTLED_S = 14.0
"""The first readings are over, and who each board is and whether it was left in a mode: seven registers, one a cycle."""
ALIVE_S, DEAD_S = 12.0, 36.0
LOOK_EVERY_S = 0.25
DEAD = 4
MOST_OF_A_LINE = 0.15
OLDEST_S = 2.0
"""A period of 1 s, and a round of ten boards in the worst order: 0.71 s behind an attempt at a dead board (0.26 s)."""
OLDEST_BEHIND_TCP_S = 2.6
"""The same behind an attempt over TCP (0.84 s); a value is good for 3 s."""
BACK_S = 8.0
LEAST_ATTEMPTS = 10
"""In 36 s: 2 s after one attempt the node makes the next, which waits for a round of the line (0.71 s) and takes 0.26 s; each
tenth takes 0.84 s behind TCP, 15 % of 5.6 s: ten of them need 35 s at most."""


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
        taken = [after_s - at_s for (at_s, whom), (after_s, _) in itertools.pairwise(times) if whom == address]
        return len(taken), sum(taken)


@dataclass(slots=True)
class Site:
    """All lines with their boards, and the batteries in the order of the lines."""

    clock: LoopClock
    simulators: list[JbdSimulator] = field(default_factory=list)
    transports: dict[str, Watched] = field(default_factory=dict)
    batteries: list[PhysicalBattery] = field(default_factory=list)
    oldest_s: dict[str, float] = field(default_factory=dict)

    @property
    def dead(self) -> list[PhysicalBattery]:
        """The batteries of the boards that die."""
        return [each for each in self.batteries if isinstance(each.spec, JbdSpec) and each.spec.address == DEAD]

    def kill(self, address: int) -> None:
        """Let the board with this address on each line say nothing more."""
        for simulator in self.simulators:
            simulator.unit(address).inject({"fault": "stuck", "seconds": 86400.0})

    def revive(self) -> None:
        """Let all boards speak again."""
        for simulator in self.simulators:
            for unit in simulator.units:
                unit.inject({"fault": "stuck", "seconds": 0.0})

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
        for number in range(TCP_LINES if tcp else LINES):
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


async def _live(*, tcp: bool) -> None:
    async with site(tcp=tcp) as here:
        await asyncio.sleep(SETTLED_S)
        begun_s = here.clock.now_s()
        await here.watch(ALIVE_S)
        assert len(here.oldest_s) == len(here.simulators) * BOARDS
        assert max(here.oldest_s.values()) <= OLDEST_S
        for transport in here.transports.values():
            for address in range(1, BOARDS + 1):
                count, _ = transport.asked_from(begun_s, address)
                assert count >= ALIVE_S - 1.0, f"{transport.port}, board {address}: asked {count} times in {ALIVE_S:g} s"
        here.kill(DEAD)
        await asyncio.sleep(SETTLED_S)
        begun_s = here.clock.now_s()
        here.oldest_s.clear()
        await here.watch(DEAD_S, DEAD)
        assert len(here.oldest_s) == len(here.simulators) * (BOARDS - 1)
        assert max(here.oldest_s.values()) <= (OLDEST_BEHIND_TCP_S if tcp else OLDEST_S)
        for transport in here.transports.values():
            count, taken_s = transport.asked_from(begun_s, DEAD)
            assert LEAST_ATTEMPTS <= count <= DEAD_S / 2.0
            assert taken_s / DEAD_S <= MOST_OF_A_LINE
            assert transport.opens == 1
        assert {battery.status(here.clock.now_s()).quality for battery in here.dead} == {Quality.UNAVAILABLE}
        here.revive()
        await asyncio.sleep(BACK_S)
        assert {battery.status(here.clock.now_s()).quality for battery in here.batteries} == {Quality.GOOD}


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("tcp", [False, True], ids=["serial", "tcp"])
def test_none_is_starved(*, tcp: bool) -> None:
    """No value ever gets older than a period and a round of its line, also while one board on each line is dead.

    The dead one gets at most an attempt each 2 s and 15 % of the line, breaks no connection, and is back soon after it lives.
    """
    run_jumping(_live(tcp=tcp))
