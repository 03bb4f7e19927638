"""A simulated board's line: a pseudo-terminal behind a symlink, or memory alone."""

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bosd.drivers.jbd.simulator.pacing import PacedReceiver, PacedSender
from bosd.drivers.jbd.simulator.station import Station, Transmission
from bosd.errors import InvalidArgumentError

_BATCH_BYTES = 8
"""Most bytes taken from the sender before the wire would have carried them; the rest waits in the sender's buffer."""

_MEMORY_BUFFER_BYTES = 65536


class Line(Protocol):
    """What the board's end is attached to."""

    bytes_refused: int
    sender: PacedSender

    @property
    def plugged(self) -> bool:
        """Whether the line exists."""
        ...

    def open(self) -> None:
        """Bring the line up."""
        ...

    def close(self) -> None:
        """Hang up and forget everything in flight."""
        ...

    def unplug(self, seconds: float) -> None:
        """Vanish for `seconds`."""
        ...


class PtyLine:
    """One pseudo-terminal behind a symlink, bound to the running loop; `open`, `close` and `unplug` may be repeated.

    The slave side stays open here, so that clients can come and go without the line being hung up.
    """

    def __init__(self, link: Path, station: Station) -> None:
        self.link = link
        self.bytes_refused = 0
        self._loop = asyncio.get_running_loop()
        self.sender = PacedSender(self._loop, station.byte_s, self._write)
        self._receiver = PacedReceiver(self._loop, station, self._heard)
        self._master = self._slave = -1
        self._replug_timer: asyncio.TimerHandle | None = None

    @property
    def plugged(self) -> bool:
        """Whether the pseudo-terminal exists."""
        return self._master >= 0

    def open(self) -> None:
        """Create the pseudo-terminal and its link; InvalidArgumentError where the link cannot be made."""
        check_link(self.link)
        self._master, self._slave = os.openpty()
        try:
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            replace_link(self.link, os.ttyname(self._slave))
        except OSError as error:
            self._close_ends()
            raise InvalidArgumentError(f"link {self.link}: {error.strerror}", key="link") from error
        self._loop.add_reader(self._master, self._readable)

    def close(self) -> None:
        """Hang up, remove the link and forget everything in flight."""
        if self._replug_timer is not None:
            self._replug_timer.cancel()
        self._replug_timer = None
        self.sender.clear()
        self._receiver.clear()
        if not self.plugged:
            return
        self._loop.remove_reader(self._master)
        with contextlib.suppress(OSError):
            if self.link.readlink() == Path(os.ttyname(self._slave)):
                self.link.unlink()
        self._close_ends()

    def unplug(self, seconds: float) -> None:
        """Vanish for `seconds`: clients see a hang-up, the link is gone, and a new pseudo-terminal takes its place."""
        self.close()
        self._replug_timer = self._loop.call_later(seconds, self.open)

    def _readable(self) -> None:
        """Take what the wire can carry at a time and leave the rest until it has arrived."""
        try:
            data = os.read(self._master, _BATCH_BYTES)
        except BlockingIOError:
            return
        self._loop.remove_reader(self._master)
        self._receiver.take(data)

    def _heard(self, replies: list[Transmission]) -> None:
        if self.plugged:
            self._loop.add_reader(self._master, self._readable)
            self.sender.send(replies)

    def _write(self, data: bytes) -> None:
        """Put bytes on the line; a client that does not read loses them, as it would at a real port."""
        try:
            written = os.write(self._master, data)
        except BlockingIOError:
            written = 0
        self.bytes_refused += len(data) - written

    def _close_ends(self) -> None:
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1


class MemoryLine:
    """The same pace without a descriptor, for any loop including one whose clock jumps.

    Bytes go in by `write`; what the board sends comes out at `on_bytes`, a hang-up at `on_hangup`. Bytes written while
    unplugged, or beyond 64 KiB waiting for the wire, are lost and counted.
    """

    def __init__(self, station: Station) -> None:
        self.bytes_refused = 0
        self.on_bytes: Callable[[bytes], None] = lambda _data: None
        self.on_hangup: Callable[[], None] = lambda: None
        self._loop = asyncio.get_running_loop()
        self.sender = PacedSender(self._loop, station.byte_s, self._write)
        self._receiver = PacedReceiver(self._loop, station, self._heard)
        self._waiting = bytearray()
        self._busy = self._plugged = False
        self._replug_timer: asyncio.TimerHandle | None = None

    @property
    def plugged(self) -> bool:
        """Whether the line is up."""
        return self._plugged

    def open(self) -> None:
        """Bring the line up."""
        self._plugged = True

    def close(self) -> None:
        """Hang up and forget everything in flight."""
        if self._replug_timer is not None:
            self._replug_timer.cancel()
        self._replug_timer = None
        self.sender.clear()
        self._receiver.clear()
        self._waiting.clear()
        was_plugged, self._plugged, self._busy = self._plugged, False, False
        if was_plugged:
            self.on_hangup()

    def unplug(self, seconds: float) -> None:
        """Hang up for `seconds`."""
        self.close()
        self._replug_timer = self._loop.call_later(seconds, self.open)

    def write(self, data: bytes) -> None:
        """Send `data` to the board."""
        room = _MEMORY_BUFFER_BYTES - len(self._waiting) if self._plugged else 0
        self._waiting += data[:room]
        self.bytes_refused += len(data) - len(data[:room])
        self._take()

    def _write(self, data: bytes) -> None:
        self.on_bytes(data)

    def _take(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            data = bytes(self._waiting[:_BATCH_BYTES])
            del self._waiting[:_BATCH_BYTES]
            self._receiver.take(data)

    def _heard(self, replies: list[Transmission]) -> None:
        self._busy = False
        if self._plugged:
            self.sender.send(replies)
            self._take()


def check_link(link: Path) -> None:
    """Raise InvalidArgumentError unless `link` is free, dangling, or leads to a pseudo-terminal."""
    if link.is_symlink():
        if link.exists() and not link.readlink().is_relative_to("/dev/pts"):
            raise InvalidArgumentError(
                f"{link} is a link to {link.readlink()}, not to a pseudo-terminal: not replaced", key="link"
            )
    elif link.exists():
        raise InvalidArgumentError(f"{link} exists and is not a symbolic link: not replaced", key="link")
    elif not link.parent.is_dir():
        raise InvalidArgumentError(f"{link}: the folder {link.parent} does not exist", key="link")


def replace_link(link: Path, target: str) -> None:
    """Make `link` lead to `target` in one step, so that nobody finds it missing."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
