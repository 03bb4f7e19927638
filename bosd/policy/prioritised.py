"""The prioritised policies: partitions have a rank, top first (bal.md, "Splitters").

A deficit is taken from the bottom first. A surplus goes to the top first (tranched) or to the bottom first (reserved); what one
cannot take goes on in the same direction.
"""

from collections.abc import Iterable, Sequence

from bosd.bal.allocation import Allotment


class PrioritisedPolicy:
    """Shares an amount by rank; `surplus_to_top` is the direction in which a surplus goes."""

    def __init__(self, name: str, *, surplus_to_top: bool) -> None:
        self.name = name
        self._surplus_to_top = surplus_to_top

    def allot(self, expected: Sequence[float], maxima: Sequence[float], amount: float) -> Allotment:
        """Share `amount` (>= 0), each part between 0 and its maximum, as near to what is expected as the ranks allow.

        Units are the caller's, the same throughout. What exceeds a maximum counts as a surplus.
        """
        shares = [min(max(0.0, wanted), maximum) for wanted, maximum in zip(expected, maxima, strict=True)]
        difference = amount - sum(shares)
        top_down = range(len(shares))
        if difference < 0.0:
            return Allotment(_kept(shares, amount), 0.0)
        rest = _give(shares, maxima, top_down if self._surplus_to_top else reversed(top_down), difference)
        return Allotment(tuple(shares), rest)


def _kept(shares: Sequence[float], amount: float) -> tuple[float, ...]:
    """Take a deficit from the bottom first: from the top each keeps its share as far as `amount` reaches; of 0 nobody has any."""
    kept = []
    for share in shares:
        kept.append(min(share, amount))
        amount -= kept[-1]
    return tuple(kept)


def _give(shares: list[float], maxima: Sequence[float], order: Iterable[int], amount: float) -> float:
    """Hand `amount` on in order; return what nobody can take."""
    for slot in order:
        part = min(maxima[slot] - shares[slot], amount)
        shares[slot] += part
        amount -= part
    return amount
