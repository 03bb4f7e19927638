"""Set points: what is asked of a battery, by whom, and until when."""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bosd.bal.status import SetpointSource


@dataclass(slots=True)
class Lease:
    """How long this node acts for another one that it does not hear: to `ends_s` on this node's clock; beats renew it.

    `superseded` says that the other one agrees anew: what is in force lives on to the end, but no command of before raises more.
    """

    ends_s: float
    superseded: bool = False

    def carries(self, now_s: float) -> bool:
        """Return whether a command under way may still raise."""
        return not self.superseded and now_s < self.ends_s


class Fence(Protocol):
    """Judges one command of another node at the moment it is about to be executed."""

    def stands(self, battery: str) -> bool:
        """Return whether the command would pass now; nothing follows from asking."""
        ...

    def check(self, battery: str, *, lowers: bool) -> Lease | None:
        """Return the lease the command lives by; None for one that lowers and renews nothing. Raises FencedError."""
        ...


class Claim(NamedTuple):
    """A set point in force: `current_a` positive discharges, `ttl_s` what remains of its time to live."""

    name: str
    current_a: float
    ttl_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPoint:
    """A living request for `current_a` (positive discharges) by `holder`.

    Its time to live ends at the monotonic instant `ends_s`; where another node asked, the lease may end it earlier.
    """

    current_a: float
    ends_s: float
    holder: str
    request_id: str = ""
    source: SetpointSource = SetpointSource.MANUAL
    lease: Lease | None = field(default=None, compare=False)

    @property
    def over_s(self) -> float:
        """The earlier of its two ends, judged anew at each use (control.md, "The two ends of a set point")."""
        return self.ends_s if self.lease is None else min(self.ends_s, self.lease.ends_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """What a booking asks of a battery now: `current_a` (positive discharges), in force to the monotonic instant `ends_s`."""

    number: int
    current_a: float
    ends_s: float
