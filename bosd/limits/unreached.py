"""What a node does not reach below its batteries, for limits on them: what that may run, and why that may be more than is known.

Nodes that limit these batteries from afar are told it with their statuses, and set it aside in turn.
"""

import math
from collections.abc import Sequence
from functools import partial, reduce

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import MOST_TOLD, Unreached
from bosd.bal.caps import is_beyond_reach
from bosd.bal.directory import Directory
from bosd.bal.partition import Partition
from bosd.bal.status import Link
from bosd.clock import Clock
from bosd.limits.grants import Grants
from bosd.limits.left_behind import is_gone
from bosd.limits.parts import efficiency_above, is_lost, is_stub, running, unreached_behind, with_a_part

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
        suspects = [leaf for leaf in self._directory if isinstance(leaf, DeviceLeaf) and self._is_suspect(leaf, now_s)]
        charge, discharge = (self._found(suspects, now_s, discharging=way) for way in (False, True))
        for battery in self._directory:
            told = charge.get(battery), discharge.get(battery)
            if not all(map(_is_same, told, battery.unreached)):
                battery.unreached = told
                battery.touch()

    def _found(self, suspects: Sequence[DeviceLeaf], now_s: float, *, discharging: bool) -> dict[Battery, Unreached | None]:
        """Return what is told of each battery that rests on one of these: what is below a partition has no part there."""
        if not suspects:
            return {}
        of_leaf = partial(self._of_leaf, now_s=now_s, discharging=discharging)
        below: dict[Battery, Unreached] = {leaf: of_leaf(leaf, has_part=True) for leaf in suspects}
        split: dict[Battery, Unreached] = {}
        if self._directory.splitters:
            split.update((leaf, of_leaf(leaf, has_part=False)) for leaf in suspects)
        for battery in self._directory.by_rank:
            for into, of_sources in ((below, split if isinstance(battery, Partition) else below), (split, split)):
                if told := [of_sources[each] for each in battery.sources if each in of_sources]:
                    into[battery] = reduce(_added, told)
        return {battery: _told(battery, each, discharging=discharging) for battery, each in below.items()}

    def _is_suspect(self, leaf: DeviceLeaf, now_s: float) -> bool:
        status = leaf.status(now_s)
        if not is_stub(leaf):
            return is_beyond_reach(leaf, status)
        if status.link is not Link.READY or leaf.lost_behind or leaf.unconfirmed_a is not None:
            return True
        ways = (False, True)
        refused = any(self._grants.refusal(leaf, now_s, discharging=way) for way in ways)
        return refused or any(leaf.unreached_behind(discharging=way) for way in ways)

    def unreached_below(self, battery: Battery, now_s: float, *, discharging: bool) -> Unreached | None:
        """Return what is not reached below a battery, None where nothing is that may run, as it is once that has `settled`."""
        with_parts = with_a_part(battery)
        found = Unreached()
        for leaf in members_of(battery):
            if isinstance(leaf, DeviceLeaf) and self._is_suspect(leaf, now_s):
                has_part = leaf in with_parts
                found = _added(found, self._of_leaf(leaf, now_s, discharging=discharging, has_part=has_part, settled=True))
        return _told(battery, found, discharging=discharging)

    def _of_leaf(self, leaf: DeviceLeaf, now_s: float, *, discharging: bool, has_part: bool, settled: bool = False) -> Unreached:
        why, within_s = self._judged(leaf, now_s, discharging=discharging, has_part=has_part)
        aside_w, aside_a = (
            self._aside(leaf, now_s, watts=watts, discharging=discharging, settled=settled) if has_part else 0.0
            for watts in (True, False)
        )
        return Unreached(aside_w, aside_a, why, within_s)

    def _aside(self, leaf: DeviceLeaf, now_s: float, *, watts: bool, discharging: bool, settled: bool) -> float:
        """Return what may run of a leaf unreached, at the grid's side of it; `settled` as `Grants.aside` has it."""
        if not is_stub(leaf):
            held = not settled and is_lost(leaf, now_s)
            return running(leaf, now_s, watts=watts, discharging=discharging) if held else 0.0
        if leaf.status(now_s).link is Link.READY:
            return unreached_behind(leaf, watts=watts, discharging=discharging)
        return self._grants.aside(leaf, now_s, watts=watts, discharging=discharging, settled=settled)

    def _judged(self, leaf: DeviceLeaf, now_s: float, *, discharging: bool, has_part: bool) -> tuple[str, float]:
        """Return why a leaf may run more than is known, and within what time it does not."""
        told = leaf.unreached_behind(discharging=discharging) or Unreached()
        ready = leaf.status(now_s).link is Link.READY
        if why := self._unbound(leaf, now_s, told, discharging=discharging, has_part=has_part):
            return why, 0.0
        if ready or not is_stub(leaf):
            return _holding(leaf, now_s), told.within_s
        if has_part and self._grants.bounds(leaf, discharging=discharging):
            return "", told.within_s
        if leaf.alone_limit_w(discharging=discharging) is not None:
            return "", max(told.within_s, leaf.let_go_s or 0.0)
        held = "holds what it was told" if leaf.let_go_s is None else "may run what its bookings or others ask for"
        held = held if has_part else "has no part of the limit as it is split"
        return f"{leaf.name} is not heard, {held}, and has no alone limit", 0.0

    def _unbound(self, leaf: DeviceLeaf, now_s: float, told: Unreached, *, discharging: bool, has_part: bool) -> str:
        """Return why no part of a limit binds a stub, whether it is heard or not; empty where one may."""
        if not is_stub(leaf):
            return ""
        status = leaf.status(now_s)
        if is_gone(status):
            return f"{leaf.name} is no battery of its node any more: a part would stand for its name alone"
        if told.why:
            return f"{leaf.name}, behind its node: {told.why}"
        refusal = self._grants.refusal(leaf, now_s, discharging=discharging) if has_part and status.link is Link.READY else ""
        return f"{leaf.name} does not take its part: {refusal}" if refusal else ""

    def asides(self, battery: Battery, now_s: float, *, watts: bool, discharging: bool) -> dict[str, float]:
        """Return by stub below, through aggregates alone, what may run there unreached once that has settled."""
        stubs = [leaf for leaf in with_a_part(battery) if isinstance(leaf, DeviceLeaf) and is_stub(leaf)]
        found = {leaf.name: self._aside(leaf, now_s, watts=watts, discharging=discharging, settled=True) for leaf in stubs}
        return {name: most for name, most in sorted(found.items()) if most}


def _added(one: Unreached, other: Unreached) -> Unreached:
    return Unreached(
        one.aside_w + other.aside_w, one.aside_a + other.aside_a, one.why or other.why, max(one.within_s, other.within_s)
    )


def _told(battery: Battery, below: Unreached, *, discharging: bool) -> Unreached | None:
    """Return what is told of a battery where this is not reached below it, at the grid's side of all its leaves."""
    part = efficiency_above(battery, discharging=discharging)
    aside_w = below.aside_w * part if discharging else below.aside_w / part
    found = Unreached(min(aside_w, MOST_TOLD), min(below.aside_a, MOST_TOLD), below.why, below.within_s)
    return None if found == Unreached() else found


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
