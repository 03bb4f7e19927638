"""A whole simulated pack: model, board, line and control socket under one roof."""

import asyncio
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bosd.drivers.jbd.simulator.control import ControlServer
from bosd.drivers.jbd.simulator.faults import FaultRule, Injector, Outgoing, parse_rule
from bosd.drivers.jbd.simulator.line import MemoryLine, PtyLine
from bosd.drivers.jbd.simulator.options import SimulatorOptions, check_number
from bosd.drivers.jbd.simulator.plant import Plant
from bosd.drivers.jbd.simulator.protocol import Board
from bosd.drivers.jbd.simulator.settings import Settings
from bosd.drivers.jbd.simulator.station import Station
from bosd.errors import InvalidArgumentError

_LONGEST_REPLAY_BYTES = 4096
_LONGEST_ADVANCE_S = 366 * 86400.0


class JbdSimulator:
    """One pack at `options.link`, or in memory without one, between `async with` and its end; several may live on one loop.

    Everything the control socket offers is a method here: `set`, `get`, `inject`, `clear_faults`, `advance`, `stats`, `raw`.
    Errors in arguments raise InvalidArgumentError with `metadata["key"]`.
    """

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.plant = Plant(options)
        self.board = Board(options, self.plant)
        self.injector = Injector(options.rng("faults"), self._note)
        self.station = Station(options, self.board, self.injector, options.rng("turnaround"))
        self.settings = Settings(self.board, self.station, self._now_s)
        self.line: PtyLine | MemoryLine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._control: ControlServer | None = None
        self._log: IO[str] | None = None
        self._timers: set[asyncio.TimerHandle] = set()

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

    @property
    def link(self) -> Path:
        """Where the pseudo-terminal appears; InvalidArgumentError for a pack in memory."""
        if self.options.link is None:
            raise InvalidArgumentError("link: this pack is in memory and has none", key="link")
        return self.options.link

    @property
    def memory(self) -> MemoryLine:
        """The line of a pack in memory; InvalidArgumentError for one on a pseudo-terminal, or before the start."""
        if not isinstance(self.line, MemoryLine):
            raise InvalidArgumentError("link: only a started pack without a link has a line in memory", key="link")
        return self.line

    def set(self, /, **values: object) -> None:
        """Change the state: all of `values`, or none (keys: settings.Settings)."""
        self.settings.set(values)

    def get(self) -> dict[str, object]:
        """Return the state (settings.Settings.state)."""
        return {
            "link": str(self.options.link or ""),
            "plugged": self.line is not None and self.line.plugged,
            **self.settings.state(),
        }

    def inject(self, /, **request: object) -> None:
        """Add a fault (faults.parse_rule); `sleep` and `unplug` without probability act by the clock, at once by default."""
        rule = parse_rule(request, self._now_s())
        if not rule.by_clock:
            self.injector.rules.append(rule)
        elif rule.starts_s <= self._now_s():
            self._strike(rule)
        else:
            self._later(rule.starts_s, lambda: self._strike(rule))

    def clear_faults(self) -> None:
        """Forget every fault not yet struck."""
        self.injector.rules.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def advance(self, seconds: object) -> None:
        """Move the model on by `seconds` at once; the line and its sleep timer do not notice."""
        self.board.pass_time(self._now_s())
        self.plant.advance(check_number("seconds", seconds, 0.0, _LONGEST_ADVANCE_S))

    def raw(self, register: object, response: bytes | None) -> None:
        """Answer `register` with exactly `response` from now on, empty for silence; None gives it back to the board."""
        number = int(check_number("register", register, 0, 255))
        if response is None:
            self.station.raw.pop(number, None)
        elif len(response) > _LONGEST_REPLAY_BYTES:
            raise InvalidArgumentError(f"response_hex must be at most {_LONGEST_REPLAY_BYTES} bytes", key="response_hex")
        else:
            self.station.raw[number] = response

    def stats(self) -> dict[str, object]:
        """Return the counters of line, board and faults; times in seconds."""
        line = self.line
        return {
            **dataclasses.asdict(self.station.counts),
            **dataclasses.asdict(self.board.counts),
            "turnaround_ms": list(self.station.turnaround_ms),
            "bytes_discarded": self.station.bytes_discarded,
            "bytes_refused": line.bytes_refused if line else 0,
            "shortest_span_error_s": line.sender.shortest_span_error_s if line else None,
            "faults": self.injector.struck,
            "fault_log": list(self.injector.log)[-20:],
        }

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self.options.log is not None:
            self._log = _open_log(self.options.log)
            self.station.note = self._note
        self.plant.update(self._now_s())
        self.station.set_asleep(False, self._now_s())  # noqa: FBT003 - a state
        self.line = PtyLine(self.options.link, self.station) if self.options.link else MemoryLine(self.station)
        self.line.open()
        self.station.unplug = self.line.unplug
        if self.options.control is not None:
            self._control = ControlServer(self.options.control, self._handle)
            await self._control.start()

    def _handle(self, request: dict[str, object]) -> dict[str, object]:
        """Serve one request of the control socket."""
        arguments = {key: value for key, value in request.items() if key != "op"}
        operations: dict[str, Callable[..., dict[str, object] | None]] = {
            "set": self.set,
            "get": lambda: {"state": self.get()},
            "inject": self.inject,
            "clear": self.clear_faults,
            "advance": self.advance,
            "stats": lambda: {"stats": self.stats()},
            "raw": lambda register, response_hex: self.raw(register, _bytes_of(response_hex)),
        }
        keys = {"advance": {"seconds"}, "raw": {"register", "response_hex"}, "get": set(), "stats": set(), "clear": set()}
        operation = request.get("op")
        if not isinstance(operation, str) or operation not in operations:
            raise InvalidArgumentError(f"op must be one of {', '.join(operations)}, not {operation!r}", key="op")
        expected = keys.get(operation)
        if expected is not None and set(arguments) != expected:
            wrong = next(iter(set(arguments) ^ expected))
            known = ", ".join(sorted(expected)) or "none"
            raise InvalidArgumentError(f"{operation} takes exactly these keys: {known}; wrong or missing: {wrong}", key=wrong)
        return operations[operation](**arguments) or {}

    def _strike(self, rule: FaultRule) -> None:
        """Let a fault of the board act now, and again after `every_s` while its count lasts."""
        now_s, out = self._now_s(), Outgoing([])
        self.injector.strike(rule, out, now_s)
        if out.sleep:
            self.station.set_asleep(True, now_s)  # noqa: FBT003 - a state
        if out.unplug_s is not None and self.line is not None:
            self.line.unplug(out.unplug_s)
        if rule.count != 0 and rule.every_s is not None:
            self._later(rule.starts_s, lambda: self._strike(rule))

    def _later(self, at_s: float, act: Callable[[], None]) -> None:
        assert self._loop is not None  # noqa: S101 - only a running simulator is told to wait

        def due() -> None:
            self._timers.discard(handle)
            act()

        handle = self._loop.call_at(at_s, due)
        self._timers.add(handle)

    def _now_s(self) -> float:
        return self._loop.time() if self._loop is not None else 0.0

    def _note(self, entry: dict[str, object]) -> None:
        if self._log is not None:
            self._log.write(json.dumps(entry) + "\n")


def _open_log(path: Path) -> IO[str]:
    try:
        return path.open("a", buffering=1, encoding="utf-8")
    except OSError as error:
        raise InvalidArgumentError(f"log {path}: {error.strerror}", key="log") from error


def _bytes_of(response_hex: object) -> bytes | None:
    if response_hex is None:
        return None
    try:
        return bytes.fromhex(response_hex)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        message = f"response_hex must be pairs of hexadecimal digits or null, not {response_hex!r}"
        raise InvalidArgumentError(message, key="response_hex") from error
