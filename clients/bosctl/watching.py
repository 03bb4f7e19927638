"""What a watcher knows: the last status of each battery, and for how long the node has been silent."""

from dataclasses import dataclass, field

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.errors import Failure

SILENCE_S = 3.0
"""A node that says nothing for this long, though it promised a beat, is lost (control.md: link `lost`)."""
CANNOT_BE_KNOWN = (
    "current_a",
    "power_w",
    "usable_charge_ah",
    "expected_charge_ah",
    "requested_current_a",
    "applied_current_a",
    "setpoint_source",
    "setpoint_ends_at",
    "holder",
    "max_discharge_current_a",
    "max_charge_current_a",
    "commandable",
)


@dataclass(slots=True, kw_only=True)
class Known:
    """One battery as it was last heard of, on this program's monotonic clock."""

    status: pb.BatteryStatus
    heard_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The watch ended, or could not begin."""

    failure: Failure


@dataclass(slots=True, kw_only=True)
class Heard:
    """What one message brought, or several that were taken together; the latest status of each battery."""

    batteries: dict[str, Known]
    removed: list[str]
    node: str
    beat_s: float
    heard_s: float

    @classmethod
    def of(cls, message: pb.WatchResponse, now_s: float) -> "Heard":
        """Return a message as it was heard at `now_s`."""
        batteries = {status.name: Known(status=status, heard_s=now_s) for status in message.statuses}
        removed = list(message.removed)
        return cls(batteries=batteries, removed=removed, node=message.node, beat_s=message.beat_s, heard_s=now_s)

    def merge(self, later: "Heard") -> None:
        """Take in what was heard later."""
        for name in later.removed:
            self.batteries.pop(name, None)
        self.removed = [name for name in (*self.removed, *later.removed) if name not in later.batteries]
        self.batteries |= later.batteries
        self.node, self.beat_s, self.heard_s = later.node, later.beat_s, later.heard_s


@dataclass(slots=True, kw_only=True)
class Picture:
    """Everything heard so far; `lost_s` is when the connection was found dead, None while it lives."""

    batteries: dict[str, Known] = field(default_factory=dict)
    node: str = ""
    beat_s: float = 1.0
    heard_s: float | None = None
    lost_s: float | None = None
    failure: Failure | None = None

    def hear(self, heard: Heard) -> None:
        """Take in what was heard."""
        self.heard_s, self.lost_s, self.failure = heard.heard_s, None, None
        self.node, self.beat_s = heard.node or self.node, heard.beat_s or self.beat_s
        for name in heard.removed:
            self.batteries.pop(name, None)
        self.batteries |= heard.batteries

    def lose(self, failure: Failure, now_s: float) -> None:
        """Remember that the connection is gone; the first loss counts until something is heard."""
        if self.lost_s is None:
            self.lost_s = now_s
        self.failure = failure

    def silent_too_long(self, now_s: float) -> bool:
        """Tell whether the node broke its promise to send a beat."""
        return self.heard_s is not None and self.lost_s is None and now_s - self.heard_s > max(SILENCE_S, 3.0 * self.beat_s)

    def statuses(self, now_s: float) -> list[pb.BatteryStatus]:
        """Return every battery as it stands now, by own clock."""
        if self.lost_s is not None:
            return [lost_status(known, now_s, self.failure) for known in self.batteries.values()]
        return [aged_status(known, now_s) for known in self.batteries.values()]


def aged_status(known: Known, now_s: float) -> pb.BatteryStatus:
    """Return the status with its age run on; one that grew too old meanwhile is not shown as good."""
    status = pb.BatteryStatus()
    status.CopyFrom(known.status)
    if status.HasField("age_s"):
        status.age_s += max(0.0, now_s - known.heard_s)
        if status.quality == pb.QUALITY_GOOD and 0.0 < status.max_staleness_s < status.age_s:
            status.quality = pb.QUALITY_STALE
    return status


def lost_status(known: Known, now_s: float, failure: Failure | None) -> pb.BatteryStatus:
    """Return the last values with their growing age, and nothing that only the node could know now."""
    status = aged_status(known, now_s)
    for name in CANNOT_BE_KNOWN:
        status.ClearField(name)
    status.quality = pb.QUALITY_UNAVAILABLE
    status.link = pb.LINK_LOST
    status.reason = f"node lost: {failure.message}" if failure else "node lost"
    return status
