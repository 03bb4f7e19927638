"""Holding a set point: it is asked for again before it ends."""

import os
import sys
import threading
from typing import NoReturn

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.errors import Failure, is_passing
from clients.bosctl.session import Session

SHORTEST_WAIT_S = 0.05
LONGEST_RETRY_S = 2.0


def new_request_id() -> str:
    """Return an id by which the node knows a repeat of the same request."""
    return os.urandom(8).hex()


def keep_asking(session: Session, request: pb.SetCurrentRequest, ttl_s: float) -> NoReturn:
    """Ask at half the time to live, for ever; sooner again while the node cannot be reached. Raises Failure when refused."""
    asleep = threading.Event()
    if not session.as_json:
        _note(f"holding {request.name}: Ctrl-C lets it end")
    lost = False
    while True:
        wait_s = min(ttl_s / 4.0, LONGEST_RETRY_S) if lost else ttl_s / 2.0
        asleep.wait(max(wait_s, SHORTEST_WAIT_S))
        request.request_id = new_request_id()
        try:
            with session.connect() as connection:
                connection.call(connection.batteries.SetCurrent, request, doing=f"holding {request.name}")
        except Failure as failure:
            if not is_passing(failure):
                raise
            if not lost:
                _note(f"cannot hold {request.name} now: {failure.message}; trying again")
            lost = True
        else:
            if lost:
                _note(f"holding {request.name} again")
            lost = False


def _note(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
