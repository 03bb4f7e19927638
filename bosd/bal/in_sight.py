"""How long a regulator may charge a pack whose board is not heard: the longest ages of samples that a battery with one may have.

Its current ends when the battery is `UNAVAILABLE` (control.md, "Quality, link and commandability"): the pack's board is what sees
its cells. 60 s are decided here: at 1 C they are 1.7 % of the charge, and the usual age is 9 s. A gate's board opens its switches
by itself, and a device that regulates itself looks after its own cells: they have no such bound.
"""

from collections.abc import Iterator
from dataclasses import replace

from bosd.bal.spec import PhysicalSpec

LONGEST_UNSEEN_S = 60.0
PERIODS_UNTIL_STALE = 3.0
LONGEST_PERIOD_S = LONGEST_UNSEEN_S / PERIODS_UNTIL_STALE


def in_sight_faults(spec: PhysicalSpec) -> Iterator[tuple[str, str]]:
    """Yield the keys of a battery with a regulator that let it go on unseen for longer, with what would be right."""
    most_s = {"unavailable_after_s": LONGEST_UNSEEN_S, "max_staleness_s": LONGEST_UNSEEN_S, "refresh_period_s": LONGEST_PERIOD_S}
    for key, limit_s in most_s.items() if spec.current_control == "external" else ():
        value_s = getattr(spec, key)
        if value_s is not None and value_s > limit_s:
            yield key, f"{value_s!r} s: a regulator would go on so long while its pack's board is silent; at most {limit_s:g} s"


def kept_in_sight(spec: PhysicalSpec) -> PhysicalSpec:
    """Return a specification that was accepted before there was this bound, with the longest ages that it allows."""
    if not any(in_sight_faults(spec)):
        return spec
    ages_s = {key: getattr(spec, key) for key in ("unavailable_after_s", "max_staleness_s")}
    shorter_s = {key: min(age_s, LONGEST_UNSEEN_S) for key, age_s in ages_s.items() if age_s is not None}
    return replace(spec, refresh_period_s=min(spec.refresh_period_s, LONGEST_PERIOD_S), **shorter_s)
