"""Blocks: the members of an aggregator in groups, each with its own figures.

A change of one member costs one block and the sum of the blocks, not a pass over every member; the result is the same to the last
digit, since a full pass adds up in the same order.
"""

from bosd.bal.battery import TOUCHED, Battery
from bosd.bal.figures import NOTHING, Figures, add_up
from bosd.bal.status import BatteryStatus

BLOCK_SIZE = 64


class Block:
    """The figures of some members; those that need a closer look are in `peculiar` instead."""

    __slots__ = ("figures", "members", "peculiar", "valid_until_s")

    def __init__(self, members: tuple[Battery, ...]) -> None:
        self.members = members
        self.valid_until_s = TOUCHED
        self.figures = NOTHING
        self.peculiar: list[tuple[Battery, BatteryStatus]] = []

    def fill(self, now_s: float, low_v: float, high_v: float, *, any_held_out: bool) -> None:
        """Add up the members' statuses at `now_s`, but for those without figures, held out or outside `low_v`..`high_v`."""
        statuses = [
            battery._status if battery._valid_until_s >= now_s and battery._status is not None else battery.status(now_s)  # noqa: SLF001 (a call per member costs a fifth of the pass)
            for battery in self.members
        ]
        rows = [battery.figures for battery in self.members if battery.figures is not None]
        self.valid_until_s = min([status.valid_until_s for status in statuses])
        self.peculiar = []
        voltages_v = [row[1] for row in rows]
        if any_held_out or len(rows) < len(statuses) or min(voltages_v) < low_v or max(voltages_v) > high_v:
            rows = self._set_apart(statuses, low_v, high_v)
        self.figures = add_up(rows)

    def _set_apart(self, statuses: list[BatteryStatus], low_v: float, high_v: float) -> list[Figures]:
        rows = []
        for battery, status in zip(self.members, statuses, strict=True):
            row = battery.figures
            if row is None or battery.held_out or not low_v <= row.voltage_v <= high_v:
                self.peculiar.append((battery, status))
            else:
                rows.append(row)
        return rows
