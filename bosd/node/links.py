"""What the node needs of a battery at another node; the gRPC edge provides it."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

from bosd.bal.battery import DeviceLeaf
from bosd.bal.cap import Grant
from bosd.bal.explain import Explanation
from bosd.bal.schedule import Moment
from bosd.bal.spec import NetworkSpec
from bosd.node.api import BookingView, BookResult, StopResult


class NetworkLeaf(DeviceLeaf):
    """A battery that is a stub of another node's: fed by a stream, commanded by calls with a time to live."""

    kind = NetworkSpec.kind
    expires = True
    __slots__ = ("clamped_there", "look_again", "network", "owner_run")

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.network = spec
        self.look_again: Callable[[], None] = lambda: None
        """Has what rests on it looked at again, whether anything is asked of it or not."""
        self.clamped_there = ""
        """How much less than it was told last is in force at its owner, and why, as that answered; empty where it follows."""
        self.owner_run: Callable[[], str] = lambda: ""
        """Returns which run of its node answers, by boot id; empty while none does."""

    def left_for_s(self, now_s: float) -> float:
        """Return how long yet it may run what an earlier run of this node noted; 0.0 where nothing, infinite where it holds."""
        del now_s
        return 0.0

    @property
    @abstractmethod
    def until_contact(self) -> str:
        """Until when it counts that is not known to end by itself, in words that name the command for a person and its node."""

    @abstractmethod
    def assume_safe(self) -> bool:
        """Count it no more although it is not heard; return whether it was counted."""

    @abstractmethod
    async def note_moved(self, spec: NetworkSpec) -> Callable[[], None]:
        """Note, durably, that what it may run is looked for as `spec` says after an edit; return what takes that back.

        Raises UnavailableError.
        """

    @abstractmethod
    def ask_anew(self, *, by_itself: bool = False) -> None:
        """Be asked again, after the claim on it was taken by somebody at its owner and nothing was told any more.

        Where something is asked of it `by_itself`, the owner says whether it is free, whatever its last status said.
        """

    @abstractmethod
    async def grant(self, grant: Grant) -> None:
        """Put a part of a limit in force at the owner; durable there on return. Raises what that refuses with."""

    @abstractmethod
    async def granted(self) -> Mapping[str, Sequence[Grant]]:
        """Return by battery the grants of this node that stand at the owner, of revision 1. Raises what that refuses with."""

    @abstractmethod
    async def book(self, current_a: float, start: Moment, end: Moment, *, request_id: str = "") -> BookResult:
        """Book at the node that owns the battery; raises what it refuses with."""

    @abstractmethod
    async def bookings(self) -> tuple[BookingView, ...]:
        """Return the battery's bookings there."""

    @abstractmethod
    async def cancel_booking(self, booking_id: str) -> BookingView:
        """Cancel a booking there, by the owner's id; return what it was."""

    @abstractmethod
    async def explain(self, within_s: float) -> Explanation:
        """Return what its own node explains, asked within `within_s`; raises UnavailableError and what that node raises."""

    @abstractmethod
    async def stop(self, reason: str, via: Sequence[str], within_s: float) -> StopResult:
        """Stop it at its owner, answered within `within_s`; raises UnavailableError and what the owner refuses with."""

    @abstractmethod
    async def release(self, via: Sequence[str], within_s: float) -> None:
        """End the stop at its owner; raises as `stop` does."""

    @abstractmethod
    async def refresh(self, *, recursive: bool) -> None:
        """Have the remote battery sampled; raises its error."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the link; idempotent."""


RemoteFactory = Callable[[NetworkSpec], NetworkLeaf]
