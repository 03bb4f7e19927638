"""Faults of a file, collected so that one run shows them all."""

import difflib
from collections.abc import Iterable

from bosd.errors import ConfigError

_SHOWN = 50


class FileFaults:
    """What is wrong with one file; `where` names it in the message."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._faults: list[tuple[str, str]] = []

    def __bool__(self) -> bool:
        return bool(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    @property
    def first(self) -> str:
        """The first fault in words, nothing where there is none."""
        return next((f"{place}: {text}" if place else text for place, text in self._faults), "")

    def add(self, place: str, text: str) -> None:
        """Note a fault at a place such as `battery[2] "agg".voltage_v`."""
        self._faults.append((place, text))

    def raise_any(self) -> None:
        """Raise one ConfigError that lists all faults (the first 50); metadata: path of the first, faults."""
        if not self._faults:
            return
        lines = [f"{place}: {text}" if place else text for place, text in self._faults[:_SHOWN]]
        if len(self._faults) == 1:
            message = f"{self.where}: {lines[0]}"
        else:
            more = [f"and {len(self._faults) - _SHOWN} more"] if len(self._faults) > _SHOWN else []
            message = "\n  ".join([f"{self.where}: {len(self._faults)} faults", *lines, *more])
        raise ConfigError(message, path=self._faults[0][0] or self.where, faults=len(self._faults))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint: the nearest known word, else all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"
