"""What other nodes have asked of this node's batteries: read for Sync, bound to a new lease at Ready."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from bosd.bal.directory import Directory
from bosd.bal.setpoint import Claim, Lease, SetPoint
from bosd.clock import Clock
from bosd.node.taking import Taken


class Claims:
    """The living set points by holder, and what was taken from them by force."""

    def __init__(self, directory: Directory, clock: Clock, taken: Taken) -> None:
        self._directory = directory
        self._clock = clock
        self._taken = taken

    def follow_ends(self, lease_over: Callable[[str, SetPoint], None]) -> None:
        """Let `lease_over` hear of each set point that ends since its holder, another node, is not heard."""
        self._taken.lease_over = lease_over

    def of(self, holder: str) -> tuple[Claim, ...]:
        """Return the set points of `holder` in force."""
        now_s = self._clock.now_s()
        return tuple(
            Claim(battery.name, setpoint.current_a, setpoint.ends_s - now_s)
            for battery in self._directory
            if (setpoint := battery.setpoint) is not None and setpoint.holder == holder and setpoint.over_s > now_s
        )

    def taken(self, holder: str) -> Mapping[str, str]:
        """Return by battery who took the claim of `holder` by force, as far as `holder` does not know."""
        return self._taken.of(holder)

    def told(self, holder: str) -> None:
        """Note that `holder` knows what was taken from it."""
        self._taken.told(holder)

    def rebind(self, holder: str, kept: Mapping[str, float], lease: Lease) -> None:
        """Let the set points of `holder` whose battery and current are in `kept` live by `lease` from now on.

        Others that live by it keep its end as it is now, whatever renews it.
        """
        for claim in self.of(holder):
            battery = self._directory[claim.name]
            if battery.setpoint is None:
                continue
            if kept.get(claim.name) == claim.current_a:
                battery.setpoint = replace(battery.setpoint, lease=lease)
            elif battery.setpoint.lease is lease:
                battery.setpoint = replace(battery.setpoint, lease=Lease(lease.ends_s))
