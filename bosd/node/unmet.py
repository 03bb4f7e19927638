"""What is asked of batteries and is not in force, since something below them refuses it: said once to the log, then to people."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from bosd.errors import BosError, DriverError, RequestError
from bosd.node.faults import Severity
from bosd.node.noticed import Noticed

SAID_AFTER_S = 5.0
"""What is only late by then has been told anew twice."""
UNANSWERED_AFTER_S = 15.0
"""What does not answer is an error of its own by then, and nobody waits for it; who goes on to say that it cannot now is none."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class _Failure(NamedTuple):
    battery: str
    error: BosError
    since_s: float


class Unmet:
    """The last failure of each component that is told again and again."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._failures: dict[int, _Failure] = {}

    def note(self, component: int, battery: str, error: BosError) -> bool:
        """Note why `battery` is not brought to what is asked; return whether that is news, numbers that move aside."""
        before = self._failures.get(component)
        same = before is not None and _is_same(before.error, error)
        self._failures[component] = _Failure(battery, error, before.since_s if before is not None and same else self._now_s())
        return not same

    def met(self, component: int) -> None:
        """Note that what is asked is in force, or that nothing is asked any more."""
        self._failures.pop(component, None)

    def clear(self) -> None:
        """Forget all: components are others by now."""
        self._failures.clear()

    def noticed(self) -> Iterable[Noticed]:
        """Yield what has been refused for a while, and is not to be had by waiting, or not in a longer while."""
        now_s = self._now_s()
        for battery, error, since_s in self._failures.values():
            if now_s >= since_s + (SAID_AFTER_S if _is_refused(error) else UNANSWERED_AFTER_S):
                yield Noticed("NOT_IN_FORCE", Severity.MEDIUM, f"{error.reason}: {error.message}", "controller", battery)


def _is_refused(error: BosError) -> bool:
    """Tell whether it is no mere silence: several members that refuse for different reasons are one DriverError."""
    return isinstance(error, RequestError) or type(error) is DriverError


def _is_same(one: BosError, other: BosError) -> bool:
    return type(one) is type(other) and _bare(one) == _bare(other)


def _bare(error: BosError) -> str:
    return _NUMBER.sub("#", error.message)
