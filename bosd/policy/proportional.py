"""The proportional policy: surplus and deficit are shared in proportion to the expected values (bal.md, "Splitters")."""

from collections.abc import Sequence

from bosd.bal.allocation import Allotment

TOLERANCE = 1e-12


class ProportionalPolicy:
    """Shares an amount in proportion to what each partition is expected to have."""

    name = "proportional"

    def allot(self, expected: Sequence[float], maxima: Sequence[float], amount: float) -> Allotment:
        """Share `amount` (>= 0), each part between 0 and its maximum; what one cannot take goes to the others.

        Weights are the expected values, or the room left where these are all 0. Units are the caller's, the same throughout.
        """
        shares = [0.0] * len(expected)
        left = amount
        open_slots = [slot for slot, maximum in enumerate(maxima) if maximum > 0.0]
        while left > amount * TOLERANCE and open_slots:
            weights = [expected[slot] for slot in open_slots]
            total = sum(weights)
            if total <= 0.0:
                weights = [maxima[slot] - shares[slot] for slot in open_slots]
                total = sum(weights)
            full: set[int] = set()
            remaining = left
            for slot, weight in zip(open_slots, weights, strict=True):
                part = remaining * (weight / total)
                room = maxima[slot] - shares[slot]
                if part >= room:
                    full.add(slot)
                    shares[slot] = maxima[slot]
                    left -= room
            if not full:
                for slot, weight in zip(open_slots, weights, strict=True):
                    shares[slot] += remaining * (weight / total)
                return Allotment(tuple(shares), 0.0)
            open_slots = [slot for slot in open_slots if slot not in full]
        return Allotment(tuple(shares), max(0.0, left) if left > amount * TOLERANCE else 0.0)
