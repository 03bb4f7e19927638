"""What goes wrong between the supply's answer and the line: seeded, counted and logged, so that a run can be repeated."""

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bosd.drivers.far_end.checks import check_choice, check_number
from bosd.drivers.rd6006.simulator.device import RegisterBank, Request
from bosd.errors import InvalidArgumentError

_LOG_LENGTH = 1000
_COMMON = frozenset({"fault", "probability", "count", "register", "function"})


@dataclass(slots=True)
class Segment:
    """Bytes sent without a break, after `pause_s` of silence."""

    data: bytes
    pause_s: float = 0.0


@dataclass(slots=True)
class Outgoing:
    """A reply on its way."""

    segments: list[Segment]

    @property
    def data(self) -> bytes:
        """All bytes of all segments."""
        return b"".join(segment.data for segment in self.segments)


@dataclass(slots=True, kw_only=True)
class Rule:
    """When a fault strikes: at most `count` times, each time with `probability`, on `register` or `function` only."""

    fault: str
    probability: float = 1.0
    count: int | None = None
    register: int | None = None
    function: int | None = None
    number: float = 0.0

    def meets(self, request: Request) -> bool:
        """Return whether it may strike the reply to a request."""
        return self.register in (None, request.register) and self.function in (None, request.data[1])


_PARAMETERS: Mapping[str, tuple[str, float, float, float]] = {
    "delay": ("delay_s", 0.5, 0.0, 3600.0),
    "exception": ("code", 4, 1, 255),
    "truncate": ("keep_bytes", 4, 0, 256),
    "noise": ("bytes", 5, 1, 64),
}
"""The one number that some faults take: its name, its value when not given, its range."""
FAULTS = ("drop", "delay", "corrupt", "flip_bit", "truncate", "noise", "exception")


def parse_rule(request: Mapping[str, object]) -> Rule:
    """Return the rule that `request` asks for; InvalidArgumentError names the key at fault."""
    name = check_choice("fault", request.get("fault"), FAULTS)
    key, default, lowest, highest = _PARAMETERS.get(name, ("", 0.0, 0.0, 0.0))
    known = _COMMON | ({key} if key else frozenset())
    for each in request:
        if each not in known:
            raise InvalidArgumentError(f"{each} is not a key of fault {name}; known: {', '.join(sorted(known))}", key=each)
    count, register, function = (_whole(request, each) for each in ("count", "register", "function"))
    return Rule(
        fault=name,
        probability=check_number("probability", request.get("probability", 1.0), 0.0, 1.0),
        count=count,
        register=register,
        function=function,
        number=check_number(key, request.get(key, default), lowest, highest) if key else 0.0,
    )


def _whole(request: Mapping[str, object], key: str) -> int | None:
    return int(check_number(key, request[key], 0, 1e9)) if request.get(key) is not None else None


class Injector:
    """Applies the rules to each reply in the order they came and remembers the last 1000 strikes."""

    def __init__(self, rng: random.Random, bank: RegisterBank, note: Callable[[dict[str, object]], None]) -> None:
        self.rules: list[Rule] = []
        self.log: deque[dict[str, object]] = deque(maxlen=_LOG_LENGTH)
        self.struck = 0
        self._rng = rng
        self._bank = bank
        self._note = note

    def apply(self, request: Request, reply: bytes) -> Outgoing:
        """Return what becomes of a reply."""
        out = Outgoing([Segment(reply)] if reply else [])
        for rule in self.rules:
            if rule.meets(request) and self._rng.random() < rule.probability:
                self._strike(rule, request, out)
        self.rules = [rule for rule in self.rules if rule.count != 0]
        return out

    def _strike(self, rule: Rule, request: Request, out: Outgoing) -> None:
        before = out.data
        self._change(rule, request, out)
        if rule.count is not None:
            rule.count -= 1
        self.struck += 1
        entry: dict[str, object] = {"event": "fault", "fault": rule.fault, "register": request.register}
        entry |= {"before_hex": before.hex(), "after_hex": out.data.hex()}
        self.log.append(entry)
        self._note(entry)

    def _change(self, rule: Rule, request: Request, out: Outgoing) -> None:
        data = bytearray(out.data)
        match rule.fault:
            case "drop":
                data.clear()
            case "delay" if out.segments:
                out.segments[0].pause_s += rule.number
                return
            case "corrupt" if data:
                data[-1] ^= 0xFF
            case "flip_bit" if data:
                position = self._rng.randrange(len(data) * 8)
                data[position // 8] ^= 1 << position % 8
            case "truncate":
                del data[int(rule.number) :]
            case "noise":
                data[:0] = self._rng.randbytes(int(rule.number))
            case "exception":
                data[:] = self._bank.refuse(request.data[1], int(rule.number))
        pause_s = out.segments[0].pause_s if out.segments else 0.0
        out.segments = [Segment(bytes(data), pause_s)] if data else []
