"""Statuses as they change, through every loss of the connection."""

import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence

import grpc

from bosd.clock import SystemClock
from bosd.v1 import battery_pb2 as pb
from clients.bosctl.connection import Connection
from clients.bosctl.errors import ExitStatus, Failure, from_rpc
from clients.bosctl.watching import Heard, Lost

FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 2.0

Item = Heard | Lost


class Inbox:
    """What a slow reader has not taken yet: latest wins, so it never holds more than one status a battery.

    One reader. It waits for a byte of a socket pair, which Ctrl-C leaves as a KeyboardInterrupt at any instant; out of a
    Condition it may come as a RuntimeError. A reader that was interrupted is done with the inbox.
    """

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._lock = threading.Lock()
        self._filled, self._fill = socket.socketpair()  # holds one byte while there are items

    def close(self) -> None:
        """Give back what it holds open; nobody puts or gets any more."""
        self._filled.close()
        self._fill.close()

    def put(self, item: Item) -> None:
        """Add an item; one that follows its like is merged with it, and a loss that is over is forgotten."""
        with self._lock:
            items = self._items
            if isinstance(item, Heard) and len(items) >= 2 and isinstance(items[-2], Heard) and isinstance(items[-1], Lost):
                items.pop()
            last = items[-1] if items else None
            if isinstance(item, Heard) and isinstance(last, Heard):
                last.merge(item)
            elif isinstance(item, Lost) and isinstance(last, Lost):
                items[-1] = item
            else:
                items.append(item)
            if last is None:
                self._fill.send(b"x")

    def get(self, timeout_s: float) -> Item | None:
        """Return the next item, None after `timeout_s` without one."""
        ready, _, _ = select.select([self._filled], [], [], timeout_s)
        if not ready:
            return None
        with self._lock:
            item = self._items.popleft()
            if not self._items:
                self._filled.recv(1)
            return item


class Feed:
    """A thread that keeps one watch open and reads it at once, so that no status ages unseen."""

    def __init__(self, connect: Callable[[], Connection], names: Sequence[str], min_interval_s: float) -> None:
        self._connect = connect
        self._request = pb.WatchRequest(names=names, min_interval_s=min_interval_s)
        self._inbox = Inbox()
        self._clock = SystemClock()
        self._closed = threading.Event()
        self._call: grpc.Future[pb.WatchResponse] | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def get(self, timeout_s: float) -> Item | None:
        """Return what was heard, or a loss; None after `timeout_s` of silence."""
        return self._inbox.get(timeout_s)

    def drop(self) -> None:
        """Give up the connection in use; a new one is tried soon."""
        call = self._call
        if call is not None:
            call.cancel()

    def close(self) -> None:
        """End the watch."""
        self._closed.set()
        self.drop()

    def _run(self) -> None:
        retry_s = FIRST_RETRY_S
        while not self._closed.is_set():
            heard, failure = self._watch_once()
            retry_s = FIRST_RETRY_S if heard else min(2.0 * retry_s, LONGEST_RETRY_S)
            self._inbox.put(Lost(failure=failure))
            self._closed.wait(retry_s)
        self._inbox.close()

    def _watch_once(self) -> tuple[bool, Failure]:
        """Read one connection to its end; tell whether it said anything, and how it ended."""
        heard = False
        with self._connect() as connection:
            call = connection.batteries.Watch(self._request, metadata=connection.metadata)
            self._call = call
            try:
                for message in call:
                    heard = True
                    self._inbox.put(Heard.of(message, self._clock.now_s()))
            except grpc.RpcError as error:
                return heard, from_rpc(error, connection.target)
            finally:
                call.cancel()
        target = connection.target
        return heard, Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", f"{target} ended the watch", {"target": target})
