"""Asking on every port, all at the same time: at each speed, each kind of device, by reading alone."""

import asyncio
import os.path
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bosd.drivers.line import Line
from bosd.drivers.port_holders import holders_of
from bosd.drivers.probe import Found, Probe
from bosd.drivers.transport import ByteTransport
from bosd.errors import ConfigError, DriverError, UnavailableError, UnsupportedError

State = Literal["found", "silent", "not understood", "in use", "not permitted", "not reached"]

_STATES: dict[str, State] = {"EBUSY": "in use", "EAGAIN": "in use", "EACCES": "not permitted", "EPERM": "not permitted"}
_PTS = "/dev/pts/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A port to ask on: how it is opened now, the address that stays, and what people call it (or empty)."""

    port: str
    address: str
    label: str = ""

    @property
    def bluetooth(self) -> bool:
        """Whether it is a Bluetooth address."""
        return self.port.startswith("ble://")

    @property
    def serial(self) -> bool:
        """Whether it is a serial port, whose speed is ours to choose."""
        return "://" not in self.port


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one port; `kind`, `role`, `baud` and `found` of a device that answered."""

    target: Target
    state: State
    detail: str = ""
    kind: str = ""
    role: str = ""
    baud: int = 0
    found: Found = field(default_factory=Found)


class Watcher(Protocol):
    """Who is told how it goes."""

    def began(self, target: Target, steps: int) -> None:
        """A port is begun, with so many questions to ask."""
        ...

    def asks(self, target: Target, kind: str, baud: int) -> None:
        """One question is asked."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """A port is done."""
        ...


def questions(probes: Sequence[Probe], *, bluetooth: bool) -> list[tuple[Probe, int]]:
    """Return what to ask in which order: every kind at its likeliest speed, then at its second, and so on."""
    if bluetooth:
        return [(probe, probe.bauds[0]) for probe in probes if probe.bluetooth]
    most = max((len(probe.bauds) for probe in probes), default=0)
    return [(probe, probe.bauds[turn]) for turn in range(most) for probe in probes if turn < len(probe.bauds)]


class Hunt:
    """Asks on ports; `open_transport` as in drivers.transport."""

    def __init__(self, probes: Sequence[Probe], watcher: Watcher, open_transport: Callable[[str, int], ByteTransport]) -> None:
        self._targets: list[Target] = []
        self._done: dict[Target, Outcome] = {}
        self._probes = probes
        self._watcher = watcher
        self._open_transport = open_transport

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What is known so far, in the order in which the ports were named."""
        return tuple(self._done[target] for target in self._targets if target in self._done)

    async def ask_all(self, targets: Sequence[Target]) -> None:
        """Ask on all of them at the same time."""
        self._targets += targets
        async with asyncio.TaskGroup() as group:
            for target in targets:
                group.create_task(self._ask(target), name=f"detect {target.port}")

    async def _ask(self, target: Target) -> None:
        asked = questions(self._probes, bluetooth=target.bluetooth)
        self._watcher.began(target, len(asked))
        outcome = await self._outcome(target, asked)
        self._done[target] = outcome
        self._watcher.ended(outcome)

    async def _outcome(self, target: Target, asked: Sequence[tuple[Probe, int]]) -> Outcome:
        # a program that takes no lock would lose bytes to us; simulators hold their own end of a pseudo-terminal
        if target.serial and (others := _other_programs(target.port)):
            return Outcome(target=target, state="in use", detail=f"by {others}")
        heard = ""
        for probe, baud in asked:
            self._watcher.asks(target, probe.kind, baud)
            try:
                line = Line(self._open_transport(target.port, baud))
            except (ConfigError, UnsupportedError) as error:
                return Outcome(target=target, state="not reached", detail=error.message)
            line.share()
            try:
                found = await probe.ask(line)
            except DriverError as error:
                heard = f"something answers {probe.kind} at {baud} baud, but not as it should: {_without(target, error.message)}"
                continue
            except UnavailableError as error:
                if line.counters["opens"]:
                    continue
                state = _STATES.get(error.metadata.get("cause", ""), "not reached")
                return Outcome(target=target, state=state, detail=_without(target, error.message).removeprefix(f"{state} "))
            finally:
                line.close()
            if found is not None:
                return Outcome(target=target, state="found", kind=probe.kind, role=probe.role, baud=baud, found=found)
        return Outcome(target=target, state="not understood" if heard else "silent", detail=heard)


def _other_programs(device: str) -> str:
    return "" if os.path.realpath(device).startswith(_PTS) else ", ".join(map(str, holders_of(device)))


def _without(target: Target, message: str) -> str:
    """Return the message without the port before it, which stands beside it anyway."""
    return message.removeprefix(f"{target.port}: ")
