"""Who else holds a battery at its owner, as far as its stub knows (control.md, "Owners, sessions, claims")."""

import math

from bosd.bal.status import BatteryStatus, Quality, SetpointSource
from bosd.errors import BosError


class HeldThere:
    """The claim of somebody else on a battery of another node: seen in its status, or taken from `own`, this node, by force.

    `own` is what its owner calls this node. What was taken is `free` once nobody's set point has been seen for `free_for_s`:
    while a claim is taken there is none for a moment, until the device is at its safe value. While this node `claims` it, its
    owner confirmed a set point, of 0 A too, that was not given back; it may be `over_something` that was seen to flow before.
    """

    __slots__ = ("_asks", "_free_at_s", "_free_for_s", "_missed_since_s", "claims", "over_something", "own", "taken_by")

    def __init__(self, own: str, free_for_s: float) -> None:
        self.own = own
        self.taken_by = ""
        self._free_at_s, self._free_for_s = math.inf, free_for_s
        self._asks = self.claims = self.over_something = False
        self._missed_since_s = math.inf

    @property
    def free_at_s(self) -> float:
        """When it is free, if nothing is seen until then; monotonic, for ever without a sight of it."""
        return self._free_at_s

    def take(self, by: str) -> None:
        """Note that `by` holds it in place of this node."""
        self.taken_by, self._free_at_s, self._asks, self.claims = by, math.inf, False, False

    def forget(self) -> bool:
        """Forget what was taken; return whether anything was."""
        taken, self.taken_by, self._free_at_s = bool(self.taken_by), "", math.inf
        return taken

    def ask(self) -> None:
        """Leave it to the owner whether it is free, until its next status: the last may be older than that."""
        self._asks = True

    def answered(self, *, claims: bool, over_something: bool = False) -> None:
        """Note that its owner confirmed a set point of this node, or that nothing of it is in force there."""
        self.over_something = claims and (self.over_something or over_something)
        self.claims, self._missed_since_s = claims, math.inf

    def shows(self, remote: BatteryStatus) -> bool:
        """Tell whether a status shows a set point that may be this node's."""
        return remote.setpoint_source is SetpointSource.MANUAL and remote.holder in ("", self.own)

    def heard(self, remote: BatteryStatus, now_s: float, running_a: float, *, ready: bool) -> bool:
        """Note that a status came; return whether those of the last `free_for_s` show nothing of what this node claims.

        It was ended there without a word, by an old message of this node's, say. One status alone may be older than an answer:
        it counts where this node's 0 A would hold down what flows, as saying that again costs nothing.
        """
        self._asks = False
        shown = self.shows(remote)
        if running_a == 0.0 and not shown and remote.applied_current_a:
            self.claims = False
        if shown or not (self.claims and ready):
            self._missed_since_s = math.inf
        elif self._missed_since_s == math.inf:
            self._missed_since_s = now_s
        elif now_s - self._missed_since_s >= self._free_for_s:
            self._missed_since_s = math.inf
            return True
        return False

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
    if not math.isfinite(most_a):
        return math.nan
    return 0.0 if most_a * before_a <= 0.0 else most_a


def is_in_use(remote: BatteryStatus) -> bool:
    """Tell whether a battery rests below something at its own node: whatever is free and can be commanded has a source."""
    return remote.controllable and remote.setpoint_source is None and remote.quality is not Quality.UNAVAILABLE
