"""Which kinds of batteries and regulators a file may name: ours, and those that installed packages bring.

A package brings a battery's driver by an entry point in the group `bosd.drivers`, a regulator's in `bosd.regulators`. The entry
point's name is the kind, its object has the class of its specification as `spec`.
"""

import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any

from bosd.bal.spec import AggregatorSpec, BatterySpec, NetworkSpec, NullSpec, PhysicalSpec, PseudoSpec, RegulatorSpec
from bosd.errors import ConfigError

DRIVERS = "bosd.drivers"
REGULATORS = "bosd.regulators"

_VIRTUAL: Mapping[str, type[BatterySpec]] = {cls.kind: cls for cls in (PseudoSpec, NullSpec, AggregatorSpec, NetworkSpec)}
_SHIPPED: Mapping[str, Mapping[str, str]] = {
    DRIVERS: {
        "csv": "bosd.drivers.csv_file:DRIVER",
        "jbd": "bosd.drivers.jbd:DRIVER",
        "sonnen": "bosd.drivers.sonnen:DRIVER",
    },
    REGULATORS: {
        "rd6006": "bosd.drivers.rd6006:REGULATOR",
        "simulated": "bosd.drivers.simulated_regulator:REGULATOR",
    },
}


def battery_kinds() -> tuple[str, ...]:
    """Return every kind that `[[battery]]` may name, sorted."""
    return tuple(sorted((*_VIRTUAL, *driver_kinds(DRIVERS))))


def driver_kinds(group: str) -> tuple[str, ...]:
    """Return the kinds of one group, sorted: the shipped ones and those of installed packages."""
    return tuple(sorted({*_SHIPPED[group], *(point.name for point in _points(group))}))


def battery_spec(kind: str) -> type[BatterySpec] | None:
    """Return the class of a kind's specification, None for an unknown kind. Raises ConfigError for an unusable package."""
    if kind in _VIRTUAL:
        return _VIRTUAL[kind]
    found = load_driver(DRIVERS, kind)
    return None if found is None else _spec_of(found, kind, PhysicalSpec)


def regulator_spec(kind: str) -> type[RegulatorSpec] | None:
    """Return the class of a regulator's specification, None for an unknown kind. Raises as `battery_spec` does."""
    found = load_driver(REGULATORS, kind)
    return None if found is None else _spec_of(found, kind, RegulatorSpec)


def load_driver(group: str, kind: str) -> Any:  # noqa: ANN401 (what a package offers is known when it was looked at)
    """Return the object behind a kind, None for an unknown kind. Raises ConfigError when its package cannot be loaded."""
    shipped = _SHIPPED[group].get(kind)
    point = EntryPoint(kind, shipped, group) if shipped is not None else _installed(group, kind)
    if point is None:
        return None
    try:
        return point.load()
    except Exception as error:
        message = f'the driver of kind "{kind}"{_origin(point)} cannot be loaded: {type(error).__name__}: {error}'
        raise ConfigError(message, kind=kind) from error


def is_shipped(kind: str) -> bool:
    """Return whether a kind of a battery or a regulator is one of this version's own."""
    return kind in _VIRTUAL or any(kind in kinds for kinds in _SHIPPED.values())


def kind_origin(kind: str) -> str:
    """Return name and version of the package that a kind comes from, nothing for the shipped ones and for what is unknown."""
    if is_shipped(kind):
        return ""
    points = [point for group in (DRIVERS, REGULATORS) for point in _points(group).select(name=kind)]
    return _origin(points[0]).removeprefix(" by ") if points else ""


def _points(group: str) -> EntryPoints:
    """Return what installed packages offer in a group; looked up anew only where packages came or went.

    A look reads the metadata of every package, some 15 ms and ten times that on a small board, and a file may name many kinds.
    """
    return _points_of(group, tuple((path, _changed_ns(path)) for path in sys.path))


@lru_cache(maxsize=2)
def _points_of(group: str, _places: tuple[tuple[str, int], ...]) -> EntryPoints:
    return entry_points(group=group)


def _changed_ns(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _installed(group: str, kind: str) -> EntryPoint | None:
    found = tuple(_points(group).select(name=kind))
    if len(found) > 1:
        packages = " and".join(_origin(point) for point in found)
        raise ConfigError(f'kind "{kind}" is offered twice,{packages}; keep one', kind=kind)
    return found[0] if found else None


def _origin(point: EntryPoint) -> str:
    return "" if point.dist is None else f" by {point.dist.name} {point.dist.version}"


def _spec_of(found: object, kind: str, base: type[Any]) -> type[Any]:
    """Return a driver's `spec`, checked: a class derived from `base` whose `kind` is the entry point's name."""
    spec = getattr(found, "spec", None)
    if not isinstance(spec, type) or not issubclass(spec, base) or getattr(spec, "kind", "") != kind:
        wanted = f'an object whose spec is a class derived from {base.__name__} with kind = "{kind}"'
        raise ConfigError(f'the driver of kind "{kind}" offers {found!r}; expected {wanted}', kind=kind)
    return spec
