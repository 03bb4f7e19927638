"""Strict conversion of TOML tables to frozen dataclasses, by the types of their fields.

Nothing is guessed: a number is a number in the field's unit, and a key that is not a field is a fault.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from bosd.bal.spec import Amounts, RegulatorSpec
from bosd.config.faults import FileFaults, did_you_mean
from bosd.config.kinds import REGULATORS, driver_kinds, regulator_spec
from bosd.errors import ConfigError

T = TypeVar("T")
Convert = Callable[[object, str, FileFaults], Any]

BAD: Final = object()
"""What a conversion returns when it has added a fault."""

_UNITS = {
    "_ah": ("ampere-hours", {"ah": 1.0, "mah": 1e-3}),
    "_v": ("volts", {"v": 1.0, "mv": 1e-3, "kv": 1e3}),
    "_a": ("amperes", {"a": 1.0, "ma": 1e-3, "ka": 1e3}),
    "_w": ("watts", {"w": 1.0, "mw": 1e-3, "kw": 1e3}),
    "_s": ("seconds", {"s": 1.0, "ms": 1e-3, "m": 60.0, "min": 60.0, "h": 3600.0}),
    "_soc": ("a ratio 0 to 1", {"": 1.0, "%": 0.01}),
    "fraction": ("a ratio 0 to 1", {"": 1.0, "%": 0.01}),
}
_QUANTITY = re.compile(r"\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%]*)\s*")


@dataclass(frozen=True, slots=True)
class _Shape:
    converts: Mapping[str, Convert]
    required: tuple[str, ...]


_shapes: dict[type[Any], _Shape] = {}


def read_table(
    cls: type[T],
    table: Mapping[str, object],
    place: str,
    faults: FileFaults,
    *,
    skip: str = "",
    later: frozenset[str] = frozenset(),
) -> T | None:
    """Return the table as a `cls`, or None and its faults; `skip` is a key read elsewhere, `later` are keys not supported yet."""
    shape = _shape(cls)
    before = len(faults)
    values: dict[str, Any] = {}
    for key, value in table.items():
        convert = shape.converts.get(key)
        if convert is not None:
            values[key] = convert(value, f"{place}.{key}", faults)
        elif key in later:
            faults.add(f"{place}.{key}", "not supported by this version; remove it")
        elif key != skip:
            faults.add(f"{place}.{key}", f"unknown key; {did_you_mean(key, shape.converts)}")
    for key in shape.required:
        if key not in values:
            faults.add(f"{place}.{key}", "missing")
    return None if len(faults) > before else cls(**values)


def _shape(cls: type[Any]) -> _Shape:
    if cls in _shapes:
        return _shapes[cls]
    hints = get_type_hints(cls)
    converts = {field.name: _converter(hints[field.name], field.name) for field in fields(cls)}
    required = tuple(field.name for field in fields(cls) if field.default is MISSING and field.default_factory is MISSING)
    return _shapes.setdefault(cls, _Shape(converts, required))


def _converter(hint: Any, key: str) -> Convert:  # noqa: ANN401 (a type hint is any object)
    if isinstance(hint, UnionType):
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    if hint == Amounts:
        return _amounts(_number(key))
    if get_origin(hint) is Literal:
        return _word(cast("tuple[str, ...]", get_args(hint)))
    if get_origin(hint) is tuple:
        return _array(_converter(get_args(hint)[0], key))
    if is_dataclass(hint):
        return _regulator if hint is RegulatorSpec else _table(cast("type[Any]", hint))
    if hint is float:
        return _number(key)
    return {str: _text, int: _integer, bool: _truth, Path: _path}[hint]


def shown(value: object) -> str:
    """Return a value as TOML would show it, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value[:60]}…"' if len(value) > 60 else f'"{value}"'
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, int) and abs(value) > 10**18:
        return "an integer too large"
    return str(value)


def _number(key: str) -> Convert:
    unit, scales = next((unit for suffix, unit in _UNITS.items() if key.endswith(suffix)), ("", {"": 1.0}))
    wanted = "expected a ratio 0 to 1" if "ratio" in unit else f"expected a number in {unit}" if unit else "expected a number"

    def convert(value: object, place: str, faults: FileFaults) -> object:
        if type(value) is float or (type(value) is int and abs(value) <= 2**53):
            if isfinite(value):
                return float(value)
            faults.add(place, f"{wanted}, got {value}: it must be finite")
        else:
            faults.add(place, f"{wanted}, got {shown(value)}{_numeric_hint(value, scales)}")
        return BAD

    return convert


def _numeric_hint(value: object, scales: Mapping[str, float]) -> str:
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return ""
    scale = 1.0 if not match[2] else scales.get(match[2].lower())
    return "" if scale is None else f"; write {float(f'{float(match[1]) * scale:.12g}')}"


def _text(value: object, place: str, faults: FileFaults) -> object:
    if isinstance(value, str):
        return value
    faults.add(
        place, f"expected text, got {shown(value)}" + ("" if isinstance(value, list | dict) else f'; write "{shown(value)}"')
    )
    return BAD


def _path(value: object, place: str, faults: FileFaults) -> object:
    text = _text(value, place, faults)
    if not isinstance(text, str):
        return BAD
    if not text or "\0" in text:
        faults.add(place, f"expected a path, got {shown(text)}")
        return BAD
    return Path(text).expanduser()


def _integer(value: object, place: str, faults: FileFaults) -> object:
    if type(value) is int:
        return value
    faults.add(place, f"expected an integer, got {shown(value)}")
    return BAD


def _truth(value: object, place: str, faults: FileFaults) -> object:
    if isinstance(value, bool):
        return value
    faults.add(place, f"expected true or false, got {shown(value)}")
    return BAD


def _word(words: tuple[str, ...]) -> Convert:
    def convert(value: object, place: str, faults: FileFaults) -> object:
        if value in words:
            return value
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        faults.add(
            place, f"expected {' or '.join(map(shown, words))}, got {shown(value)}" + (f"; {hint}" if "mean" in hint else "")
        )
        return BAD

    return convert


def _table(cls: type[Any]) -> Convert:
    def convert(value: object, place: str, faults: FileFaults) -> object:
        if isinstance(value, dict):
            found = read_table(cls, value, place, faults)
            return BAD if found is None else found
        faults.add(place, f"expected a table, got {shown(value)}")
        return BAD

    return convert


def _regulator(value: object, place: str, faults: FileFaults) -> object:
    """Read a regulator's table by its kind."""
    if not isinstance(value, dict):
        faults.add(place, f'expected a table, got {shown(value)}; write {{ kind = "…", port = "…" }}')
        return BAD
    spec = spec_of_kind(value, place, faults, regulator_spec, lambda: driver_kinds(REGULATORS))
    found = None if spec is None else read_table(spec, value, place, faults, skip="kind")
    return BAD if found is None else found


def spec_of_kind(
    table: Mapping[str, object],
    place: str,
    faults: FileFaults,
    find: Callable[[str], type[T] | None],
    kinds: Callable[[], Iterable[str]],
) -> type[T] | None:
    """Return what `find` has for a table's `kind`, or None and the fault, which names one of `kinds`."""
    kind = table.get("kind")
    try:
        spec = find(kind) if isinstance(kind, str) else None
    except ConfigError as error:
        faults.add(f"{place}.kind", error.message)
        return None
    if spec is None:
        said = "missing" if kind is None else f"no such kind: {shown(kind)}"
        faults.add(f"{place}.kind", f"{said}; {did_you_mean(str(kind or ''), kinds())}")
    return spec


def _amounts(convert_one: Convert) -> Convert:
    def convert(value: object, place: str, faults: FileFaults) -> object:
        if isinstance(value, dict):
            return tuple(sorted((name, convert_one(each, f"{place}.{name}", faults)) for name, each in value.items()))
        faults.add(place, f"expected a table of numbers by name, got {shown(value)}; write {{ b1 = 1.0 }}")
        return BAD

    return convert


def _array(convert_one: Convert) -> Convert:
    def convert(value: object, place: str, faults: FileFaults) -> object:
        if not isinstance(value, list):
            hint = f"; write [{shown(value)}]" if isinstance(value, str) else ""
            faults.add(place, f"expected an array, got {shown(value)}{hint}")
            return BAD
        return tuple(convert_one(each, f"{place}[{index}]{_label(each)}", faults) for index, each in enumerate(value))

    return convert


def _label(value: object) -> str:
    return label(value) if isinstance(value, dict) else ""


def label(table: Mapping[str, object]) -> str:
    """Return a table's name as a place shows it: ` "agg"`, or nothing."""
    name = table.get("name")
    return f" {shown(name)}" if isinstance(name, str) else ""
