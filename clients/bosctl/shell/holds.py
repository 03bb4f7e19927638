"""Currents that hold until they are changed: asked for again before they end, as long as the shell lives."""

import threading
from dataclasses import dataclass

from clients.bosctl.errors import Failure, is_passing
from clients.bosctl.shell.node import ShellNode
from clients.bosctl.shell.printing import Printer

LONGEST_TTL_S = 366.0 * 86400.0
"""The longest time to live a node takes."""
RETRY_S = 1.0


@dataclass(slots=True)
class _Hold:
    current_a: float
    ttl_s: float
    lost: bool = False


class Holds:
    """The currents this shell asks for. A thread of its own asks again at half of each one's time to live.

    One that ended by itself (empty, full, stopped, taken over) is let go of with a note.
    """

    def __init__(self, node: ShellNode, printer: Printer, *, longest: bool) -> None:
        self._node = node
        self._printer = printer
        self._longest = longest
        self._held: dict[str, _Hold] = {}
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def ask(self, name: str, current_a: float) -> float:
        """Ask for a current and hold it; return what is applied. Raises Failure; what was held before holds on then."""
        with self._lock:
            applied_a, ttl_s = self._ask(name, current_a)
            self._held[name] = _Hold(current_a, ttl_s)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="holds", daemon=True)
            self._thread.start()
        self._changed.set()
        return applied_a

    def _ask(self, name: str, current_a: float) -> tuple[float, float]:
        if not self._longest:
            answer = self._node.set_current(name, current_a, None)
            return answer.applied_current_a, answer.ttl_s
        try:
            answer = self._node.set_current(name, current_a, LONGEST_TTL_S)
        except Failure as failure:
            if failure.reason != "INVALID_ARGUMENT" or "maximum_s" not in failure.metadata:
                raise
            answer = self._node.set_current(name, current_a, float(failure.metadata["maximum_s"]))
        return answer.applied_current_a, answer.ttl_s

    def step_s(self) -> float | None:
        """Return how far time may be moved before the holds are to be renewed; None when nothing is held."""
        with self._lock:
            return min((hold.ttl_s / 2.0 for hold in self._held.values()), default=None)

    def renew(self) -> None:
        """Ask again for everything that is held and still in force."""
        with self._lock:
            for name, hold in list(self._held.items()):
                try:
                    self._renew(name, hold)
                except Failure as failure:
                    self._failed(name, hold, failure)

    def _renew(self, name: str, hold: _Hold) -> None:
        status = self._node.status(name)
        ours = status.HasField("requested_current_a") and status.requested_current_a == hold.current_a
        if not ours and not hold.lost:
            del self._held[name]
            self._printer.note(f"{name}: {hold.current_a:g} A ended{f': {status.reason}' if status.reason else ''}")
            return
        _, hold.ttl_s = self._ask(name, hold.current_a)
        if hold.lost:
            hold.lost = False
            self._printer.note(f"{name}: {hold.current_a:g} A holds again")

    def _failed(self, name: str, hold: _Hold, failure: Failure) -> None:
        """Go on with what passes or is beyond the limits of the moment; let go of the rest."""
        if is_passing(failure) or failure.reason == "CURRENT_OUT_OF_RANGE":
            if not hold.lost and is_passing(failure):
                hold.lost = True
                self._printer.note(f"{name}: cannot be held now: {failure.message}; trying again")
        else:
            del self._held[name]
            self._printer.note(f"{name}: {hold.current_a:g} A is held no more: {failure.message}")

    def _run(self) -> None:
        while not self._ended:
            self._changed.clear()
            with self._lock:
                lost = any(hold.lost for hold in self._held.values())
            step_s = self.step_s()
            wait_s = step_s if step_s is None else min(step_s, RETRY_S) if lost else min(step_s, threading.TIMEOUT_MAX)
            if not self._changed.wait(wait_s):
                self.renew()

    def end(self) -> None:
        """Renew nothing any more; what was asked ends with its time to live."""
        self._ended = True
        self._changed.set()
