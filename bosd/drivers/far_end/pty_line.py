"""A line on a pseudo-terminal behind a symlink."""

import asyncio
import contextlib
import os
import tty
from pathlib import Path

from bosd.drivers.far_end.pacing import Hearer, PacedReceiver, PacedSender, Transmission
from bosd.errors import InvalidArgumentError

_BATCH_BYTES = 8
"""Most bytes taken from the sender before the wire would have carried them; the rest waits in the sender's buffer."""


class PtyLine:
    """One pseudo-terminal behind a symlink, bound to the running loop; `open`, `close` and `unplug` may be repeated.

    The slave side stays open here, so that clients can come and go without the line being hung up.
    """

    def __init__(self, link: Path, hearer: Hearer) -> None:
        self.link = link
        self.bytes_refused = 0
        self._loop = asyncio.get_running_loop()
        self.sender = PacedSender(self._loop, hearer.byte_s, self._write)
        self._receiver = PacedReceiver(self._loop, hearer, self._heard)
        self._master = self._slave = -1
        self._replug_timer: asyncio.TimerHandle | None = None

    @property
    def plugged(self) -> bool:
        """Whether the pseudo-terminal exists."""
        return self._master >= 0

    def where(self) -> str:
        """Return the link."""
        return f"link={self.link}"

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

    def reset(self) -> None:
        """Hang up, with a new pseudo-terminal at once."""
        self.close()
        self.open()

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
