"""What stands around the machine: who puts its limits in force, and who keeps them over restarts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class LimitPort(Protocol):
    """Puts limits on the battery in force. Nothing here waits or fails; instants are `now_s` of the node's clock."""

    def publish(self, limit_w: float | None, until_s: float | None, *, state: str, reason: str) -> None:
        """Put the machine's limit in place of its last one; `limit_w` None is none, `until_s` None has no end."""
        ...

    def restore(self, limit_w: float, until_s: float, *, reason: str) -> None:
        """Put the limit of an earlier run in force beside the machine's, until `until_s` or `end_restored`."""
        ...

    def end_restored(self, *, reason: str) -> None:
        """Take the restored limit back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One line of the history; `limit_w` None is unlimited, `until_utc_s` None has no end. Times are UTC seconds."""

    number: int
    at_utc_s: float
    state: str
    limit_w: float | None
    until_utc_s: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What survives a restart, apart from the history.

    Failsafe values are None where no peer ever wrote them. `limit_w` is the active limit in force, None without one; its end is
    None where it has none. `restored_utc_s` is when it was first taken over from an earlier run. `endpoint` is where a service
    that stands at `grpc_port`, configured and started, serves the use case.
    """

    failsafe_limit_w: float | None = None
    failsafe_duration_s: float | None = None
    bound_ski: str = ""
    limit_w: float | None = None
    limit_until_utc_s: float | None = None
    restored_utc_s: float | None = None
    endpoint: str = ""
    grpc_port: int = 0


class Memory(Protocol):
    """Where it is kept; every method raises StoreError when that fails."""

    async def load(self) -> tuple[Kept, tuple[Published, ...]]:
        """Return what was kept, and the history, oldest first."""
        ...

    async def save(self, kept: Kept, news: Sequence[Published]) -> None:
        """Keep this, and add to the history what is not there yet, in one transaction."""
        ...


class Note(Protocol):
    """Records what a peer wrote, append-only."""

    def __call__(self, action: str, *, who: str, refused: str, after: Mapping[str, object]) -> None:
        """Record one write; `refused` is empty where it was taken."""
        ...
