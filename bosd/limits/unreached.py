"""What a node does not reach below its batteries, for limits on them: what that may run, and why that may be more than is known.

Nodes that limit these batteries from afar are told it with their statuses, and set it aside in turn.
"""

import math

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import ALL_REACHED, Unreached
from bosd.bal.caps import is_beyond_reach
from bosd.bal.directory import Directory
from bosd.bal.status import Link
from bosd.clock import Clock
from bosd.limits.grants import Grants
from bosd.limits.parts import efficiency_above, held_here, is_stub, unreached_behind, with_a_part

MOST = 1e8
"""As many watts or amperes as may be told; where no voltage is known there is no end of them."""
MOVE = 0.01
"""What may run is told anew when it has changed by more than this part of it, as parts are."""


class Reach:
    """Looks at what is not reached; `grants` know what was granted there."""

    def __init__(self, directory: Directory, clock: Clock, grants: Grants) -> None:
        self._directory = directory
        self._clock = clock
        self._grants = grants

    def attend(self) -> None:
        """Note at each battery what is not reached below it, for its status."""
        now_s = self._clock.now_s()
        leaves = [each for each in self._directory if isinstance(each, DeviceLeaf)]
        components = {leaf.component for leaf in leaves if self._is_suspect(leaf, now_s)}
        for battery in self._directory:
            told = ALL_REACHED
            if battery.component in components:
                told = (
                    self.unreached_below(battery, now_s, discharging=False),
                    self.unreached_below(battery, now_s, discharging=True),
                )
            if not all(map(_is_same, told, battery.unreached)):
                battery.unreached = told
                battery.touch()

    def _is_suspect(self, leaf: DeviceLeaf, now_s: float) -> bool:
        status = leaf.status(now_s)
        if not is_stub(leaf):
            return is_beyond_reach(leaf, status)
        if status.link is not Link.READY or leaf.lost_behind or leaf.unconfirmed_a is not None:
            return True
        ways = (False, True)
        refused = any(self._grants.refusal(leaf, now_s, discharging=way) for way in ways)
        return refused or any(leaf.unreached_behind(discharging=way) for way in ways)

    def unreached_below(self, battery: Battery, now_s: float, *, discharging: bool, settled: bool = False) -> Unreached | None:
        """Return what is not reached below a battery, None where nothing is that may run; `settled` as `Grants.aside` has it."""
        with_parts = with_a_part(battery)
        why, within_s = "", 0.0
        for leaf in members_of(battery):
            if isinstance(leaf, DeviceLeaf):
                leaf_why, leaf_s = self._judged(leaf, now_s, discharging=discharging, has_part=leaf in with_parts)
                why, within_s = why or leaf_why, max(within_s, leaf_s)
        aside_w, aside_a = (
            math.fsum(self.asides(battery, now_s, watts=watts, discharging=discharging, settled=settled).values())
            for watts in (True, False)
        )
        if not settled:
            aside_w += held_here(battery, now_s, watts=True, discharging=discharging)
            aside_a += held_here(battery, now_s, watts=False, discharging=discharging)
        part = efficiency_above(battery, discharging=discharging)
        aside_w = aside_w * part if discharging else aside_w / part
        found = Unreached(min(aside_w, MOST), min(aside_a, MOST), why, within_s)
        return None if found == Unreached() else found

    def _judged(self, leaf: DeviceLeaf, now_s: float, *, discharging: bool, has_part: bool) -> tuple[str, float]:
        """Return why a leaf may run more than is known, and within what time it does not."""
        told = leaf.unreached_behind(discharging=discharging) or Unreached()
        ready = leaf.status(now_s).link is Link.READY
        if told.why:
            return f"{leaf.name}, behind its node: {told.why}", 0.0
        refusal = self._grants.refusal(leaf, now_s, discharging=discharging) if has_part and ready and is_stub(leaf) else ""
        if refusal:
            return f"{leaf.name} does not take its part: {refusal}", 0.0
        if ready or not is_stub(leaf):
            return _holding(leaf, now_s), told.within_s
        if has_part and self._grants.bounds(leaf, discharging=discharging):
            return "", told.within_s
        if leaf.alone_limit_w(discharging=discharging) is not None:
            return "", max(told.within_s, leaf.let_go_s or 0.0)
        held = "holds what it was told" if leaf.let_go_s is None else "may run what its bookings or others ask for"
        held = held if has_part else "has no part of the limit as it is split"
        return f"{leaf.name} is not heard, {held}, and has no alone limit", 0.0

    def asides(self, battery: Battery, now_s: float, *, watts: bool, discharging: bool, settled: bool) -> dict[DeviceLeaf, float]:
        """Return what may run at stubs below, through aggregates alone, that is not reached here or behind their owners."""
        found = {}
        for leaf in with_a_part(battery):
            if isinstance(leaf, DeviceLeaf) and is_stub(leaf):
                ready = leaf.status(now_s).link is Link.READY
                found[leaf] = (
                    unreached_behind(leaf, watts=watts, discharging=discharging)
                    if ready
                    else self._grants.aside(leaf, now_s, watts=watts, discharging=discharging, settled=settled)
                )
        return found


def _holding(leaf: DeviceLeaf, now_s: float) -> str:
    """Say that a device of this node, or of one that is heard, is not reached and goes on; empty where it is not so."""
    if leaf.counts_at_a == 0.0 or leaf.let_go_s is not None:
        return ""
    if not is_stub(leaf):
        return f"{leaf.name} is not reached and holds what it was told" if is_beyond_reach(leaf, leaf.status(now_s)) else ""
    uncertain = leaf.lost_behind or leaf.unconfirmed_a is not None
    return f"{leaf.name} is not reached behind its node, and holds what it was told" if uncertain else ""


def _is_same(one: Unreached | None, other: Unreached | None) -> bool:
    """Tell whether both say the same, but for what is too small to be moved."""
    if one is None or other is None:
        return one is other
    close = math.isclose(one.aside_w, other.aside_w, rel_tol=MOVE) and math.isclose(one.aside_a, other.aside_a, rel_tol=MOVE)
    return close and (one.why, one.within_s) == (other.why, other.within_s)
