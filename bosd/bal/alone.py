"""Alone limits: what may flow while the node that commands a battery is not heard (control.md, "Limits over a distance").

They are one source of caps. Powers are magnitudes in watts, at the battery.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from bosd.bal.cap import Cap

if TYPE_CHECKING:
    from bosd.bal.battery import Battery

ANY_NODE = "any node"
"""Who is not heard where nobody commanded since the start."""
ALONE = "alone"
"""Whose caps these are."""


class AloneW(NamedTuple):
    """The alone limits of a battery, None where there is none."""

    discharge_w: float | None = None
    charge_w: float | None = None

    def tighter(self, other: "AloneW") -> "AloneW":
        """Return what both allow."""
        discharge_w, charge_w = (
            min((each for each in pair if each is not None), default=None) for pair in zip(self, other, strict=True)
        )
        return AloneW(discharge_w, charge_w)

    @property
    def caps(self) -> tuple[Cap, ...]:
        """What they put on their battery while they are in force."""
        return tuple(
            Cap(
                source=ALONE,
                discharging=out,
                limit_w=limit_w,
                text=f"the alone {'discharge' if out else 'charge'} limit {limit_w:g} W",
            )
            for out, limit_w in zip((True, False), self, strict=True)
            if limit_w is not None
        )


UNLIMITED = AloneW()

Told = Mapping[tuple[str, str], AloneW]
"""By node and battery what that node counts on."""
Commanders = Mapping[str, str]
"""By battery who commanded it last."""


def alone_w(battery: "Battery") -> AloneW:
    """Return the alone limits that a battery is configured with."""
    return AloneW(battery.spec.alone_discharge_limit_w, battery.spec.alone_charge_limit_w)


def has_alone_limit(battery: "Battery") -> bool:
    """Tell whether the battery is limited while it is alone."""
    return alone_w(battery) != UNLIMITED
