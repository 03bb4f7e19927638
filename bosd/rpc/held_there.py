"""Who else holds a battery at its owner, as far as its stub knows (control.md, "Owners, sessions, claims")."""

import math

from bosd.bal.status import BatteryStatus, SetpointSource
from bosd.errors import BosError


class HeldThere:
    """The claim of somebody else on a battery of another node: seen in its status, or taken from `own`, this node, by force.

    `own` is what its owner calls this node. What was taken is `free` once nobody's set point has been seen for `free_for_s`:
    while a claim is taken there is none for a moment, until the device is at its safe value.
    """

    __slots__ = ("_asks", "_free_at_s", "_free_for_s", "own", "taken_by")

    def __init__(self, own: str, free_for_s: float) -> None:
        self.own = own
        self.taken_by = ""
        self._free_at_s, self._free_for_s = math.inf, free_for_s
        self._asks = False

    @property
    def free_at_s(self) -> float:
        """When it is free, if nothing is seen until then; monotonic, for ever without a sight of it."""
        return self._free_at_s

    def take(self, by: str) -> None:
        """Note that `by` holds it in place of this node."""
        self.taken_by, self._free_at_s, self._asks = by, math.inf, False

    def forget(self) -> bool:
        """Forget what was taken; return whether anything was."""
        taken, self.taken_by, self._free_at_s = bool(self.taken_by), "", math.inf
        return taken

    def ask(self) -> None:
        """Leave it to the owner whether it is free, until its next status: the last may be older than that."""
        self._asks = True

    def heard(self) -> None:
        """Note that a status came."""
        self._asks = False

    def holder(self, remote: BatteryStatus) -> str:
        """Return who else has a set point in force there; empty without one."""
        return "" if remote.holder == self.own else remote.holder

    def bars(self, remote: BatteryStatus, running_a: float) -> bool:
        """Return whether this node may not command it, where it runs `running_a` for it.

        What runs for this node is judged by its owner's answers alone: a status under way is older than those.
        """
        return bool(self.taken_by) or (running_a == 0.0 and not self._asks and bool(self.holder(remote)))

    def reason(self, remote: BatteryStatus | None, running_a: float) -> str:
        """Return in words what bars it; empty where nothing does."""
        if self.taken_by:
            return f"CLAIMED: {self.taken_by} took it at its node; told nothing more until it is free there, or asked for again"
        if remote is not None and self.bars(remote, running_a):
            return f"CLAIMED: {self.holder(remote)} holds it at its node"
        return ""

    def is_free(self, remote: BatteryStatus | None, now_s: float, *, ready: bool) -> bool:
        """Return whether what was taken is free by `now_s`, by the newest status and in a session that is `ready`."""
        if not ready or remote is None or remote.setpoint_source is SetpointSource.MANUAL:
            self._free_at_s = math.inf
        elif self._free_at_s == math.inf:
            self._free_at_s = now_s + self._free_for_s
        return now_s >= self._free_at_s


def left_a(refusal: BosError, before_a: float) -> float:
    """Return what a refusal says may still flow of the `before_a` that this node asked for; not a number where it is none."""
    try:
        most_a = float(refusal.metadata.get("may_run_a", "0"))
    except ValueError:
        return math.nan
    return 0.0 if most_a * before_a <= 0.0 else most_a
