"""2,000 spoiled replies through 20 pseudo-terminals with short time-outs: no crash, no wrong value, no descriptor left."""

import asyncio
import contextlib
import os
import tty
from collections import Counter
from pathlib import Path

import pytest

from bosd.clock import SystemClock
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.line import Line
from bosd.drivers.serial import SerialTransport
from tests.support.jbd_fuzz import FuzzedBoard, Judge, check_shares

PORTS = 20
INPUTS = 2000 // PORTS
REPLY_S, GAP_S = 0.05, 0.01


class FuzzedPort:
    """A fuzzed board at the far end of a pseudo-terminal, and its driver."""

    def __init__(self, seed: int) -> None:
        self.board = FuzzedBoard(seed)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        transport = SerialTransport(os.ttyname(self._slave))
        transport.reply_s, transport.gap_s, transport.byte_s = REPLY_S, GAP_S, 0.0
        self._driver = JbdDriver(Line(transport), SystemClock(), name=f"b{seed}")
        self.judge = Judge(self.board, self._driver)

    def _answer(self) -> None:
        with contextlib.suppress(BlockingIOError):
            requests = os.read(self._master, 4096)
            while requests:
                size = requests[3] + 7
                os.write(self._master, self.board.respond(requests[:size]))
                requests = requests[size:]

    async def run(self) -> None:
        """Poll until the board has sent its inputs; judge each sample."""
        asyncio.get_running_loop().add_reader(self._master, self._answer)
        try:
            while self.board.inputs.total() < INPUTS:
                await self.judge.poll()
        finally:
            await self._driver.close()
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            os.close(self._slave)


@pytest.mark.usefixtures("quiet")
async def test_spoiled_replies_through_terminals() -> None:
    """What is shown is the board's own, or passed the checksum by design of the input; every terminal is let go of."""
    before = descriptors()
    ports = [FuzzedPort(seed) for seed in range(PORTS)]
    async with asyncio.TaskGroup() as tasks:
        for port in ports:
            tasks.create_task(port.run())
    results = sum((port.judge.results for port in ports), Counter[str]())
    check_shares(results)
    assert descriptors() <= before


def descriptors() -> int:
    """Return how many descriptors this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
