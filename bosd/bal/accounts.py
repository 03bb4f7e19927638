"""A splitter's accounts: the meters of its partitions, and what nobody can be charged with (bal.md, "Splitters", "The meter").

A partition's meter follows its own set point and its part of the residual, what the hardware does beyond what was asked. Only
samples and steps move the meters on, from the source's, so that reading changes nothing and the parts always add up to it.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bosd.bal.ledger import DEVIATION, LEAST_AH, REPLACED, UNATTRIBUTED, Book
from bosd.bal.meter import SECONDS_PER_HOUR
from bosd.bal.status import BatteryStatus


class Restored(NamedTuple):
    """What was known of the partitions when the node ended: their meters and how far their charges were from them."""

    metered_ah: tuple[float, ...]
    deviations_ah: tuple[float, ...]


class Accounts:
    """Meters as of `synced_s`, when the source's stood at `source_ah`; top partition first.

    They begin at their fractions of the source's first known one. `discharges` and `charges` tell which partitions were not empty
    and not full at the source's last sample: an empty one takes no discharge while another can, a full one no charge. What none
    can take moves `unattributed_ah`. `deviations_ah` is how far each charge was from its meter at that sample.
    """

    __slots__ = (
        "_before",
        "_capacities",
        "_fractions",
        "_held_a",
        "book",
        "charges",
        "deviations_ah",
        "discharges",
        "metered_ah",
        "names",
        "restored",
        "source_ah",
        "synced_s",
        "unattributed_ah",
    )

    def __init__(self, names: Sequence[str], charge_fractions: Sequence[float], capacity_fractions: Sequence[float]) -> None:
        self.names = tuple(names)
        self._fractions = tuple(charge_fractions)
        self._capacities = tuple(capacity_fractions)
        self.book = Book()
        self.metered_ah: list[float] | None = None
        self.synced_s = -math.inf
        self.source_ah = 0.0
        self.unattributed_ah = 0.0
        self.discharges = self.charges = (True,) * len(self.names)
        self.deviations_ah: tuple[float, ...] = (0.0,) * len(self.names)
        self.restored: Restored | None = None
        self._held_a: list[float] = [0.0] * len(self.names)
        self._before: list[float] | None = None

    def rebase(self) -> None:
        """Let the meters begin anew at their fractions of the source's; the ledger has the differences under `replaced`."""
        if self.metered_ah is not None:
            self._before = self.metered_ah
        self.metered_ah = None
        self._held_a = [0.0] * len(self.names)
        self.discharges = self.charges = (True,) * len(self.names)

    def recut(
        self,
        names: Sequence[str],
        charge_fractions: Sequence[float],
        capacity_fractions: Sequence[float],
        follow: Callable[[Sequence[float]], list[float]],
        voltage_v: float | None,
    ) -> None:
        """Be the accounts of other partitions: `follow` gives amounts by the new ones from those by the old ones."""
        if self.metered_ah is not None:
            before = dict(zip(self.names, self.metered_ah, strict=True))
            self.metered_ah = follow(self.metered_ah)
            after = dict(zip(names, self.metered_ah, strict=True))
            either = tuple(dict.fromkeys((*before, *after)))
            gained_ah = [after.get(name, 0.0) - before.get(name, 0.0) for name in either]
            self.book.moved(REPLACED, either, gained_ah, self.synced_s, voltage_v)
        self.deviations_ah = tuple(follow(self.deviations_ah))
        self._held_a = follow(self._held_a)
        self.names, self._fractions, self._capacities = tuple(names), tuple(charge_fractions), tuple(capacity_fractions)
        self.discharges = self.charges = (True,) * len(self.names)
        self._before = self.restored = None

    def _begin(self, source: BatteryStatus, source_ah: float, at_s: float) -> list[float]:
        fractions = [fraction * source_ah for fraction in self._fractions]
        self.book.begin(at_s, source.voltage_v)
        if self.restored is not None:
            fractions, self.deviations_ah = list(self.restored.metered_ah), self.restored.deviations_ah
            self.restored = None
        elif self._before is not None:
            gained_ah = [now_ah - before_ah for now_ah, before_ah in zip(fractions, self._before, strict=True)]
            self.book.moved(REPLACED, self.names, gained_ah, at_s, source.voltage_v)
            self._before = None
        self.metered_ah, self.synced_s, self.source_ah = fractions, at_s, source_ah
        return fractions

    def metered(self, source: BatteryStatus, at_s: float, applied_a: Sequence[float]) -> list[float] | None:
        """Return the meters at `at_s`, not before `synced_s`; None while the source's is not known."""
        source_ah = source.expected_ah(at_s)
        if source_ah is None:
            return None
        begun_ah = self.metered_ah
        if begun_ah is None:
            begun_ah = self._begin(source, source_ah, at_s)
        elapsed_h = (at_s - self.synced_s) / SECONDS_PER_HOUR
        beyond_ah = self.source_ah - source_ah - sum(applied_a) * elapsed_h
        return [
            metered_ah - own_a * elapsed_h - weight * beyond_ah
            for metered_ah, own_a, weight in zip(begun_ah, applied_a, self.weights(applied_a, beyond_ah), strict=True)
        ]

    def settle(self, source: BatteryStatus, at_s: float, applied_a: Sequence[float]) -> None:
        """Move the meters on to `at_s`, with the set points that were in force up to there."""
        if self.metered_ah is not None and at_s <= self.synced_s:
            return
        self._held_a = self.residuals_a(source, applied_a)
        metered_ah = self.metered(source, at_s, applied_a)
        source_ah = source.expected_ah(at_s)
        if metered_ah is None or source_ah is None or self.metered_ah is None:
            return
        discharged_ah = [before - after for before, after in zip(self.metered_ah, metered_ah, strict=True)]
        unattributed_ah = self.source_ah - source_ah - math.fsum(discharged_ah) if self._nobody_can() else 0.0
        self.unattributed_ah -= unattributed_ah
        parties = [*zip(self.names, discharged_ah, strict=True), (UNATTRIBUTED, unattributed_ah)]
        self.book.flow(parties, at_s, source.voltage_v)
        self.metered_ah, self.synced_s, self.source_ah = metered_ah, at_s, source_ah

    def found(
        self,
        source: BatteryStatus,
        charges_ah: Sequence[float],
        able: tuple[Sequence[bool], Sequence[bool]],
    ) -> bool:
        """Take what the source's sample at `synced_s` showed: charges, and who is not empty and who not full.

        Return whether residuals are shared otherwise from now on.
        """
        if self.metered_ah is None:
            return False
        deviations_ah = tuple(charge - metered for charge, metered in zip(charges_ah, self.metered_ah, strict=True))
        gained_ah = [now_ah - before_ah for now_ah, before_ah in zip(deviations_ah, self.deviations_ah, strict=True)]
        if any(abs(each_ah) >= LEAST_AH for each_ah in gained_ah):
            self.book.moved(DEVIATION, self.names, gained_ah, self.synced_s, source.voltage_v)
            self.deviations_ah = deviations_ah
        before = self.discharges, self.charges
        self.discharges, self.charges = tuple(able[0]), tuple(able[1])
        return before != (self.discharges, self.charges)

    def shifted(self, by_ah: Sequence[float], source_by_ah: float, at_s: float, voltage_v: float | None) -> None:
        """Shift the meters where the source's was reset by `source_by_ah`; what they do not take is `unattributed`."""
        if self.metered_ah is None:
            return
        self.metered_ah = [metered_ah + each_ah for metered_ah, each_ah in zip(self.metered_ah, by_ah, strict=True)]
        rest_ah = source_by_ah - math.fsum(by_ah)
        self.source_ah += source_by_ah
        self.unattributed_ah += rest_ah
        self.book.moved(REPLACED, (*self.names, UNATTRIBUTED), (*by_ah, rest_ah), at_s, voltage_v)

    def _nobody_can(self) -> bool:
        return not all(self.discharges) or not all(self.charges)

    def weights(self, applied_a: Sequence[float], beyond: float) -> Sequence[float]:
        """Return how what the hardware did beyond the set points is shared: by their size; when all are 0, by capacity.

        `beyond` is positive where it discharged more. All are 0 where nobody can take it.
        """
        able = self.discharges if beyond > 0.0 else self.charges
        sizes_a = [abs(own_a) if can else 0.0 for own_a, can in zip(applied_a, able, strict=True)]
        total_a = sum(sizes_a)
        if total_a > 0.0:
            return [size_a / total_a for size_a in sizes_a]
        if all(able):
            return self._capacities
        parts = [part if can else 0.0 for part, can in zip(self._capacities, able, strict=True)]
        if not sum(parts) > 0.0:
            parts = [float(can) for can in able]
        total = sum(parts)
        return [part / total for part in parts] if total > 0.0 else parts

    def rates_a(self, source: BatteryStatus, applied_a: Sequence[float]) -> tuple[float, ...]:
        """Return the current at which each meter runs on, in A."""
        beyond_a = source.expected_rate_a - sum(applied_a)
        weights = self.weights(applied_a, beyond_a)
        return tuple([own_a + weight * beyond_a for own_a, weight in zip(applied_a, weights, strict=True)])

    def residuals_a(self, source: BatteryStatus, applied_a: Sequence[float]) -> list[float]:
        """Return each one's part of what the hardware did at its last sample beyond what was asked then."""
        if source.current_a is None or source.sampled_to_s is None:
            return [0.0] * len(self.names)
        if source.sampled_to_s < self.synced_s:
            return self._held_a
        residual_a = source.current_a - sum(applied_a)
        return [weight * residual_a for weight in self.weights(applied_a, residual_a)]
