"""What comes back after a loss is held down first, and rises from there (control.md, "Limits over a distance")."""

from bosd.bal.battery import Battery
from bosd.bal.cap import RAMP, Cap


def ramp_caps(most_a: float) -> tuple[Cap, ...]:
    """Return caps of so many amperes, a magnitude, both ways."""
    text = "the ramp after a loss"
    return tuple(Cap(source=RAMP, discharging=out, limit_a=most_a, text=text) for out in (True, False))


def hold_down(battery: Battery, most_a: float, *, begin: bool) -> None:
    """Lower what a battery's ramp allows to `most_a`, a magnitude; without a ramp, `begin` one, or change nothing."""
    if begin and all(cap.source != RAMP for cap in battery.caps):
        battery.put_caps(RAMP, ramp_caps(most_a))
    else:
        battery.lower_caps(RAMP, most_a)
