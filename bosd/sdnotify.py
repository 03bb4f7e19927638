"""What systemd is told: ready, stopping, status, and that the loop is alive.

One datagram per message to the socket that NOTIFY_SOCKET names (sd_notify(3)); a leading `@` means Linux's abstract
namespace. Without the variable every method does nothing, so nothing else needs to know how the daemon was started.
"""

import asyncio
import os
import socket
from collections.abc import Mapping

_MICROSECONDS = 1e6
_BEATS_PER_WATCHDOG = 4
"""systemd.service(5) asks for at least two; with four, one late turn of the loop does not end the daemon."""


class Notifier:
    """The service manager, as seen from the daemon.

    `watchdog_s` is the time in seconds after which the manager ends a daemon it does not hear; None if it does not watch.
    """

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Notifier":
        """Return the manager that started this process, or one that ignores everything.

        A watchdog meant for another process (WATCHDOG_PID), or a period that is no number above zero, does not count.
        """
        period_us = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched = ours and period_us.isascii() and period_us.isdigit() and int(period_us) > 0
        return cls(environ.get("NOTIFY_SOCKET") or None, int(period_us) / _MICROSECONDS if watched else None)

    def ready(self, status: str = "") -> bool:
        """Say that the daemon serves; whoever waits for it goes on."""
        return self._send("READY=1", status)

    def stopping(self, status: str = "") -> bool:
        """Say that the daemon is on its way out."""
        return self._send("STOPPING=1", status)

    def status(self, text: str) -> bool:
        """Show `text` in `systemctl status`."""
        return self._send("", text)

    def beat(self) -> bool:
        """Put the watchdog off by one period."""
        return self._send("WATCHDOG=1", "")

    async def keep_alive(self) -> None:
        """Beat four times a period for as long as the loop turns; returns at once where nobody watches."""
        if self._socket is None or self.watchdog_s is None:
            return
        while True:
            self.beat()
            await asyncio.sleep(self.watchdog_s / _BEATS_PER_WATCHDOG)

    def close(self) -> None:
        """Let go of the socket; later messages are dropped. Idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, state: str, status: str) -> bool:
        """Send one message without waiting; return whether the manager has it.

        A manager that is gone, or whose queue is full, is its own trouble: the daemon goes on serving.
        """
        if self._socket is None or self._address is None:
            return False
        line = " ".join(status.split())  # a line break would start another assignment
        message = "\n".join(part for part in (state, f"STATUS={line}" if line else "") if part)
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError:
            return False
        return True
