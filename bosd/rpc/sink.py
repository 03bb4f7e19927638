"""Who lives on a battery of another node."""

from typing import Protocol

from bosd.bal.facts import Facts
from bosd.bal.status import BatteryStatus, Link


class Sink(Protocol):
    """Who wants to know of one remote battery; called on the loop, at once, and expected to return quickly."""

    def on_status(self, status: BatteryStatus, half_rtt_s: float) -> None:
        """Take a status, dated on this node's clock (half the round trip is already counted in)."""
        ...

    def on_link(self, link: Link, reason: str) -> None:
        """Take the link's new state; `reason` is empty when it is READY."""
        ...

    def on_snapshot(self, claim_a: float | None, facts: Facts) -> bool:
        """Take this node's set point in force there, None for none, and what else its owner says of the battery.

        Return whether this node goes on with that set point.
        """
        ...
