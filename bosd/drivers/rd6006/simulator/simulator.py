"""A whole simulated supply: plant, registers, line, control socket, and the wires to a pack."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bosd.drivers.far_end.checks import check_number, check_turnaround
from bosd.drivers.far_end.control import ControlServer
from bosd.drivers.far_end.memory_line import MemoryLine
from bosd.drivers.far_end.pty_line import PtyLine
from bosd.drivers.rd6006.simulator.device import RegisterBank
from bosd.drivers.rd6006.simulator.faults import Injector, parse_rule
from bosd.drivers.rd6006.simulator.options import SimulatorOptions
from bosd.drivers.rd6006.simulator.pack import PackWire
from bosd.drivers.rd6006.simulator.plant import Plant
from bosd.drivers.rd6006.simulator.station import Station
from bosd.errors import InvalidArgumentError

_LONGEST_OFF_S = 86400.0
STATE = (
    *("set_voltage_v", "set_current_a", "ovp_v", "ocp_a", "input_voltage_v", "battery_voltage_v", "temperature_c"),
    *("output_on", "boot_output", "protection", "voltage_v", "current_a", "constant_current", "accepts"),
)
"""What `get` shows of the plant."""


class Rd6006Simulator:
    """One supply at `options.link`, or in memory without one, between `async with` and its end.

    `set` is what a person does at the front panel and what the surroundings do; `inject` adds faults.
    Errors in arguments raise InvalidArgumentError with `metadata["key"]`.
    """

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.plant = Plant(options)
        self.bank = RegisterBank(options, self.plant)
        self.injector = Injector(options.rng("faults"), self.bank, self._note)
        self.station = Station(options, self.bank, self.injector, options.rng("turnaround"))
        self.line: PtyLine | MemoryLine | None = None
        self._wire = None if options.pack_control is None else PackWire(options.pack_control, self.plant)
        self._group = asyncio.TaskGroup()
        self._exchange: asyncio.Task[None] | None = None
        self._control: ControlServer | None = None
        self._log: IO[str] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
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
        await self._group.__aexit__(None, None, None)

    async def _start(self) -> None:
        options = self.options
        if options.log is not None:
            try:
                self._log = options.log.open("a")
            except OSError as error:
                raise InvalidArgumentError(f"log {options.log}: {error.strerror}", key="log") from error
        self.station.note = self._note
        self.line = MemoryLine(self.station) if options.link is None else PtyLine(options.link, self.station)
        self.line.open()
        if options.control is not None:
            self._control = ControlServer(options.control, self._handle)
            await self._control.start()
        if self._wire is not None:
            self._exchange = self._group.create_task(self._wire.run(), name="pack wire")

    def close(self) -> None:
        """Hang up and remove link and control socket; may be called again."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._exchange is not None:
            self._exchange.cancel()
        if self._wire is not None:
            self._wire.close()
        if self._control is not None:
            self._control.close()
        if self.line is not None:
            self.line.close()
        if self._log is not None:
            self._log.close()
            self._log = None

    @property
    def link(self) -> Path:
        """Where the pseudo-terminal appears; InvalidArgumentError for a supply in memory."""
        if self.options.link is None:
            raise InvalidArgumentError("link: this supply is in memory and has none", key="link")
        return self.options.link

    @property
    def memory(self) -> MemoryLine:
        """The line of a supply in memory; InvalidArgumentError for one on a pseudo-terminal, or before the start."""
        if not isinstance(self.line, MemoryLine):
            raise InvalidArgumentError("link: only a started supply without a link has a line in memory", key="link")
        return self.line

    def set(self, /, **values: object) -> None:
        """Change the state: all of `values`, or none. `output` is the front panel's button."""
        effects = [self._effect(key, value) for key, value in values.items()]
        for effect in effects:
            effect()
        self.plant.update()
        self._moved()

    def _effect(self, key: str, value: object) -> Callable[[], None]:
        plant = self.plant
        ranges = {
            "set_voltage_v": (0.0, 62.0),
            "set_current_a": (0.0, plant.build.max_current_a * 1.02),
            "ovp_v": (0.0, 62.0),
            "ocp_a": (0.0, plant.build.max_current_a * 1.1),
            "input_voltage_v": (0.0, 80.0),
            "battery_voltage_v": (0.0, 100.0),
            "temperature_c": (-40.0, 150.0),
            "excess_v": (0.0, 100.0),
            "excess_a": (0.0, 100.0),
        }
        if key in ranges:
            number = check_number(key, value, *ranges[key])
            return lambda: setattr(plant, key, number)
        if key in ("output", "boot_output", "accepts"):
            if not isinstance(value, bool):
                raise InvalidArgumentError(f"{key} must be true or false, not {value!r}", key=key)
            return (lambda: plant.switch(on=value)) if key == "output" else (lambda: setattr(plant, key, value))
        if key == "turnaround_ms":
            pair = check_turnaround(value)
            return lambda: setattr(self.station, "turnaround_ms", pair)
        known = ", ".join([*ranges, "output", "boot_output", "accepts", "turnaround_ms"])
        raise InvalidArgumentError(f"{key} cannot be set; known: {known}", key=key)

    def get(self) -> dict[str, object]:
        """Return the state; currents are those out of the supply."""
        plant = self.plant
        return {
            "link": str(self.options.link or ""),
            "plugged": self.line is not None and self.line.plugged,
            "silent": self.station.silent,
            **{key: getattr(plant, key) for key in STATE},
        }

    def inject(self, /, **request: object) -> None:
        """Add a fault (faults.parse_rule), or let one begin that takes `seconds`: `silent`, `unplug`, `power_cycle`."""
        fault = request.get("fault")
        if fault not in ("silent", "unplug", "power_cycle"):
            self.injector.rules.append(parse_rule(request))
            return
        if unknown := request.keys() - {"fault", "seconds"}:
            key = min(unknown)
            raise InvalidArgumentError(f"{key} is not a key of fault {fault}; known: fault, seconds", key=key)
        seconds = check_number("seconds", request.get("seconds", 1.0), 0.0, _LONGEST_OFF_S)
        assert self.line is not None  # noqa: S101 (between start and close)
        if fault == "unplug":
            self.line.unplug(seconds)
            return
        if fault == "power_cycle":
            self.plant.switch(on=False)
            self._moved()
        self.station.silent = True
        self._later(str(fault), seconds)

    def _later(self, fault: str, seconds: float) -> None:
        if earlier := self._timers.pop(fault, None):
            earlier.cancel()
        self._timers[fault] = asyncio.get_running_loop().call_later(seconds, self._end, fault)

    def _end(self, fault: str) -> None:
        del self._timers[fault]
        self.station.silent = bool(self._timers)
        if fault == "power_cycle":
            self.plant.power_up()
            self._moved()

    def clear_faults(self) -> None:
        """Forget every fault not yet struck."""
        self.injector.rules.clear()

    def stats(self) -> dict[str, object]:
        """Return what went over the line, how many registers were written and how many faults struck."""
        return {**dataclasses.asdict(self.station.counts), "writes": self.bank.writes, "faults": self.injector.struck}

    def _moved(self) -> None:
        if self._wire is not None:
            self._wire.moved()

    def _note(self, entry: dict[str, object]) -> None:
        self._moved()
        if self._log is not None:
            self._log.write(json.dumps(entry) + "\n")
            self._log.flush()

    def _handle(self, request: dict[str, object]) -> dict[str, object]:
        arguments = {key: value for key, value in request.items() if key != "op"}
        operations: Mapping[str, Callable[..., dict[str, object] | None]] = {
            "set": self.set,
            "inject": self.inject,
            "clear": self.clear_faults,
            "get": lambda: {"state": self.get()},
            "stats": lambda: {"stats": self.stats()},
            "log": lambda: {"log": list(self.injector.log)},
        }
        op = request.get("op")
        if not isinstance(op, str) or op not in operations:
            raise InvalidArgumentError(f"op must be one of {', '.join(operations)}, not {op!r}", key="op")
        if arguments and op not in ("set", "inject"):
            raise InvalidArgumentError(f"{op} takes no arguments", key=min(arguments))
        return operations[op](**arguments) or {}
