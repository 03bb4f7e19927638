"""C-rate: how much a set of batteries can carry so that all run out, or fill up, together.

    P = members with limit > 0 and weight > 0        weight: charge when discharging, headroom when charging
    c = min over P of limit / weight                 aggregate limit: c * sum of weights
A member that is derated below its own ideal limit does not drag the rest down: the k derated members with the lowest rates are
left out, for the k that makes the limit greatest (bal.md, "Aggregators").
"""

import math
from typing import NamedTuple


class BestSet(NamedTuple):
    """The members that give the greatest limit.

    `limit_a` and `weight_ah` belong to the set without derated members whose rate is below `cutoff_per_h`; `all_limit_a` and
    `all_weight_ah` to the whole set.
    """

    limit_a: float
    weight_ah: float
    cutoff_per_h: float
    all_limit_a: float
    all_weight_ah: float


def best_set(rate_per_h: float, weight_ah: float, derated: list[tuple[float, float]]) -> BestSet:
    """Return the best set of members at their full limit plus derated ones.

    `rate_per_h` and `weight_ah` are the least rate and the sum of weights of those at their full limit (infinite and 0 without
    any); `derated` holds (rate, weight) of the others.
    """
    ordered = sorted(derated)
    weights_ah = [weight_ah]
    for _, weight in reversed(ordered):
        weights_ah.append(weights_ah[-1] + weight)
    weights_ah.reverse()
    rates_per_h = [*(min(rate, rate_per_h) for rate, _ in ordered), rate_per_h]
    limits_a = [
        rate * weight if weight > 0.0 and rate < math.inf else 0.0 for rate, weight in zip(rates_per_h, weights_ah, strict=True)
    ]
    left_out = max(range(len(limits_a)), key=limits_a.__getitem__)
    return BestSet(limits_a[left_out], weights_ah[left_out], rates_per_h[left_out], limits_a[0], weights_ah[0])
