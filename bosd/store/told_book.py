"""What regulators of this node may run, over restarts: the most that each was told.

A node that starts anew asks its devices first of all. One that gives no answer may go on with what an earlier run told it: that
counts until it answers, or has let go by itself (control.md, "When something dies"). What is raised beyond what is written is
written first; what is lowered, turned or ended is written soon, a little less not at all.
"""

from pathlib import Path

from bosd.bal.told import FILE
from bosd.store.noted_book import NotedBook, is_number

LEAST_PART, MORE_PART = 0.5, 1.1
"""What is lowered to less than this part of what is written is written anew; what rises by less than the other is written with as
much to spare: a limit that moves all the time wears no card."""


class ToldBook(NotedBook[float]):
    """The largest current (A, positive discharges) that each device may have been told, by its place."""

    def __init__(self, state_dir: Path) -> None:
        """Read what is there; what is no current counts as none."""
        super().__init__(state_dir / FILE, _current_a, _says)

    def left_a(self, place: str) -> float:
        """Return what the device may run; 0.0 where nothing is noted."""
        return self._noted.get(place, 0.0)

    def take(self, key: str, value: float) -> None:
        """Note what is about to be, here alone."""
        noted_a = self.left_a(key)
        super().take(key, MORE_PART * value if noted_a and 1.0 < value / noted_a < MORE_PART else value)

    def confirmed(self, place: str, current_a: float) -> None:
        """Note what the device has confirmed; never waits."""
        noted_a = self.left_a(place)
        if current_a == 0.0:
            self.forget(place)
        elif noted_a * current_a <= 0.0 or abs(current_a) < LEAST_PART * abs(noted_a):
            self.note_soon(place, current_a)

    def not_told(self, place: str, runs_a: float) -> None:
        """Note that a device goes on with `runs_a`: what was noted beyond that it was not told; never waits."""
        self.note_late(place, runs_a or None)


def _says(written_a: float, current_a: float) -> bool:
    return written_a * current_a > 0.0 and abs(written_a) >= abs(current_a)


def _current_a(value: object) -> float:
    """Return a current as it was written."""
    return float(value) if is_number(value) else 0.0
