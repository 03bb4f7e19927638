"""Alone limits: what may flow while the node that commands a battery is not heard (control.md, "Limits over a distance").

They are one source of caps. Powers are magnitudes in watts, at the battery.
"""

from bosd.bal.battery import Battery

ANY_NODE = "any node"
"""Who is not heard where nobody commanded since the start."""


def has_alone_limit(battery: Battery) -> bool:
    """Tell whether the battery is limited while it is alone."""
    return battery.spec.alone_discharge_limit_w is not None or battery.spec.alone_charge_limit_w is not None
