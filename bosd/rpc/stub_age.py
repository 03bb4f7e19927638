"""How old a stub's values may be before they are stale, and then lost (control.md, "Quality, link and commandability")."""

import math

from bosd.bal.spec import NetworkSpec
from bosd.bal.status import BatteryStatus, Quality

ADDED_STALENESS_S = 1.0
"""What a stub adds to the age at which the remote calls itself stale (control.md, "Quality, link and commandability")."""
LEAST_STALENESS_S, UNAVAILABLE_FACTOR = 1.5, 3.0


def staleness_s(spec: NetworkSpec, remote: BatteryStatus | None) -> float:
    """Return the age from which the values of `remote`, as its owner tells them, are stale."""
    if spec.max_staleness_s is not None:
        return spec.max_staleness_s
    announced_s = LEAST_STALENESS_S if remote is None or math.isinf(remote.max_staleness_s) else remote.max_staleness_s
    return announced_s + ADDED_STALENESS_S


def quality_of(spec: NetworkSpec, remote: BatteryStatus, now_s: float) -> tuple[Quality, float]:
    """Return the quality at `now_s`, never better than the owner's own word, and until when it holds."""
    if remote.sampled_from_s is None:
        return Quality.UNAVAILABLE, math.inf
    stale_s = remote.sampled_from_s + staleness_s(spec, remote)
    lost_after_s = (
        UNAVAILABLE_FACTOR * staleness_s(spec, remote) if spec.unavailable_after_s is None else spec.unavailable_after_s
    )
    lost_s = remote.sampled_from_s + lost_after_s
    if now_s <= stale_s:
        return max(Quality.GOOD, remote.quality), stale_s
    if now_s <= lost_s:
        return max(Quality.STALE, remote.quality), lost_s
    return Quality.UNAVAILABLE, math.inf
