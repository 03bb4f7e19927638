"""What this node has other nodes' batteries run, over restarts: by when each is safe by itself.

A set point is never stored. That there may be one is, before it is sent: a node that starts anew counts what an earlier run of it
may have left running until its owner is heard (control.md, "When something dies").
"""

import operator
from pathlib import Path

from bosd.store.noted_book import NotedBook, is_number

FILE = "running.json"


class RunningBook(NotedBook[float | None]):
    """Batteries that may run something for this node, each with the bound its owner announced, None where it holds on."""

    def __init__(self, state_dir: Path) -> None:
        """Read what is there."""
        super().__init__(state_dir / FILE, _bound_s, operator.eq)

    def bound_s(self, key: str) -> float | None:
        """Return how long a battery may run on unheard; None: until contact. Raises KeyError for one that is not noted."""
        return self.value(key)


def _bound_s(value: object) -> float | None:
    """Return a bound as it was written; what is none counts as one that never ends."""
    return float(value) if is_number(value) and value >= 0.0 else None
