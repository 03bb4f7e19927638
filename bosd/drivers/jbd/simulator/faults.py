"""Faults put between the board's answer and the line: seeded, counted, scheduled and logged, so that a run can be repeated.

A fault is one entry of `FAULTS`: what it does to an outgoing reply and which parameters it takes. A reply is a list of
segments, each with a pause before it, so that faults which split, repeat, prefix or hold back fit the same form.
"""

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bosd.drivers.jbd.simulator.options import check_choice, check_number
from bosd.errors import InvalidArgumentError

_LOG_LENGTH = 1000


@dataclass(slots=True)
class Segment:
    """Bytes sent without a break, after `pause_s` of silence."""

    data: bytes
    pause_s: float = 0.0


@dataclass(slots=True)
class Outgoing:
    """A reply on its way, and what happens to the board with it."""

    segments: list[Segment]
    sleep: bool = False
    unplug_s: float | None = None

    @property
    def data(self) -> bytes:
        """All bytes of all segments."""
        return b"".join(segment.data for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number a fault takes: its value when not given, and its range."""

    default: float
    lowest: float
    highest: float


Parameters = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One way to go wrong; `strikes_board` marks those that need no reply to act."""

    apply: Callable[[Outgoing, Parameters, random.Random], None]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    strikes_board: bool = False


def _drop(out: Outgoing, _parameters: Parameters, _rng: random.Random) -> None:
    out.segments.clear()


def _delay(out: Outgoing, parameters: Parameters, _rng: random.Random) -> None:
    if out.segments:
        out.segments[0].pause_s += parameters["delay_s"]


def _flip_bit(out: Outgoing, _parameters: Parameters, rng: random.Random) -> None:
    data = bytearray(out.data)
    if data:
        position = rng.randrange(len(data) * 8)
        data[position // 8] ^= 1 << position % 8
        _replace(out, data)


def _corrupt_checksum(out: Outgoing, _parameters: Parameters, rng: random.Random) -> None:
    data = bytearray(out.data)
    if len(data) > 3:
        data[-2] ^= rng.randrange(1, 256)
        _replace(out, data)


def _truncate(out: Outgoing, parameters: Parameters, _rng: random.Random) -> None:
    _replace(out, out.data[: int(parameters["keep_bytes"])])


def _sleep(out: Outgoing, _parameters: Parameters, _rng: random.Random) -> None:
    out.sleep = True


def _unplug(out: Outgoing, parameters: Parameters, _rng: random.Random) -> None:
    out.segments.clear()
    out.unplug_s = parameters["seconds"]


def _replace(out: Outgoing, data: bytes | bytearray) -> None:
    """Send `data` in one piece, after the pause the reply had."""
    pause_s = out.segments[0].pause_s if out.segments else 0.0
    out.segments = [Segment(bytes(data), pause_s)] if data else []


FAULTS: dict[str, FaultKind] = {
    "drop": FaultKind(_drop),
    "delay": FaultKind(_delay, {"delay_s": Parameter(0.5, 0.0, 3600.0)}),
    "corrupt": FaultKind(_corrupt_checksum),
    "flip_bit": FaultKind(_flip_bit),
    "truncate": FaultKind(_truncate, {"keep_bytes": Parameter(7.0, 0.0, 262.0)}),
    "sleep": FaultKind(_sleep, strikes_board=True),
    "unplug": FaultKind(_unplug, {"seconds": Parameter(1.0, 0.0, 86400.0)}, strikes_board=True),
}


@dataclass(slots=True, kw_only=True)
class FaultRule:
    """When a fault strikes: from `starts_s` on, at most `count` times, each time with `probability`, on `register` only.

    With `every_s` at least that long after the last time. None means without that bound.
    """

    fault: str
    starts_s: float
    probability: float | None = None
    count: int | None = None
    every_s: float | None = None
    register: int | None = None
    parameters: Parameters

    @property
    def by_clock(self) -> bool:
        """Whether the rule acts on the board by itself instead of waiting for replies."""
        return FAULTS[self.fault].strikes_board and self.probability is None and self.register is None

    def used(self, now_s: float) -> None:
        """Count one strike at `now_s`."""
        if self.count is not None:
            self.count -= 1
        if self.every_s is not None:
            self.starts_s = now_s + self.every_s


def parse_rule(request: Mapping[str, object], now_s: float) -> FaultRule:
    """Return the rule that `request` asks for at `now_s`; InvalidArgumentError names the key at fault.

    Keys: fault, probability (0..1), count, after_s, every_s, register, and the fault's own parameters.
    """
    name = check_choice("fault", request.get("fault"), tuple(FAULTS))
    kind = FAULTS[name]
    known = {"fault", "probability", "count", "after_s", "every_s", "register", *kind.parameters}
    for key in request:
        if key not in known:
            raise InvalidArgumentError(f"{key} is not a key of fault {name}; known: {', '.join(sorted(known))}", key=key)
    count = _optional(request, "count", 1, 1e9)
    register = _optional(request, "register", 0, 255)
    rule = FaultRule(
        fault=name,
        starts_s=now_s + (_optional(request, "after_s", 0.0, 1e9) or 0.0),
        probability=_optional(request, "probability", 0.0, 1.0),
        count=None if count is None else int(count),
        every_s=_optional(request, "every_s", 0.001, 1e9),
        register=None if register is None else int(register),
        parameters={
            key: check_number(key, request.get(key, one.default), one.lowest, one.highest) for key, one in kind.parameters.items()
        },
    )
    if rule.by_clock and rule.count is None and rule.every_s is None:
        rule.count = 1
    if rule.by_clock and rule.count != 1 and rule.every_s is None:
        raise InvalidArgumentError(f"every_s is needed to let {name} strike more than once", key="every_s")
    return rule


def _optional(request: Mapping[str, object], key: str, lowest: float, highest: float) -> float | None:
    return check_number(key, request[key], lowest, highest) if request.get(key) is not None else None


class Injector:
    """Applies the rules to each reply in the order they came and remembers the last 1000 strikes."""

    def __init__(self, rng: random.Random, note: Callable[[dict[str, object]], None]) -> None:
        self._rng = rng
        self._note = note
        self.rules: list[FaultRule] = []
        self.log: deque[dict[str, object]] = deque(maxlen=_LOG_LENGTH)
        self.struck = 0

    def apply(self, out: Outgoing, register: int, now_s: float) -> None:
        """Let every rule that is due act on the reply to `register`."""
        for rule in self.rules:
            due = not rule.by_clock and now_s >= rule.starts_s and rule.register in (None, register)
            if due and self._rng.random() < (1.0 if rule.probability is None else rule.probability):
                self.strike(rule, out, now_s, register)
        self.rules = [rule for rule in self.rules if rule.count != 0]

    def strike(self, rule: FaultRule, out: Outgoing, now_s: float, register: int | None = None) -> None:
        """Let one rule act now, whatever its schedule says."""
        before = out.data
        FAULTS[rule.fault].apply(out, rule.parameters, self._rng)
        rule.used(now_s)
        self.struck += 1
        entry: dict[str, object] = {"event": "fault", "at_s": now_s, "fault": rule.fault, "register": register}
        entry |= {"before_hex": before.hex(), "after_hex": out.data.hex(), **rule.parameters}
        self.log.append(entry)
        self._note(entry)
