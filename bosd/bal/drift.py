"""Voltage drift of an aggregate's members: led out after a while outside the tolerance, back in after a while inside."""

import math
from collections.abc import Iterable

from bosd.bal.battery import Battery
from bosd.bal.spec import AggregatorSpec
from bosd.bal.status import BatteryStatus


class DriftJudge:
    """Remembers since when a member is on the other side of the tolerance.

    Outside for `voltage_drift_s` it is held out, inside for `voltage_return_s` it is back (bal.md, "Aggregators").
    """

    __slots__ = ("_held", "_since_s", "drift_s", "high_v", "low_v", "next_s", "return_s")

    def __init__(self, spec: AggregatorSpec) -> None:
        self.low_v = spec.voltage_v - spec.voltage_tolerance_v
        self.high_v = spec.voltage_v + spec.voltage_tolerance_v
        self.drift_s = spec.voltage_drift_s
        self.return_s = spec.voltage_return_s
        self.next_s = math.inf
        self._since_s: dict[Battery, float] = {}
        self._held: set[Battery] = set()

    @property
    def any_held_out(self) -> bool:
        """Whether a member is held out."""
        return bool(self._held)

    def forget_all_but(self, members: tuple[Battery, ...]) -> None:
        """Drop what is remembered of batteries that are no longer members."""
        self._since_s = {member: since_s for member, since_s in self._since_s.items() if member in members}
        self._held.intersection_update(members)

    def anyone_back(self, members: Iterable[tuple[Battery, BatteryStatus]], now_s: float) -> bool:
        """Judge each of the members; return whether one that was held out is back."""
        held = [(member.held_out, self._judge(member, status, now_s)) for member, status in members]
        return (True, False) in held

    def _judge(self, member: Battery, status: BatteryStatus, now_s: float) -> bool:
        """Return whether `member` is held out at `now_s`."""
        if status.voltage_v is None or status.capacity_ah == 0.0:
            return member.held_out
        outside = not self.low_v <= status.voltage_v <= self.high_v
        if outside == member.held_out:
            self._since_s.pop(member, None)
            return member.held_out
        since_s = self._since_s.setdefault(member, now_s)
        if now_s - since_s >= (self.drift_s if outside else self.return_s):
            del self._since_s[member]
            member.held_out = outside
            (self._held.add if outside else self._held.discard)(member)
        return member.held_out

    def settle(self, peculiar: Iterable[list[tuple[Battery, BatteryStatus]]]) -> None:
        """Forget members that are no longer peculiar; set `next_s` to the last instant before a judgement falls."""
        seen = {member for block in peculiar for member, _ in block}
        self._since_s = {member: since_s for member, since_s in self._since_s.items() if member in seen}
        if not self._since_s:
            self.next_s = math.inf
            return
        due = [since_s + (self.return_s if member.held_out else self.drift_s) for member, since_s in self._since_s.items()]
        self.next_s = math.nextafter(min(due), 0.0)
