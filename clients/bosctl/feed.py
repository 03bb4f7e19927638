"""Statuses as they change, through every loss of the connection."""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.connection import Connection
from clients.bosctl.errors import ExitStatus, Failure, from_rpc

FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 2.0
MAX_WAITING = 16
"""Messages read ahead; beyond them the node sees a slow reader and sends only the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The watch ended, or could not begin."""

    failure: Failure


Item = pb.WatchResponse | Lost


class Feed:
    """A thread that keeps one watch open and puts what it hears into a bounded queue."""

    def __init__(self, connect: Callable[[], Connection], names: Sequence[str], min_interval_s: float) -> None:
        self._connect = connect
        self._request = pb.WatchRequest(names=names, min_interval_s=min_interval_s)
        self._items: queue.Queue[Item] = queue.Queue(MAX_WAITING)
        self._closed = threading.Event()
        self._call: grpc.Future[pb.WatchResponse] | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def get(self, timeout_s: float) -> Item | None:
        """Return the next message or loss, None after `timeout_s` of silence."""
        try:
            return self._items.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def drop(self) -> None:
        """Give up the connection in use; the next one is tried at once."""
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
            self._put(Lost(failure=failure))
            self._closed.wait(retry_s)

    def _watch_once(self) -> tuple[bool, Failure]:
        """Read one connection to its end; tell whether it said anything, and how it ended."""
        heard = False
        with self._connect() as connection:
            call = connection.batteries.Watch(self._request, metadata=connection.metadata)
            self._call = call
            try:
                for response in call:
                    heard = True
                    self._put(response)
            except grpc.RpcError as error:
                return heard, from_rpc(error, connection.target)
            finally:
                call.cancel()
        target = connection.target
        return heard, Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", f"{target} ended the watch", {"target": target})

    def _put(self, item: Item) -> None:
        while not self._closed.is_set():
            try:
                self._items.put(item, timeout=LONGEST_RETRY_S)
            except queue.Full:
                continue
            return
