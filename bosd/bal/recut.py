"""What a live splitter's partitions have, and how their meters follow a split or a merge."""

from collections.abc import Iterable, Sequence
from math import fsum

from bosd.bal.aggregator import members_of
from bosd.bal.partition import Partition
from bosd.bal.portions import Cut, Portion, Portions, Step
from bosd.bal.spec_rules import FRACTION_KINDS, FractionKind, fraction_of
from bosd.bal.splitter import Splitter
from bosd.bal.status import Quality
from bosd.errors import ClaimedError, RequestError, UnavailableError


def portions_of(splitter: Splitter, now_s: float) -> Portions:
    """Return what the partitions have at `now_s`.

    Raises UnavailableError while something below is away or was never sampled: what is missing would be taken for good.
    """
    away = [
        below.name
        for below in members_of(splitter.source)
        if not below.sources and below.status(now_s).quality is Quality.UNAVAILABLE
    ]
    shared = splitter.allocation(now_s)
    if away or shared.charges_ah is None or shared.capacities_ah is None or shared.deviations_ah is None:
        why = f"without {', '.join(away)}" if away else f"{splitter.source.name} says neither charge nor capacity"
        raise UnavailableError(f'"{splitter.name}" cannot be split or merged now: {why}', splitter=splitter.name)
    charges = _parts(shared.charges_ah)
    capacities = _parts(shared.capacities_ah)
    portions = []
    for slot, (partition, spec) in enumerate(zip(splitter.partitions, splitter.spec.partitions, strict=True)):
        parts: dict[FractionKind, float] = {kind: fraction_of(spec, kind) or 0.0 for kind in FRACTION_KINDS}
        if charges is not None:
            parts["charge"] = charges[slot]
        if capacities is not None:
            parts["capacity"] = capacities[slot]
        portions.append(Portion(spec, parts, _refusal(partition, now_s)))
    totals: dict[FractionKind, float | None] = {
        "charge": fsum(shared.charges_ah),
        "capacity": fsum(shared.capacities_ah),
        "current": shared.source.ideal_max_discharge_current_a,
        "charge_current": shared.source.ideal_max_charge_current_a,
    }
    return Portions(splitter.name, totals, tuple(portions))


def _parts(amounts: Sequence[float]) -> list[float] | None:
    total = fsum(amounts)
    return [amount / total for amount in amounts] if total > 0.0 else None


def _refusal(partition: Partition, now_s: float) -> RequestError | None:
    """Return why a partition cannot be split or merged: it has a set point other than 0, or runs one."""
    setpoint = partition.setpoint
    if setpoint is not None and setpoint.current_a != 0.0:
        remaining_s = max(0.0, setpoint.ends_s - now_s)
        message = (
            f'"{partition.name}" has a set point of {setpoint.current_a:g} A for another {remaining_s:.0f} s, '
            f"held by {setpoint.holder}: end it first"
        )
        return ClaimedError(message, name=partition.name, holder=setpoint.holder, remaining_s=f"{remaining_s:.1f}")
    if partition.applied_a != 0.0:
        message = f'"{partition.name}" runs {partition.applied_a:g} A: bring it to 0 A first'
        return ClaimedError(message, name=partition.name, applied_a=partition.applied_a)
    return None


def follow(values: Sequence[float], names: Iterable[str], steps: Iterable[Step], after: Iterable[str]) -> list[float]:
    """Return amounts that belong to partitions after splits and merges; their sum stays."""
    held = dict(zip(names, values, strict=True))
    for step in steps:
        if isinstance(step, Cut):
            part = step.ratio * held[step.donor]
            held[step.donor] -= part
            held[step.name] = part
        else:
            held[step.into] += held.pop(step.name)
    return [held[name] for name in after]
