"""Faults put between the board's answer and the line: seeded, counted, scheduled and logged, so that a run can be repeated.

A rule says when one of the kinds of `fault_kinds` strikes: with a probability, so many times, on a schedule, on one register.
"""

import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bosd.drivers.far_end.checks import check_choice, check_number
from bosd.drivers.jbd.simulator.fault_kinds import FAULTS, Parameters
from bosd.drivers.jbd.simulator.outgoing import Held, Outgoing
from bosd.errors import InvalidArgumentError

_LOG_LENGTH = 1000


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
    """Applies the rules to each reply in the order they came and remembers the last 1000 strikes; `epoch_s` is the start."""

    def __init__(self, rng: random.Random, note: Callable[[dict[str, object]], None]) -> None:
        self._rng = rng
        self._note = note
        self.epoch_s = 0.0
        self.rules: list[FaultRule] = []
        self.log: deque[dict[str, object]] = deque(maxlen=_LOG_LENGTH)
        self.struck_by_kind: Counter[str] = Counter()
        self._held: list[Held] = []

    @property
    def struck(self) -> int:
        """How often any fault has struck."""
        return self.struck_by_kind.total()

    def apply(self, out: Outgoing, register: int, now_s: float) -> None:
        """Let every rule that is due act on the reply to `register`, behind the replies that were kept back before."""
        waiting, self._held = self._held, out.held
        for rule in self.rules:
            due = not rule.by_clock and now_s >= rule.starts_s and rule.register in (None, register)
            if due and self._rng.random() < (1.0 if rule.probability is None else rule.probability):
                self.strike(rule, out, now_s, register)
        self.rules = [rule for rule in self.rules if rule.count != 0]
        out.release(waiting)

    def strike(self, rule: FaultRule, out: Outgoing, now_s: float, register: int | None = None) -> None:
        """Let one rule act now, whatever its schedule says."""
        before = out.data
        FAULTS[rule.fault].apply(out, rule.parameters, self._rng, now_s - self.epoch_s)
        rule.used(now_s)
        self.struck_by_kind[rule.fault] += 1
        entry: dict[str, object] = {"event": "fault", "at_s": now_s, "fault": rule.fault, "register": register}
        entry |= {"before_hex": before.hex(), "after_hex": out.data.hex(), **rule.parameters}
        self.log.append(entry)
        self._note(entry)
