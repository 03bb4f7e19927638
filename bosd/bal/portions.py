"""Splitting a partition off another and merging it back: who has what then (bal.md, "Split and merge").

Everybody else keeps charge, meter and limits; fractions are re-based to what the partitions have at that moment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import fsum, isfinite

from bosd.bal.spec import PartitionSpec
from bosd.bal.spec_rules import FRACTION_KINDS, FractionKind, fraction_of
from bosd.errors import BadNameError, InvalidArgumentError, NoResourcesError, RequestError, UnavailableError

SLACK = 1e-9
"""What rounding may make a request exceed what there is by, as a ratio."""
SAME = 1e-12
"""Fractions nearer to each other than this are the same."""

_KEYS: dict[FractionKind, str] = {
    "charge": "charge_ah",
    "capacity": "capacity_ah",
    "current": "max_discharge_current_a",
    "charge_current": "max_charge_current_a",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Split `name` off the partition `donor` of a splitter, below all others or above one.

    What is not given follows the capacity; `fraction` is of the source's capacity, amounts are in Ah and A.
    """

    splitter: str
    name: str
    donor: str
    above: str = ""
    fraction: float | None = None
    charge_ah: float | None = None
    capacity_ah: float | None = None
    max_discharge_current_a: float | None = None
    max_charge_current_a: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Merge the partition `name` back into another one of the same splitter."""

    name: str
    into: str


@dataclass(frozen=True, slots=True)
class Cut:
    """`name` gets `ratio` of what `donor` is metered to hold."""

    name: str
    donor: str
    ratio: float


@dataclass(frozen=True, slots=True)
class Join:
    """`into` gets what `name` is metered to hold."""

    name: str
    into: str


Step = Cut | Join


@dataclass(frozen=True, slots=True)
class Portion:
    """One partition's parts of the source, by kind, and why it cannot be split or merged now."""

    spec: PartitionSpec
    parts: dict[FractionKind, float]
    refusal: RequestError | None = None


@dataclass(frozen=True, slots=True)
class Portions:
    """What the partitions of a splitter have, top first; `totals` are the source's Ah and A, None where unknown."""

    splitter: str
    totals: dict[FractionKind, float | None]
    portions: tuple[Portion, ...]
    steps: tuple[Step, ...] = ()

    def specs(self) -> tuple[PartitionSpec, ...]:
        """Return the partitions as a topology has them: fractions add up to 1; one that did not change is as it was."""
        sums = {kind: fsum(each.parts[kind] for each in self.portions) for kind in FRACTION_KINDS}
        return tuple(
            _spec(each.spec, {kind: part / sums[kind] if sums[kind] else part for kind, part in each.parts.items()})
            for each in self.portions
        )

    def named(self, name: str) -> Portion:
        """Return the free and idle partition of this name. Raises BadNameError, or what keeps it from changing."""
        for each in self.portions:
            if each.spec.name == name:
                if each.refusal is not None:
                    raise each.refusal
                return each
        known = ", ".join(each.spec.name for each in self.portions)
        message = f'no partition "{name}" in "{self.splitter}"; it has {known}'
        raise BadNameError(message, name=name, splitter=self.splitter, known=known)

    def after_split(self, asked: Split) -> "Portions":
        """Return the portions with a new partition.

        Raises BadNameError, NoResourcesError for more than the donor has, InvalidArgumentError for what does not fit,
        UnavailableError where an amount is asked of something unknown.
        """
        donor = self.named(asked.donor)
        given = self._given(asked, donor)
        left = {kind: max(0.0, donor.parts[kind] - part) for kind, part in given.items()}
        self._check_fit(asked.name, given)
        self._check_fit(asked.donor, left)
        ratio = given["charge"] / donor.parts["charge"] if donor.parts["charge"] else _capacity_ratio(given, donor)
        new = Portion(PartitionSpec(name=asked.name), given)
        portions = [Portion(donor.spec, left) if each is donor else each for each in self.portions]
        if asked.above and all(each.spec.name != asked.above for each in portions):
            raise BadNameError(f'no partition "{asked.above}" in "{self.splitter}" to stand above', name=asked.above)
        place = next((slot for slot, each in enumerate(portions) if each.spec.name == asked.above), len(portions))
        portions.insert(place, new)
        return replace(self, portions=tuple(portions), steps=(*self.steps, Cut(asked.name, asked.donor, ratio)))

    def after_merge(self, asked: Merge) -> "Portions":
        """Return the portions without `name`, all of it in `into`. Raises BadNameError or InvalidArgumentError."""
        if asked.name == asked.into:
            raise InvalidArgumentError(f'"{asked.name}" cannot be merged into itself', name=asked.name)
        gone, into = self.named(asked.name), self.named(asked.into)
        whole = Portion(into.spec, {kind: part + gone.parts[kind] for kind, part in into.parts.items()})
        portions = tuple(whole if each is into else each for each in self.portions if each is not gone)
        return replace(self, portions=portions, steps=(*self.steps, Join(asked.name, asked.into)))

    def _given(self, asked: Split, donor: Portion) -> dict[FractionKind, float]:
        capacity = self._part(asked, "capacity", donor)
        if capacity is None:
            raise InvalidArgumentError("say how much: capacity_ah=… or fraction=… (of the source)", field="capacity_ah")
        given: dict[FractionKind, float] = {"capacity": capacity}
        ratio = _capacity_ratio(given, donor)
        for kind in FRACTION_KINDS:
            if kind != "capacity":
                part = self._part(asked, kind, donor)
                given[kind] = ratio * donor.parts[kind] if part is None else part
        return given

    def _part(self, asked: Split, kind: FractionKind, donor: Portion) -> float | None:
        """Return what is asked of one kind as a part of the source, None where nothing is."""
        key, total = _KEYS[kind], self.totals[kind]
        amount: float | None = getattr(asked, key)
        if amount is None and kind == "capacity" and asked.fraction is not None:
            return self._checked("capacity fraction", asked.fraction, 1.0, kind, donor)
        if amount is None:
            return None
        if total is None:
            raise UnavailableError(f'what "{self.splitter}" has of {key} is not known now: give fraction, or wait for a sample')
        return self._checked(key, amount, total, kind, donor)

    def _checked(self, key: str, amount: float, total: float, kind: FractionKind, donor: Portion) -> float:
        if not isfinite(amount) or amount < 0.0:
            raise InvalidArgumentError(f"{key} {amount!r}: it is a number of 0 or above", field=key)
        has = donor.parts[kind] * total
        if amount > has * (1.0 + SLACK):
            message = f'"{donor.spec.name}" has {key} {has:g}; {amount:g} is asked for'
            raise NoResourcesError(message, name=donor.spec.name, key=key, asked=amount, has=has)
        return min(amount / total, donor.parts[kind]) if total else 0.0

    def _check_fit(self, name: str, parts: dict[FractionKind, float]) -> None:
        charge, capacity = self.totals["charge"], self.totals["capacity"]
        if charge is None or capacity is None:
            return
        charge_ah, capacity_ah = parts["charge"] * charge, parts["capacity"] * capacity
        if charge_ah > capacity_ah + SLACK * max(charge, capacity):
            message = f'"{name}" would hold {charge_ah:g} Ah, its capacity would be {capacity_ah:g} Ah'
            raise InvalidArgumentError(message, name=name, charge_ah=charge_ah, capacity_ah=capacity_ah)


class Recuts:
    """The splits and merges of one transaction; `find` gives what the partitions of a splitter have now."""

    def __init__(self, find: Callable[[str], Portions]) -> None:
        self._find = find
        self._portions: dict[str, Portions] = {}
        self._anew: set[str] = set()
        self._made: dict[str, str] = {}

    def split(self, asked: Split) -> None:
        """Split a partition. Raises what `Portions.after_split` raises."""
        self._portions[asked.splitter] = self._of(asked.splitter).after_split(asked)
        self._made[asked.name] = asked.splitter

    def merge(self, splitter: str, asked: Merge) -> None:
        """Merge a partition. Raises what `Portions.after_merge` raises."""
        self._portions[splitter] = self._of(splitter).after_merge(asked)
        self._made.pop(asked.name, None)

    def splitter_of(self, name: str) -> str | None:
        """Return the splitter off which a partition was split in this transaction."""
        return self._made.get(name)

    def forget(self, splitter: str) -> None:
        """Forget what was done to a splitter that is gone or written anew; what a new one has is not known yet."""
        self._portions.pop(splitter, None)
        self._anew.add(splitter)
        self._made = {name: owner for name, owner in self._made.items() if owner != splitter}

    def portions(self) -> Mapping[str, Portions]:
        """Return what the partitions of the splitters concerned have afterwards, by splitter."""
        return self._portions

    def steps(self) -> dict[str, tuple[Step, ...]]:
        """Return what is to be done to meters, by splitter."""
        return {name: portions.steps for name, portions in self._portions.items()}

    def _of(self, splitter: str) -> Portions:
        if splitter in self._anew:
            message = f'"{splitter}" is written anew in the same edit: write its partitions there'
            raise InvalidArgumentError(message, splitter=splitter)
        return self._portions.get(splitter) or self._find(splitter)


def _capacity_ratio(given: dict[FractionKind, float], donor: Portion) -> float:
    return given["capacity"] / donor.parts["capacity"] if donor.parts["capacity"] else 0.0


def _spec(spec: PartitionSpec, parts: dict[FractionKind, float]) -> PartitionSpec:
    """Return a specification with these fractions, the very same where none of them differs."""
    old = {kind: fraction_of(spec, kind) for kind in FRACTION_KINDS}
    if all(before is not None and abs(before - parts[kind]) <= SAME for kind, before in old.items()):
        return spec
    capacity = parts["capacity"]
    charge, current = parts["charge"], parts["current"]
    charge_current = parts["charge_current"]
    return replace(
        spec,
        fraction=capacity,
        capacity_fraction=None,
        charge_fraction=None if abs(charge - capacity) <= SAME else charge,
        current_fraction=None if abs(current - capacity) <= SAME else current,
        charge_current_fraction=None if abs(charge_current - current) <= SAME else charge_current,
    )
