"""Holding a set point: it is asked for again before it ends, and given back at an interrupt."""

import contextlib
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bosd.clock import SystemClock
from bosd.v1 import battery_pb2 as pb
from clients.bosctl.connection import COMMAND_TIMEOUT_S, FORCE_TIMEOUT_S, Connection
from clients.bosctl.errors import ExitStatus, Failure, is_passing
from clients.bosctl.feed import Feed
from clients.bosctl.session import Session
from clients.bosctl.watching import Heard, Lost, Picture

TICK_S = 0.2
"""How soon an interrupt is seen."""
SHORTEST_WAIT_S = 0.05
LONGEST_RETRY_S = 2.0
LEAST_PAUSE_S = 1.0
"""Between two times that it is asked for early, because the node shows that it ended."""
LEAST_ANSWER_S = 2.0
"""What is not heard is not waited for longer; nor is a renewal longer than what it renews lives, if that is more."""
SHOWN_DIGITS = 2
"""A change that nobody sees is none: amperes are shown with so many decimals."""

ENDING = (signal.SIGINT, signal.SIGTERM)

Show = Callable[[pb.SetCurrentResponse], None]


def new_request_id() -> str:
    """Return an id by which the node knows a repeat of the same request."""
    return os.urandom(8).hex()


class Interrupts:
    """Whether the program was asked to end, `came`; a second time ends it at once, `insisted`, and more change nothing."""

    def __init__(self) -> None:
        self.came = self.insisted = False

    def take(self, _number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        if self.came:
            self.insisted = True
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)
            raise KeyboardInterrupt
        self.came = True


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Take Ctrl-C and SIGTERM as a wish to end while the block runs."""
    asked = Interrupts()
    before = {number: signal.signal(number, asked.take) for number in ENDING}
    try:
        yield asked
    finally:
        for number, handler in () if asked.insisted else before.items():
            signal.signal(number, handler)


def ask(
    connection: Connection, request: pb.SetCurrentRequest, doing: str = "setting", within_s: float = math.inf
) -> pb.SetCurrentResponse:
    """Ask for a current; return the answer. Raises Failure."""
    timeout_s = FORCE_TIMEOUT_S if request.force else COMMAND_TIMEOUT_S
    answer: pb.SetCurrentResponse = connection.call(
        connection.batteries.SetCurrent, request, timeout_s=min(timeout_s, within_s), doing=f"{doing} {request.name}"
    )
    return answer


def hold(session: Session, connection: Connection, request: pb.SetCurrentRequest, show: Show) -> None:
    """Ask for a current until interrupted, then give it back; `show` gets the first answer, each change, and the end.

    Raises Failure when it is refused, or could not be given back.
    """
    with interrupts() as asked:
        answer = ask(connection, request)
        request.force = False  # a claim that is lost again is not taken over again and again
        show(answer)
        held = Hold(session, request, answer, show)
        if not session.as_json:
            note(f"holding {request.name}: Ctrl-C gives it back")
        feed = Feed(session.connect, [request.name], 0.0)
        feed.start()
        try:
            held.keep(feed, asked)
            held.end()
        except KeyboardInterrupt:
            note(f"{request.name} was not given back; {held.own_end()}")
            raise
        finally:
            feed.close()


class Hold:
    """A set point in force: when it ends, when it is asked for again, and what was shown of it last."""

    def __init__(self, session: Session, request: pb.SetCurrentRequest, answer: pb.SetCurrentResponse, show: Show) -> None:
        self._session = session
        self._request = request
        self._show = show
        self._clock = SystemClock()
        self._shown_a = round(answer.applied_current_a, SHOWN_DIGITS)
        self._picture = Picture()
        self._lost = False
        self._asked_s = self._due_s = self._ends_s = 0.0
        self._granted(answer)

    def _granted(self, answer: pb.SetCurrentResponse) -> None:
        self._ttl_s = answer.ttl_s
        self._asked_s = self._clock.now_s()
        self._ends_s = self._asked_s + self._ttl_s
        self._due_s = self._asked_s + max(self._ttl_s / 2.0, SHORTEST_WAIT_S)

    def keep(self, feed: Feed, asked: Interrupts) -> None:
        """Hold until interrupted. Raises Failure when refused; what is left of it is given back."""
        try:
            while not asked.came:
                self.attend(feed)
        except Failure:
            with contextlib.suppress(Failure):
                self.give_back()
            raise

    def own_end(self) -> str:
        """Return when it ends by itself, in words."""
        now_s = self._clock.now_s()
        return f"it ends by itself in {self._left(now_s)}" if self._ends_s > now_s else "its time to live is over"

    def attend(self, feed: Feed) -> None:
        """Take what is heard, for a moment; ask again when that is due. Raises Failure when refused."""
        wait_s = min(TICK_S, max(0.0, self._due_s - self._clock.now_s()))
        item = feed.get(wait_s)
        now_s = self._clock.now_s()
        if isinstance(item, Heard):
            self._picture.hear(item)
            if (known := item.batteries.get(self._request.name)) is not None:
                self._heard(known.status, now_s)
        elif isinstance(item, Lost):
            if is_passing(item.failure):
                self._unheard(item.failure, now_s)
        elif self._picture.silent_too_long(now_s):
            why = f"no word from {self._session.target}"
            self._unheard(Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", why), now_s)
            feed.drop()
        if self._clock.now_s() >= self._due_s:
            self._ask()

    def _heard(self, status: pb.BatteryStatus, now_s: float) -> None:
        ours = status.setpoint_source == pb.SETPOINT_SOURCE_MANUAL and status.requested_current_a == self._request.current_a
        if self._lost:
            self._due_s = now_s
        elif not ours:
            self._due_s = min(self._due_s, max(now_s, self._asked_s + LEAST_PAUSE_S))
        elif status.HasField("applied_current_a"):
            left_s = max(0.0, self._ends_s - now_s)
            self._tell(
                pb.SetCurrentResponse(
                    name=status.name,
                    requested_current_a=status.requested_current_a,
                    applied_current_a=status.applied_current_a,
                    setpoint_ends_at=status.setpoint_ends_at,
                    ttl_s=left_s,
                    reason=status.reason,
                )
            )

    def _unheard(self, failure: Failure, now_s: float) -> None:
        """Take that the watch is broken: news if it was not before, however often it is tried again."""
        if self._picture.lost_s is None:
            self._lose(failure.message, now_s)
        self._picture.lose(failure, now_s)

    def _tell(self, answer: pb.SetCurrentResponse) -> None:
        """Show what is applied where it is another current than was shown last."""
        applied_a = round(answer.applied_current_a, SHOWN_DIGITS)
        if applied_a != self._shown_a:
            self._shown_a = applied_a
            self._show(answer)

    def _lose(self, why: str, now_s: float) -> None:
        """Note, once, that it cannot be held now; ask again soon."""
        if not self._lost:
            self._lost = True
            note(f"cannot hold {self._request.name} now: {why}; asking again, {self.own_end()}")
        self._due_s = min(self._due_s, now_s + min(max(self._ttl_s / 4.0, SHORTEST_WAIT_S), LONGEST_RETRY_S))

    def _left(self, now_s: float) -> str:
        from clients.bosctl.format_text import duration  # noqa: PLC0415 (most holds lose nothing)

        return duration(max(0.0, self._ends_s - now_s))

    def _ask(self) -> None:
        self._request.request_id = new_request_id()
        within_s = max(LEAST_ANSWER_S, round(self._ends_s - self._clock.now_s(), 1))
        try:
            with self._session.connect() as connection:
                answer = ask(connection, self._request, "holding", within_s)
        except Failure as failure:
            if not is_passing(failure):
                raise
            self._due_s = math.inf
            self._lose(failure.message, self._clock.now_s())
            return
        self._granted(answer)
        if self._lost:
            self._lost = False
            note(f"holding {self._request.name} again")
        self._tell(answer)

    def give_back(self) -> pb.SetCurrentResponse:
        """End the set point; return what is in force then. Raises Failure."""
        with self._session.connect() as connection:
            request = pb.ClearCurrentRequest(name=self._request.name)
            doing = f"giving {self._request.name} back"
            within_s = LEAST_ANSWER_S if self._lost else COMMAND_TIMEOUT_S
            answer: pb.SetCurrentResponse = connection.call(
                connection.batteries.ClearCurrent, request, timeout_s=within_s, doing=doing
            )
        return answer

    def end(self) -> None:
        """End the set point and show what is in force then. Raises Failure that says when it ends by itself."""
        try:
            answer = self.give_back()
        except Failure as failure:
            left_s = max(0.0, self._ends_s - self._clock.now_s())
            message = f"{self._request.name} was not given back: {failure.message}; {self.own_end()}"
            raise Failure(failure.status, failure.reason, message, {**failure.metadata, "ends_in_s": f"{left_s:.3f}"}) from None
        self._show(answer)


def note(message: str) -> None:
    """Say something on stderr."""
    print(message, file=sys.stderr, flush=True)
