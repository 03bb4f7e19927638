"""What a stub passes on to its owner as it is, and what that told of it."""

import math
from collections.abc import Callable, Mapping, Sequence

from bosd.bal.cap import FAR, Cap, Grant, Unreached
from bosd.bal.caps import STEADY
from bosd.bal.explain import Explanation
from bosd.bal.facts import Facts
from bosd.bal.schedule import Moment
from bosd.bal.spec import NetworkSpec
from bosd.bal.status import HEARD, BatteryStatus, Link
from bosd.errors import BatteryInUseError, ClaimedError, InvalidArgumentError
from bosd.node.api import BookingView, BookResult, StopResult
from bosd.node.links import NetworkLeaf
from bosd.node.outcome import below
from bosd.rpc.client import RemoteLink
from bosd.rpc.convert import MAX_HOPS
from bosd.rpc.held_there import left_a
from bosd.rpc.seeking import serial_of
from bosd.v1 import battery_pb2 as pb

OWNERS_WORD: dict[str, None] = dict.fromkeys(
    ("unreached_charge", "unreached_discharge", "own_charge_limit", "own_discharge_limit")
)
"""What an owner says of limits at its battery, which is no word of this node's about its stub."""
_MOST_REASON = 200
LONGEST_DEADLINE_S = 30.0
FIRST_AGREED_S = 1.0
"""From its owner's first snapshot until it can be told something: a status came, by a stream of its own, and both agreed."""


def clamped_there(answer: pb.SetCurrentResponse, told_a: float, target: str) -> str:
    """Return how much less than it was told a battery's owner has in force, and why; empty where it follows.

    A part of another node's limit clamps there, and is known here by the answer alone.
    """
    if not abs(answer.applied_current_a) < STEADY * abs(told_a):
        return ""
    why = f": {answer.reason[:_MOST_REASON]}" if answer.reason else ""
    return f"{answer.applied_current_a:+g} A of {told_a:+g} A in force at {target}{why}"


def _life_s(text: str) -> float:
    """Return a time to live as a remote said it; infinite where it is none."""
    try:
        life_s = float(text)
    except ValueError:
        return math.inf
    return life_s if life_s > 0.0 else math.inf


class RemoteCalls(NetworkLeaf):
    """A stub whose calls go over `_wire`. Each raises what its owner refuses with, or UnavailableError without an answer."""

    __slots__ = ("_facts", "_left_running", "_link", "_own", "_remote", "_tellable_by_s", "_wire", "longest_told_s")

    _wire: RemoteLink
    _facts: Facts
    _own: str
    _link: Link
    _remote: BatteryStatus | None
    _left_running: bool

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.longest_told_s = math.inf
        self._tellable_by_s: float | None = None

    @property
    def command_deadline_s(self) -> float:  # type: ignore[override]
        """The longer of the usual time and what its owner announced that its devices take, half a minute at most."""
        return max(NetworkLeaf.command_deadline_s, min(self._facts.failsafe_time_s, LONGEST_DEADLINE_S))

    async def _set(self, current_a: float, ttl_s: float | None) -> pb.SetCurrentResponse:
        """Ask its owner; note the longest life that this takes, where it says so.

        A claim of something below the battery there is told as such: where a stub is all there is of a node's battery, the next
        node would take it for one of that.
        """
        try:
            return await self._wire.set_current(current_a, ttl_s, self.command_deadline_s)
        except ClaimedError as error:
            if error.metadata.get("battery", self.network.remote_name) != self.network.remote_name:
                error.metadata["battery"] = below(self.name)
            raise
        except InvalidArgumentError as error:
            if "maximum_s" in error.metadata:
                self.longest_told_s = _life_s(error.metadata["maximum_s"])
            raise

    async def _give_back(self, before_a: float) -> pb.SetCurrentResponse:
        """Give back to its owner what this node asked for; a claim of somebody else is an answer too."""
        try:
            return await self._wire.clear(self.command_deadline_s)
        except (ClaimedError, BatteryInUseError) as error:  # nothing of this node's is in force there; it may flow all the same
            return pb.SetCurrentResponse(name=self.name, may_run_a=left_a(error, before_a))

    def _expect_agreement(self) -> None:
        """Note that its owner's snapshot is there: a moment later it can be told something."""
        if self._tellable_by_s is None:
            self._tellable_by_s = self._wire.session_now_s() + FIRST_AGREED_S

    def is_waited_for(self, now_s: float) -> bool:
        """Return whether its owner has not said what it runs; or has, and is about to take commands for the first time.

        Until then it carries nothing. What was planned of that, 0 A, could reach it a moment later and end what goes on there.
        """
        if self.is_unread(now_s):
            return True
        by_s = self._tellable_by_s
        tellable = self._remote is not None and self._link in HEARD
        return not tellable and by_s is not None and self._wire.session_now_s() < by_s

    def left_for_s(self, now_s: float) -> float:
        """Return how long yet it may run what an earlier run of this node asked for, by the time that sessions go by."""
        del now_s
        return max(0.0, self.unread_until_s - self._wire.session_now_s()) if self._left_running else 0.0

    def _barred(self, remote: BatteryStatus) -> str:
        """Return why nothing of what the remote says may be used; empty when it may."""
        if self._own in remote.path:
            return f"CYCLE: {self.network.target} rests on {self._own}"
        if remote.hops >= MAX_HOPS:
            return f"more than {MAX_HOPS} hops away"
        return ""

    @property
    def until_contact(self) -> str:
        """Until when it counts that is not known to end by itself."""
        of, at = serial_of(self.network.target) or self.network.target, self._own.partition("/")[0]
        return f'until contact, or "bosctl fleet assume-safe {of}" at {at}'

    def _limited_there(self, remote: BatteryStatus) -> None:
        """Carry no more than limits of the owner's let it; look again where that has changed, by more than a voltage does."""
        if abs(remote.applied_current_a or 0.0) >= STEADY * abs(self.applied_a):
            self.clamped_there = ""
        told = (remote.own_charge_limit, remote.own_discharge_limit)
        at = self.network.target
        caps = [
            Cap(source=FAR, discharging=out, limit_a=self._steadily(each.limit_a, discharging=out), text=f"{each.text} at {at}")
            for out, each in zip((False, True), told, strict=True)
            if each is not None and not self._barred(remote)
        ]
        if self.put_caps(FAR, tuple(caps)):
            self.look_again()

    def _steadily(self, limit_a: float, *, discharging: bool) -> float:
        before_a = [cap.limit_a for cap in self.caps if cap.source == FAR and cap.discharging is discharging]
        return next((each_a for each_a in before_a if each_a is not None and STEADY * limit_a <= each_a <= limit_a), limit_a)

    def unreached_behind(self, *, discharging: bool) -> Unreached | None:
        """Return what its owner said last; what is not heard yet, or of an older version, may reach nothing behind it."""
        if (remote := self._remote) is None:
            return Unreached(why="no status of it was heard yet")
        if self._barred(remote):
            return None
        told = remote.unreached_discharge if discharging else remote.unreached_charge
        if told is None and remote.hops and not self._wire.tells_unreached:
            return Unreached(why=f"{self.network.target} is of a version that does not tell what it hears of the nodes behind it")
        return told

    def alone_limit_w(self, *, discharging: bool) -> float | None:
        """Return what its owner announced; nothing in a cycle, where they would feed each other."""
        if self._remote is not None and self._barred(self._remote):
            return None
        return self._facts.alone_discharge_limit_w if discharging else self._facts.alone_charge_limit_w

    def far_efficiency(self, *, discharging: bool) -> float:
        """Return what its owner announced; nothing in a cycle, where efficiencies would feed each other."""
        if self._remote is not None and self._barred(self._remote):
            return 1.0
        return self._facts.discharge_efficiency if discharging else self._facts.charge_efficiency

    async def note_moved(self, spec: NetworkSpec) -> Callable[[], None]:
        """Note, durably, that what it may run is looked for at the address of `spec`. Raises UnavailableError."""
        return await self._wire.note_moved(spec.target) if spec.remote_name == self.network.remote_name else lambda: None

    async def grant(self, grant: Grant) -> None:
        """Put a part of a limit in force at the owner. Raises what that refuses with, or UnavailableError."""
        await self._wire.grant(grant)

    async def granted(self) -> Mapping[str, Sequence[Grant]]:
        """Return by battery there what this node has granted. Raises what that refuses with, or UnavailableError."""
        return await self._wire.granted()

    async def book(self, current_a: float, start: Moment, end: Moment, *, request_id: str = "") -> BookResult:
        """Book at the owner; raises what it refuses with, or UnavailableError."""
        return await self._wire.book(current_a, start, end, request_id=request_id)

    async def bookings(self) -> tuple[BookingView, ...]:
        """Return the battery's bookings at its owner."""
        return await self._wire.bookings()

    async def cancel_booking(self, booking_id: str) -> BookingView:
        """Cancel one of them by the owner's id."""
        return await self._wire.cancel_booking(booking_id)

    async def explain(self, within_s: float) -> Explanation:
        """Return what the remote's node explains. Raises what it refuses with, or UnavailableError."""
        return await self._wire.explain(within_s)

    async def stop(self, reason: str, via: Sequence[str], within_s: float) -> StopResult:
        """Stop it at its owner, whatever this node believes of the link. Raises what that refuses with, or UnavailableError."""
        return await self._wire.stop(reason, via, within_s)

    async def release(self, via: Sequence[str], within_s: float) -> None:
        """End the stop at its owner. Raises what that refuses with, or UnavailableError."""
        await self._wire.release(via, within_s)

    async def refresh(self, *, recursive: bool = False, timeout_s: float | None = None) -> None:
        """Have the remote take a fresh sample. Raises what the remote raises, or UnavailableError."""
        await self._wire.refresh(recursive=recursive, timeout_s=timeout_s)
