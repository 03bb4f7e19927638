"""How a set point is shared over an aggregator's sources: what each policy takes a member to weigh.

Shares are in proportion to the weights, and the member whose limit is reached first bounds the aggregate (`bal.sharing`):

    c_rate    charge, or headroom when charging: all run out, or fill up, together
    charge    capacity * available ** exponent, available being state of charge above the reserve, or below the ceiling
    allowed   what the member may be asked now, so the limit is the sum of theirs
    ratio     what is written, among those that can take part
"""

from collections.abc import Mapping

from bosd.bal.sharing import Candidate, SharePolicy
from bosd.bal.spec import AggregatorSpec


class ByCRate:
    """In proportion to charge, or to headroom when charging."""

    name = "c_rate"

    def weigh(self, candidate: Candidate) -> float:
        """Return the charge or the headroom in ampere-hours."""
        return candidate.available_ah


class ByCharge:
    """In proportion to capacity times the available state of charge to a power: 0 ignores it, above 1 evens it out."""

    name = "charge"

    def __init__(self, exponent: float) -> None:
        self._exponent = exponent

    def weigh(self, candidate: Candidate) -> float:
        """Return capacity * available ** exponent; a member with nothing available weighs nothing."""
        if candidate.available_soc <= 0.0:
            return 0.0
        return candidate.capacity_ah * float(candidate.available_soc**self._exponent)


class ByAllowed:
    """In proportion to what each member may be asked now."""

    name = "allowed"

    def weigh(self, candidate: Candidate) -> float:
        """Return the present limit in amperes."""
        return candidate.limit_a


class ByRatio:
    """In proportion to written numbers; who cannot take part leaves the others' proportions as they are."""

    name = "ratio"

    def __init__(self, ratios: Mapping[str, float]) -> None:
        self._ratios = dict(ratios)

    def weigh(self, candidate: Candidate) -> float:
        """Return the member's number."""
        return self._ratios.get(candidate.name, 0.0)


def sharing(spec: AggregatorSpec) -> SharePolicy:
    """Return the policy that an aggregator's specification asks for."""
    match spec.share:
        case "charge":
            return ByCharge(spec.share_exponent)
        case "allowed":
            return ByAllowed()
        case "ratio":
            return ByRatio(dict(spec.share_ratios))
        case "c_rate":
            return ByCRate()
