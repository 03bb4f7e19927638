"""How soon a battery is at its safe value by itself, whatever died (control.md, "When something dies")."""

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery, DeviceLeaf


def safe_within_s(battery: Battery, unheard_s: float) -> float | None:
    """Return the longest time from the controller's last received reply until all below is safe; None where something holds on.

    `unheard_s` is how long this node may act for a controller it no longer hears.
    """
    let_go_s = [leaf.let_go_s for leaf in members_of(battery) if isinstance(leaf, DeviceLeaf)]
    if any(each is None for each in let_go_s):
        return None
    return unheard_s + max((each for each in let_go_s if each is not None), default=0.0)
