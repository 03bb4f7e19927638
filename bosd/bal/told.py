"""What keeps over restarts what devices were told; it is written by the store (told_book.py)."""

from typing import Protocol


class Told(Protocol):
    """What devices that hold were told, over restarts, by place."""

    def left_a(self, place: str) -> float:
        """Return what a device may run, 0.0 where nothing is known."""
        ...

    async def note(self, key: str, value: float) -> bool:
        """Note, durably, what a device is about to be told; return whether that took time. Raises UnavailableError."""
        ...

    def confirmed(self, place: str, current_a: float) -> None:
        """Note what a device has confirmed; never waits."""
        ...

    def note_soon(self, key: str, value: float) -> None:
        """Note what a device may run already; never waits."""
        ...

    def not_told(self, place: str, runs_a: float) -> None:
        """Note that a device goes on with `runs_a`, and was not told what was noted last; never waits."""
        ...
