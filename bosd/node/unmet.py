"""What is asked of batteries and is not in force, since something below them refuses it: said once to the log, then to people."""

import re
from collections.abc import Callable, Iterable

from bosd.errors import BosError, DriverError, RequestError
from bosd.node.faults import Severity
from bosd.node.noticed import Noticed

SAID_AFTER_S = 5.0
"""What is only late by then has been told anew twice; what does not answer is an error of its own."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class Unmet:
    """The last failure of each component that is told again and again."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._since_s: dict[int, float] = {}
        self._failures: dict[int, tuple[str, BosError]] = {}

    def note(self, component: int, battery: str, error: BosError) -> bool:
        """Note why `battery` is not brought to what is asked; return whether that is news, numbers that move aside."""
        _, before = self._failures.get(component, ("", None))
        same = before is not None and type(before) is type(error) and _bare(before) == _bare(error)
        self._failures[component] = (battery, error)
        if not same:
            self._since_s[component] = self._now_s()
        return not same

    def met(self, component: int) -> None:
        """Note that what is asked is in force, or that nothing is asked any more."""
        self._failures.pop(component, None)
        self._since_s.pop(component, None)

    def clear(self) -> None:
        """Forget all: components are others by now."""
        self._failures.clear()
        self._since_s.clear()

    def noticed(self) -> Iterable[Noticed]:
        """Yield what has been refused for a while, and is not to be had by waiting."""
        long_ago_s = self._now_s() - SAID_AFTER_S
        for component, (battery, error) in self._failures.items():
            if self._since_s[component] <= long_ago_s and _is_refused(error):
                yield Noticed("NOT_IN_FORCE", Severity.MEDIUM, f"{error.reason}: {error.message}", "controller", battery)


def _is_refused(error: BosError) -> bool:
    """Tell whether it is no mere silence: several members that refuse for different reasons are one DriverError."""
    return isinstance(error, RequestError) or type(error) is DriverError


def _bare(error: BosError) -> str:
    return _NUMBER.sub("#", error.message)
