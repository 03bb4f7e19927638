"""One pack with its board as a unit on a line: model, station, faults and settings, and what may be asked of them."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Protocol

from bosd.drivers.far_end.checks import check_number
from bosd.drivers.far_end.pacing import Transmission
from bosd.drivers.jbd.simulator.faults import FaultRule, Injector, parse_rule
from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.outgoing import Outgoing
from bosd.drivers.jbd.simulator.plant import Plant
from bosd.drivers.jbd.simulator.protocol import Board
from bosd.drivers.jbd.simulator.settings import Settings
from bosd.drivers.jbd.simulator.station import Station
from bosd.errors import InvalidArgumentError

_LONGEST_REPLAY_BYTES = 4096
_LONGEST_ADVANCE_S = 366 * 86400.0


class Surroundings(Protocol):
    """What a unit needs of the line and the loop it lives on."""

    def now_s(self) -> float:
        """Return the time since the start."""
        ...

    def later(self, at_s: float, act: Callable[[], None], owner: object) -> None:
        """Call `act` at `at_s` unless `owner` forgets it."""
        ...

    def forget(self, owner: object) -> None:
        """Cancel what `owner` has waiting."""
        ...

    def send(self, said: list[Transmission]) -> None:
        """Put what a board says unasked on the line."""
        ...

    def unplug(self, seconds: float) -> None:
        """Take the line away for `seconds`."""
        ...

    def reset(self) -> None:
        """Break the connection."""
        ...

    def note(self, entry: dict[str, object]) -> None:
        """Write `entry` to the log."""
        ...


class Unit:
    """One pack on a line; errors in arguments raise InvalidArgumentError with `metadata["key"]`."""

    def __init__(self, options: SimulatorOptions, around: Surroundings, windows: list[tuple[float, float]]) -> None:
        self.options = options
        self.plant = Plant(options)
        self.board = Board(options, self.plant)
        self.injector = Injector(options.rng("faults"), self._note)
        self.station = Station(options, self.board, self.injector, options.rng("turnaround"), windows)
        self.station.note = self._note
        self.station.unplug = around.unplug
        self.station.reset = around.reset
        self.settings = Settings(self.board, self.station, around.now_s)
        self._around = around

    def start(self) -> None:
        """Begin to live at the present, awake."""
        self.injector.epoch_s = self._around.now_s()
        self.plant.update(self._around.now_s())
        self.station.set_asleep(False, self._around.now_s())  # noqa: FBT003 - a state

    def set(self, values: Mapping[str, object]) -> None:
        """Change the state: all of `values`, or none (keys: settings.Settings)."""
        self.settings.set(values)
        self._note({"event": "set", "at_s": self._around.now_s(), **values})

    def state(self) -> dict[str, object]:
        """Return the state (settings.Settings.state)."""
        return self.settings.state()

    def inject(self, request: Mapping[str, object]) -> None:
        """Add a fault (faults.parse_rule); those of the board without probability act by the clock, at once by default."""
        now_s = self._around.now_s()
        rule = parse_rule(request, now_s)
        self._note({"event": "inject", "at_s": now_s, **request})
        if not rule.by_clock:
            self.injector.rules.append(rule)
        elif rule.starts_s <= now_s:
            self._strike(rule)
        else:
            self._around.later(rule.starts_s, lambda: self._strike(rule), self)

    def clear_faults(self) -> None:
        """Forget every fault not yet struck."""
        self.injector.rules.clear()
        self._around.forget(self)
        self._note({"event": "clear", "at_s": self._around.now_s()})

    def advance(self, seconds: object) -> None:
        """Move the model on by `seconds` at once; the line and its sleep timer do not notice."""
        span_s = check_number("seconds", seconds, 0.0, _LONGEST_ADVANCE_S)
        self.board.pass_time(self._around.now_s())
        self.plant.advance(span_s)
        self._note({"event": "advance", "at_s": self._around.now_s(), "seconds": span_s})

    def raw(self, register: object, response: bytes | None) -> None:
        """Answer `register` with exactly `response` from now on, empty for silence; None gives it back to the board."""
        number = int(check_number("register", register, 0, 255))
        if response is not None and len(response) > _LONGEST_REPLAY_BYTES:
            raise InvalidArgumentError(f"response_hex must be at most {_LONGEST_REPLAY_BYTES} bytes", key="response_hex")
        if response is None:
            self.station.raw.pop(number, None)
        else:
            self.station.raw[number] = response
        shown = None if response is None else response.hex()
        self._note({"event": "raw", "at_s": self._around.now_s(), "register": number, "response_hex": shown})

    def stats(self) -> dict[str, object]:
        """Return the counters of board, station and faults; times in seconds."""
        self.board.pass_time(self._around.now_s())
        return {
            **dataclasses.asdict(self.station.counts),
            **dataclasses.asdict(self.board.counts),
            "factory_mode": self.board.factory_mode,
            "turnaround_ms": list(self.station.turnaround_ms),
            "bytes_discarded": self.station.bytes_discarded,
            "faults": self.injector.struck,
            "faults_by_kind": dict(self.injector.struck_by_kind),
            "fault_log": list(self.injector.log)[-20:],
        }

    def _strike(self, rule: FaultRule) -> None:
        """Let a fault of the board act now, and again after `every_s` while its count lasts."""
        now_s, out = self._around.now_s(), Outgoing([])
        self.injector.strike(rule, out, now_s)
        self._around.send(self.station.say(out, now_s))
        if rule.count != 0 and rule.every_s is not None:
            self._around.later(rule.starts_s, lambda: self._strike(rule), self)

    def _note(self, entry: dict[str, object]) -> None:
        address = self.options.address
        self._around.note(entry if address is None else {**entry, "board": address})


def bytes_of(response_hex: object) -> bytes | None:
    """Return the bytes of a hexadecimal text, None for None; InvalidArgumentError for anything else."""
    if response_hex is None:
        return None
    try:
        return bytes.fromhex(response_hex)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        message = f"response_hex must be pairs of hexadecimal digits or null, not {json.dumps(response_hex, default=repr)[:80]}"
        raise InvalidArgumentError(message, key="response_hex") from error
