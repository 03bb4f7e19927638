"""Resetting a leaf's meter, with all that rests on it, and taking that back (bal.md, "The meter")."""

from collections.abc import Callable, Iterator

from bosd.bal import allocation
from bosd.bal.aggregator import Aggregator, members_of
from bosd.bal.battery import Battery
from bosd.bal.physical import PhysicalBattery
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.splitter import Splitter
from bosd.errors import UnavailableError, UnsupportedError

Undo = Callable[[], None]


def reset_meter(battery: Battery, now_s: float) -> tuple[float, Undo]:
    """Let a leaf's meter be the charge it holds, 0 s unobserved, and re-base all above; return the shift in Ah and its undoing.

    Raises UnsupportedError for what is no leaf with a meter of its own, naming those below; UnavailableError before the first
    sample.
    """
    if not isinstance(battery, PhysicalBattery | PseudoBattery):
        raise _refusal(battery)
    status, meter = battery.status(now_s), battery.meter
    if meter is None or status.charge_ah is None:
        raise UnavailableError(f"{battery.name} was not sampled yet: its charge is not known", battery=battery.name)
    at_s = now_s if isinstance(battery, PseudoBattery) else min(now_s, status.sampled_to_s or now_s)
    shift_ah = status.charge_ah - (status.expected_ah(at_s) or 0.0)
    unobserved_s = meter.unobserved_s
    shifts = list(_above(battery, shift_ah, now_s))

    def apply(sign: float, unobserved_s: float) -> None:
        meter.shift(sign * shift_ah)
        meter.unobserved_s = unobserved_s
        for splitter, by_ah, source_by_ah in shifts:
            voltage_v = splitter.source.status(now_s).voltage_v
            splitter.accounts.shifted([sign * each for each in by_ah], sign * source_by_ah, now_s, voltage_v)
        battery.touch()

    apply(1.0, 0.0)
    return shift_ah, lambda: apply(-1.0, unobserved_s)


def _refusal(battery: Battery) -> UnsupportedError:
    leaves = [each.name for each in members_of(battery) if isinstance(each, PhysicalBattery | PseudoBattery)]
    if battery.sources:
        message = f"{battery.name} rests on others: a meter is reset at a leaf, here {', '.join(leaves) or 'at another node'}"
        return UnsupportedError(message, battery=battery.name, leaves=", ".join(leaves))
    return UnsupportedError(f"{battery.name} is of kind {battery.kind}: its meter is not kept here", battery=battery.name)


def _above(leaf: Battery, shift_ah: float, now_s: float) -> Iterator[tuple[Splitter, list[float], float]]:
    """Yield what each splitter above shares, and how, where a leaf's meter moves by `shift_ah`; sources before users.

    What rests on several partitions of one splitter moves by the sum of theirs, once.
    """
    shifts_ah: dict[Battery, float] = {leaf: shift_ah}
    while shifts_ah:
        battery = min(shifts_ah, key=lambda each: each.rank)
        by_ah, user = shifts_ah.pop(battery), battery.user
        if isinstance(user, Aggregator):
            shifts_ah[user] = shifts_ah.get(user, 0.0) + by_ah
        elif isinstance(user, Splitter):
            user.step(now_s)
            parts_ah = _shares(user, by_ah, now_s)
            yield user, parts_ah, by_ah
            shifts_ah.update(zip(user.partitions, parts_ah, strict=True))


def _shares(splitter: Splitter, shift_ah: float, now_s: float) -> list[float]:
    """Return what each partition's meter moves by: as the policy shares such a deviation."""
    metered_ah = splitter.accounts.metered_ah
    capacities_ah = splitter.allocation(now_s).capacities_ah
    if metered_ah is None or capacities_ah is None:
        return [0.0] * len(splitter.partitions)
    shared = allocation.charges_ah(splitter.policy, metered_ah, capacities_ah, max(0.0, sum(metered_ah) + shift_ah)).shares
    return [now_ah - before_ah for now_ah, before_ah in zip(shared, metered_ah, strict=True)]
