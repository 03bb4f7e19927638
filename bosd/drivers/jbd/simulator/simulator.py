"""A whole simulated device: one or several packs with their boards, a line, and a control socket under one roof."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bosd.drivers.far_end.control import ControlServer
from bosd.drivers.far_end.line import FarLine, far_line
from bosd.drivers.far_end.memory_line import MemoryLine
from bosd.drivers.far_end.pacing import Transmission
from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.unit import Unit, bytes_of
from bosd.errors import InvalidArgumentError

_KEYS: dict[str, set[str]] = {
    "advance": {"seconds"},
    "raw": {"register", "response_hex"},
    "get": set(),
    "stats": set(),
    "clear": set(),
}
"""What each operation of the control socket takes; `set` and `inject` check their own."""


class JbdSimulator:
    """The packs of `options` on one line between `async with` and its end; several simulators may live on one loop.

    The line is a pseudo-terminal at `options.link`, a TCP port at `options.tcp`, or memory. Everything the control socket
    offers is a method here: `set`, `get`, `inject`, `clear_faults`, `advance`, `stats`, `raw`; they act on the first board,
    and on another one through `unit`. Errors in arguments raise InvalidArgumentError with `metadata["key"]`.
    """

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        windows: list[tuple[float, float]] = []
        self.units = [Unit(one, self, windows) for one in options.each_board()]
        self.byte_s = 10.0 / options.baud
        self.line: FarLine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started_s = 0.0
        self._control: ControlServer | None = None
        self._log: IO[str] | None = None
        self._timers: dict[asyncio.TimerHandle, object] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up and remove link and control socket; may be called again."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._control is not None:
            self._control.close()
        if self.line is not None:
            self.line.close()
        if self._log is not None:
            self._log.close()
            self._log = None

    def hang_up_control(self) -> None:
        """Break the connections to the control socket."""
        if self._control is not None:
            self._control.hang_up()

    @property
    def link(self) -> Path:
        """Where the pseudo-terminal appears; InvalidArgumentError for a line that is none."""
        if self.options.link is None:
            raise InvalidArgumentError("link: this line is not a pseudo-terminal and has none", key="link")
        return self.options.link

    @property
    def memory(self) -> MemoryLine:
        """The line in memory; InvalidArgumentError for one on a pseudo-terminal or TCP, or before the start."""
        if not isinstance(self.line, MemoryLine):
            raise InvalidArgumentError("link: only a started pack without link and tcp has a line in memory", key="link")
        return self.line

    def unit(self, board: object = None) -> Unit:
        """Return the board with that address, the first one for None; InvalidArgumentError names those there are."""
        if board is None:
            return self.units[0]
        for one in self.units:
            if isinstance(board, int) and one.options.address == board:
                return one
        known = ", ".join(str(one.options.address) for one in self.units if one.options.address is not None)
        raise InvalidArgumentError(f"board must be one of {known or 'none: it has no address'}, not {board!r}", key="board")

    def set(self, /, **values: object) -> None:
        """Change the first board's state (unit.Unit.set)."""
        self.units[0].set(values)

    def get(self, board: object = None) -> dict[str, object]:
        """Return a board's state and where its line is."""
        line = self.line
        return {
            "link": str(self.options.link or ""),
            "line": line.where() if line else "",
            "plugged": line is not None and line.plugged,
            "boards": [one.options.address for one in self.units],
            **self.unit(board).state(),
        }

    def inject(self, /, **request: object) -> None:
        """Add a fault to the first board (unit.Unit.inject)."""
        self.units[0].inject(request)

    def clear_faults(self) -> None:
        """Forget every fault of every board not yet struck."""
        for one in self.units:
            one.clear_faults()

    def advance(self, seconds: object) -> None:
        """Move every board's model on by `seconds` at once."""
        for one in self.units:
            one.advance(seconds)

    def raw(self, register: object, response: bytes | None) -> None:
        """Give the first board a fixed answer (unit.Unit.raw)."""
        self.units[0].raw(register, response)

    def stats(self, board: object = None) -> dict[str, object]:
        """Return the counters of the line and of one board; times in seconds."""
        line = self.line
        return {
            **self.unit(board).stats(),
            "bytes_refused": line.bytes_refused if line else 0,
            "shortest_span_error_s": line.sender.shortest_span_error_s if line else None,
        }

    def receive(self, data: bytes, started_s: float) -> list[Transmission]:
        """Let every board hear `data` and return what they answer, in the order in which it begins."""
        if len(self.units) == 1:
            return self.units[0].station.receive(data, started_s)
        said = [reply for one in self.units for reply in one.station.receive(data, started_s)]
        return sorted(said, key=lambda reply: reply.segments[0][0])

    def now_s(self) -> float:
        """Return the loop's time, 0 before the start."""
        return self._loop.time() if self._loop is not None else 0.0

    def later(self, at_s: float, act: Callable[[], None], owner: object) -> None:
        """Call `act` at `at_s` unless `owner` forgets it."""
        assert self._loop is not None  # noqa: S101 - only a running simulator is told to wait

        def due() -> None:
            del self._timers[handle]
            act()

        handle = self._loop.call_at(at_s, due)
        self._timers[handle] = owner

    def forget(self, owner: object) -> None:
        """Cancel what `owner` has waiting."""
        for timer in [timer for timer, whose in self._timers.items() if whose is owner]:
            timer.cancel()
            del self._timers[timer]

    def send(self, said: list[Transmission]) -> None:
        """Put what a board says unasked on the line, if it is plugged in."""
        if said and self.line is not None and self.line.plugged:
            self.line.sender.send(said)

    def unplug(self, seconds: float) -> None:
        """Take the line away for `seconds`."""
        if self.line is not None:
            self.line.unplug(seconds)

    def reset(self) -> None:
        """Break the connection."""
        if self.line is not None:
            self.line.reset()

    def note(self, entry: dict[str, object]) -> None:
        """Write `entry` to the log, its time counted from the start."""
        if self._log is None:
            return
        at_s = entry.get("at_s")
        since = {"at_s": round(at_s - self._started_s, 6)} if isinstance(at_s, float) else {}
        self._log.write(json.dumps(entry | since) + "\n")

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started_s = self._loop.time()
        if self.options.log is not None:
            self._log = _open_log(self.options.log)
            self.note({"event": "start", "at_s": self._started_s, **self.options.shown()})
        for one in self.units:
            one.start()
        self.line = far_line(self.options.link, self.options.tcp, self)
        self.line.open()
        if self.options.control is not None:
            self._control = ControlServer(self.options.control, self._handle)
            await self._control.start()

    def _handle(self, request: dict[str, object]) -> dict[str, object]:
        """Serve one request of the control socket; `board` picks one of several, otherwise the first."""
        arguments = {key: value for key, value in request.items() if key not in ("op", "board")}
        board = request.get("board")
        operations: dict[str, Callable[[], object]] = {
            "set": lambda: self.unit(board).set(arguments),
            "get": lambda: {"state": self.get(board)},
            "inject": lambda: self.unit(board).inject(arguments),
            "clear": lambda: self.unit(board).clear_faults(),
            "advance": lambda: self.unit(board).advance(**arguments),
            "stats": lambda: {"stats": self.stats(board)},
            "raw": lambda: self.unit(board).raw(arguments["register"], bytes_of(arguments["response_hex"])),
        }
        operation = request.get("op")
        if not isinstance(operation, str) or operation not in operations:
            raise InvalidArgumentError(f"op must be one of {', '.join(operations)}, not {operation!r}", key="op")
        expected = _KEYS.get(operation)
        if expected is not None and set(arguments) != expected:
            wrong = next(iter(set(arguments) ^ expected))
            known = ", ".join(sorted(expected)) or "none"
            raise InvalidArgumentError(f"{operation} takes exactly these keys: {known}; wrong or missing: {wrong}", key=wrong)
        answer = operations[operation]()
        return answer if isinstance(answer, dict) else {}


def _open_log(path: Path) -> IO[str]:
    try:
        return path.open("a", buffering=1, encoding="utf-8")
    except OSError as error:
        raise InvalidArgumentError(f"log {path}: {error.strerror}", key="log") from error
