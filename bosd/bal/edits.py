"""Edits of a topology, as values: add, remove, replace and the whole; and the differences between two topologies.

Functions change nothing and return the topology after the edit; only `apply_edits` checks it whole.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from dataclasses import replace as with_fields
from typing import Literal

from bosd.bal.graph import users_of
from bosd.bal.portions import Merge, Portions, Recuts, Split
from bosd.bal.spec import BatterySpec, PartitionSpec, RegulatorSpec, SplitterSpec, Topology
from bosd.bal.topology import POLICIES, validate
from bosd.errors import BadNameError, BatteryInUseError, InvalidArgumentError, NameTakenError


@dataclass(frozen=True, slots=True)
class Add:
    """Add the batteries and splitters of a fragment."""

    fragment: Topology


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a battery, or a splitter with all its partitions."""

    name: str


@dataclass(frozen=True, slots=True)
class Replace:
    """Put a battery of any kind, or a splitter in a splitter's place, under the same name."""

    name: str
    fragment: Topology


@dataclass(frozen=True, slots=True)
class Whole:
    """Make the topology this one."""

    topology: Topology


EditOperation = Add | Remove | Replace | Whole | Split | Merge


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between two topologies; `detail` is for people."""

    action: Literal["add", "remove", "replace"]
    name: str
    kind: str
    detail: str


def apply_edits(
    topology: Topology, edits: Sequence[EditOperation], policies: Collection[str] = POLICIES, recuts: Recuts | None = None
) -> Topology:
    """Return the topology after a transaction: edits in order, checked as a whole at its end.

    `recuts` knows what partitions have and notes what splits and merges do with it.
    Raises BadNameError, NameTakenError, BatteryInUseError (users left behind, named), CycleError or InvalidArgumentError; of a
    split or a merge also ClaimedError, NoResourcesError and UnavailableError.
    """
    recuts = recuts or Recuts(_nothing_live)
    removed: set[str] = set()
    for edit in edits:
        before = topology
        match edit:
            case Add(fragment):
                topology = add(topology, fragment)
            case Remove(name):
                topology = _drop(topology, name)
            case Replace(name, fragment):
                topology = replace(topology, name, _single(fragment))
            case Whole(whole):
                topology = whole
            case Split():
                _split(topology, edit, recuts)
            case Merge():
                _merge(topology, edit, recuts)
        if isinstance(edit, Remove | Replace):
            removed |= _battery_names(before)
        if not isinstance(edit, Split | Merge):
            _forget_changed(before, topology, recuts)
    topology = _with_partitions(topology, recuts)
    _refuse_left_behind(topology, removed - _battery_names(topology))
    validate(topology, policies)
    return topology


def add(topology: Topology, fragment: Topology) -> Topology:
    """Return the topology with a fragment's batteries and splitters last. Raises NameTakenError."""
    taken = _all_names(topology)
    for name in _all_names(fragment):
        if name in taken:
            raise NameTakenError(f'the name "{name}" is taken', name=name)
    return Topology(batteries=topology.batteries + fragment.batteries, splitters=topology.splitters + fragment.splitters)


def remove(topology: Topology, name: str) -> Topology:
    """Return the topology without a battery, or a splitter and its partitions.

    Raises BatteryInUseError with the users of it or of a partition, BadNameError, InvalidArgumentError for a partition by itself.
    """
    after = _drop(topology, name)
    _refuse_left_behind(after, _battery_names(topology) - _battery_names(after))
    return after


def replace(topology: Topology, name: str, spec: BatterySpec | SplitterSpec) -> Topology:
    """Return the topology with another specification in the same place and under the same name.

    Raises BadNameError, NameTakenError for a new partition's name, BatteryInUseError for a vanished partition that is used,
    InvalidArgumentError for another name, a partition by itself, or a battery in a splitter's place.
    """
    _require_known(topology, name)
    if spec.name != name:
        raise InvalidArgumentError(f'a replacement keeps the name: "{spec.name}" is not "{name}"', name=spec.name)
    if isinstance(spec, BatterySpec):
        if all(each.name != name for each in topology.batteries):
            raise InvalidArgumentError(f'"{name}" is a splitter: only a splitter can replace it', name=name)
        batteries = tuple(spec if each.name == name else each for each in topology.batteries)
        return with_fields(topology, batteries=batteries)
    return _replace_splitter(topology, spec)


def _replace_splitter(topology: Topology, spec: SplitterSpec) -> Topology:
    if all(each.name != spec.name for each in topology.splitters):
        raise InvalidArgumentError(f'"{spec.name}" is a battery: a splitter cannot replace it', name=spec.name)
    others = tuple(each for each in topology.splitters if each.name != spec.name)
    taken = _all_names(with_fields(topology, splitters=others))
    for partition in spec.partitions:
        if partition.name in taken:
            raise NameTakenError(f'the name "{partition.name}" is taken', name=partition.name)
    splitters = tuple(spec if each.name == spec.name else each for each in topology.splitters)
    return with_fields(topology, splitters=splitters)


def _split(topology: Topology, asked: Split, recuts: Recuts) -> None:
    if all(each.name != asked.splitter for each in topology.splitters):
        known = ", ".join(each.name for each in topology.splitters) or "none"
        raise BadNameError(f'no splitter "{asked.splitter}"; there are: {known}', name=asked.splitter, known=known)
    if recuts.splitter_of(asked.name) or asked.name in _all_names(topology):
        raise NameTakenError(f'the name "{asked.name}" is taken', name=asked.name)
    _refuse_used(topology, asked.donor)
    recuts.split(asked)


def _merge(topology: Topology, asked: Merge, recuts: Recuts) -> None:
    owners = (each.name for each in topology.splitters if any(part.name == asked.name for part in each.partitions))
    owner = recuts.splitter_of(asked.name) or next(owners, None)
    if owner is None:
        raise BadNameError(f'no partition "{asked.name}"', name=asked.name)
    _refuse_used(topology, asked.name)
    _refuse_used(topology, asked.into)
    recuts.merge(owner, asked)


def _with_partitions(topology: Topology, recuts: Recuts) -> Topology:
    """Return the topology with the partitions that splits and merges leave."""
    changed = recuts.portions()
    splitters = tuple(
        with_fields(each, partitions=changed[each.name].specs()) if each.name in changed else each for each in topology.splitters
    )
    return with_fields(topology, splitters=splitters) if changed else topology


def _refuse_used(topology: Topology, name: str) -> None:
    if users := users_of(topology, name):
        raise BatteryInUseError(f'"{name}" is in use by {", ".join(users)}', name=name, users=", ".join(users))


def _forget_changed(before: Topology, after: Topology, recuts: Recuts) -> None:
    """Let go of splits and merges of a splitter that a later edit of the transaction took out or wrote anew."""
    kept = {splitter.name: splitter for splitter in after.splitters}
    for splitter in before.splitters:
        if kept.get(splitter.name) != splitter:
            recuts.forget(splitter.name)


def _nothing_live(name: str) -> Portions:
    raise BadNameError(f'no splitter "{name}" is in force', name=name)


def _single(fragment: Topology) -> BatterySpec | SplitterSpec:
    specs: list[BatterySpec | SplitterSpec] = [*fragment.batteries, *fragment.splitters]
    if len(specs) != 1:
        raise InvalidArgumentError(f"a replacement is one battery or one splitter, not {len(specs)}")
    return specs[0]


def _drop(topology: Topology, name: str) -> Topology:
    _require_known(topology, name)
    return Topology(
        batteries=tuple(spec for spec in topology.batteries if spec.name != name),
        splitters=tuple(spec for spec in topology.splitters if spec.name != name),
    )


def _require_known(topology: Topology, name: str) -> None:
    for splitter in topology.splitters:
        if any(partition.name == name for partition in splitter.partitions):
            message = f'"{name}" is a partition of splitter "{splitter.name}": remove or replace "{splitter.name}"'
            raise InvalidArgumentError(message, name=name, splitter=splitter.name)
    if name not in _all_names(topology):
        raise BadNameError(f'no battery or splitter "{name}"', name=name)


def _refuse_left_behind(topology: Topology, removed: set[str]) -> None:
    for name in sorted(removed):
        if users := users_of(topology, name):
            message = f'"{name}" is in use by {", ".join(users)}'
            raise BatteryInUseError(message, name=name, users=", ".join(users))


def _battery_names(topology: Topology) -> set[str]:
    return set(_all_names(topology)) - {splitter.name for splitter in topology.splitters}


def _all_names(topology: Topology) -> dict[str, None]:
    names = dict.fromkeys(spec.name for spec in topology.batteries)
    for splitter in topology.splitters:
        names[splitter.name] = None
        names.update(dict.fromkeys(partition.name for partition in splitter.partitions))
    return names


def diff(old: Topology, new: Topology) -> tuple[Change, ...]:
    """Return what sets two valid topologies apart: removals, then the rest as written; the order of tables is no difference."""
    before, after = _specs(old), _specs(new)
    changes = [
        Change(action="remove", name=name, kind=_kind(spec), detail=_summary(spec))
        for name, spec in before.items()
        if name not in after
    ]
    for name, spec in after.items():
        if name not in before:
            changes.append(Change(action="add", name=name, kind=_kind(spec), detail=_summary(spec)))
        elif before[name] != spec:
            detail = ", ".join(_differences(before[name], spec))
            changes.append(Change(action="replace", name=name, kind=_kind(spec), detail=detail))
    return tuple(changes)


def _specs(topology: Topology) -> dict[str, BatterySpec | SplitterSpec]:
    specs: dict[str, BatterySpec | SplitterSpec] = {spec.name: spec for spec in topology.batteries}
    specs.update((spec.name, spec) for spec in topology.splitters)
    return specs


def _kind(spec: BatterySpec | SplitterSpec) -> str:
    return spec.kind if isinstance(spec, BatterySpec) else "splitter"


def _summary(spec: BatterySpec | SplitterSpec) -> str:
    if isinstance(spec, SplitterSpec):
        return f"{spec.policy}, {spec.source} as {', '.join(part.name for part in spec.partitions)}"
    if spec.source_names:
        return f"of {', '.join(spec.source_names)}"
    return next((f"{key} {getattr(spec, key)}" for key in ("port", "target") if hasattr(spec, key)), "")


def _differences(old: BatterySpec | SplitterSpec | PartitionSpec | RegulatorSpec, new: object, prefix: str = "") -> Iterator[str]:
    """Yield `key old -> new` for each key that differs."""
    if type(old) is not type(new):
        yield f"kind {_kind_of(old)} -> {_kind_of(new)}"
        return
    for field in fields(old):
        was, now = getattr(old, field.name), getattr(new, field.name)
        if was == now:
            continue
        if field.name == "partitions":
            yield from _partition_differences(was, now)
        elif isinstance(was, RegulatorSpec) and isinstance(now, RegulatorSpec):
            yield from _differences(was, now, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name} {_text(was)} -> {_text(now)}"


def _partition_differences(old: tuple[PartitionSpec, ...], new: tuple[PartitionSpec, ...]) -> Iterator[str]:
    was, now = ([part.name for part in parts] for parts in (old, new))
    if was != now:
        yield f"partitions {_text(tuple(was))} -> {_text(tuple(now))}"
    before = {part.name: part for part in old}
    for part in new:
        if part.name in before:
            yield from _differences(before[part.name], part, f"{part.name}.")


def _kind_of(spec: object) -> str:
    return _kind(spec) if isinstance(spec, BatterySpec | SplitterSpec) else type(spec).__name__


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return f"{{{', '.join(f'{name}: {each:g}' for name, each in value)}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return f"{value.kind} at {value.port}" if isinstance(value, RegulatorSpec) else str(value)
