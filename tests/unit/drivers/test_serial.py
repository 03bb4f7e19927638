"""Serial ports on real pseudo-terminals, with a small scripted board at the other end."""

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bosd.clock import SystemClock
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.line import Line
from bosd.drivers.serial import SerialTransport
from bosd.errors import UnavailableError
from tests.support.jbd_frames import FakeBoard, until_lost


class Pty:
    """A pseudo-terminal pair; `attach` answers requests at its master end until `unplug`."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self._open = True
        self._attached = False

    def attach(self, respond: Callable[[bytes], bytes]) -> None:
        """Answer each request in two pieces."""

        def answer() -> None:
            with contextlib.suppress(BlockingIOError):
                reply = respond(os.read(self.master, 4096))
                os.write(self.master, reply[:10])
                asyncio.get_running_loop().call_later(0.01, self._say, reply[10:])

        asyncio.get_running_loop().add_reader(self.master, answer)
        self._attached = True

    def _say(self, data: bytes) -> None:
        if self._open:
            os.write(self.master, data)

    def unplug(self) -> None:
        """Close both ends, as a simulator that ends does."""
        if self._open:
            self._open = False
            if self._attached:
                with contextlib.suppress(RuntimeError):
                    asyncio.get_running_loop().remove_reader(self.master)
            os.close(self.master)
            os.close(self._slave)


@pytest.fixture
def pty() -> Iterator[Pty]:
    """Provide a pseudo-terminal that is gone after the test."""
    pair = Pty()
    yield pair
    pair.unplug()


async def test_reads_through_a_link(pty: Pty, tmp_path: Path) -> None:
    """A board behind a symbolic link to a pseudo-terminal is read, and again after the port was let go."""
    pty.attach(FakeBoard().respond)
    link = tmp_path / "pack"
    link.symlink_to(pty.path)
    for _ in range(2):
        driver = JbdDriver(Line(SerialTransport(str(link))), SystemClock(), name="b1")
        sample = await driver.read()
        assert (sample.voltage_v, sample.cells_v) == (13.2, (3.3, 3.3, 3.3, 3.3))
        await driver.close()
        await asyncio.sleep(0)


async def test_missing_device() -> None:
    """A path that is not there is named with the system's words."""
    line = Line(SerialTransport("/dev/ttyNONE"))
    driver = JbdDriver(line, SystemClock(), name="b1")
    with pytest.raises(UnavailableError, match="/dev/ttyNONE: no such file or directory"):
        await driver.read()


async def test_not_a_terminal(tmp_path: Path) -> None:
    """A file that is no terminal is unavailable, not a crash."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    with pytest.raises(UnavailableError, match="file: is no serial port"):
        await JbdDriver(Line(SerialTransport(str(path))), SystemClock(), name="b1").read()


async def test_held_exclusively(pty: Pty) -> None:
    """A second opener of a port in use is told so."""
    pty.attach(FakeBoard().respond)
    first = JbdDriver(Line(SerialTransport(pty.path)), SystemClock(), name="b1")
    await first.read()
    with pytest.raises(UnavailableError, match="in use by another program"):
        await JbdDriver(Line(SerialTransport(pty.path)), SystemClock(), name="b2").read()
    await first.close()


async def test_unplugged_and_back(tmp_path: Path) -> None:
    """A terminal that vanishes under a request fails it; the link's new terminal is opened by the next one."""
    link = tmp_path / "pack"
    first, second = Pty(), Pty()
    link.symlink_to(first.path)
    board = FakeBoard()
    first.attach(board.respond)
    line = Line(SerialTransport(str(link)))
    driver = JbdDriver(line, SystemClock(), name="b1")
    await driver.read()
    board.deaf.update({3, 4})
    asyncio.get_running_loop().call_later(0.05, first.unplug)
    with pytest.raises(UnavailableError, match="pack: "):
        await driver.read()
    with pytest.raises(UnavailableError, match="pack: "):
        await driver.read()
    link.unlink()
    link.symlink_to(second.path)
    second.attach(FakeBoard().respond)
    assert (await driver.read()).voltage_v == 13.2
    assert line.counters["losses"] == 1
    await driver.close()
    second.unplug()


async def test_unplugged_while_idle(pty: Pty) -> None:
    """A loss between requests is noticed without one and the next request fails by opening."""
    pty.attach(FakeBoard().respond)
    line = Line(SerialTransport(pty.path))
    driver = JbdDriver(line, SystemClock(), name="b1")
    await driver.read()
    pty.unplug()
    await until_lost(line)
    with pytest.raises(UnavailableError):
        await driver.read()


async def test_cancelled_open_leaves_the_port_free(pty: Pty) -> None:
    """A caller that gives up while the port opens does not keep it."""
    pty.attach(FakeBoard().respond)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await JbdDriver(Line(SerialTransport(pty.path)), SystemClock(), name="b1").read()
    driver = JbdDriver(Line(SerialTransport(pty.path)), SystemClock(), name="b2")
    async with asyncio.timeout(5):
        while True:
            try:
                await driver.read()
                break
            except UnavailableError:
                await asyncio.sleep(0.01)
    await driver.close()


async def test_a_port_that_takes_nothing_does_not_block(pty: Pty) -> None:
    """When nobody reads the far end, writes fail once the kernel's buffer is full, and closing does not wait for it."""
    transport = SerialTransport(pty.path)
    line = Line(transport)
    await transport.open(line)

    def fill() -> None:
        for _ in range(10_000):
            transport.write(bytes(1000))

    with pytest.raises(UnavailableError):
        fill()
    transport.close()
    await asyncio.sleep(0.01)
    with pytest.raises(UnavailableError, match="closed"):
        transport.write(b"x")
