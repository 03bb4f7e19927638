"""A topology as TOML: its `[[battery]]` and `[[splitter]]` tables alone."""

import json
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal

import structlog

from bosd.bal.edits import Add, EditOperation, Remove, Replace, Whole
from bosd.bal.in_sight import in_sight_faults, kept_in_sight
from bosd.bal.spec import (
    SERIAL,
    AbsentSpec,
    BatterySpec,
    NetworkSpec,
    NullSpec,
    PhysicalSpec,
    RegulatorSpec,
    SplitterSpec,
    Topology,
)
from bosd.bal.spec_rules import battery_faults, name_fault, splitter_faults
from bosd.bal.topology import graph_faults
from bosd.config.faults import FileFaults
from bosd.config.kinds import battery_kinds, battery_spec, is_shipped
from bosd.config.reader import label, read_table, shown, spec_of_kind

_log = structlog.get_logger("config")

MAX_TEXT = 4 * 1024 * 1024

NODE_TABLES = ("node", "store", "hooks", "security", "fleet", "eebus")
"""What a configuration file holds besides a topology: the node's own settings, read when it starts."""

_LATER_BATTERY_KEYS = frozenset({"node"})
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONG_KEY = re.compile(r"(?<![\w.-])(?:[\w-]+\.){33}")


def parse_stored(text: str, place: str) -> Topology:
    """Return a topology that was accepted before: a battery whose driver cannot be had any more is an AbsentSpec.

    Raises ConfigError with all other faults.
    """
    faults = FileFaults(place)
    topology, _ = read_topology(read_toml(text, place), faults, stored=True)
    faults.raise_any()
    return topology


def parse_topology(text: str, place: str = "topology", name: str = "", *, passed_over: Collection[str] = ()) -> Topology:
    """Return a topology or a fragment, without looking for what its batteries rest on. Raises ConfigError with all faults.

    A single table without a name is that of `name`, where one is given; tables in `passed_over` may be there and are not read.
    """
    faults = FileFaults(place)
    tables = read_toml(text, place)
    if name:
        _name_the_only_one(tables, name)
    for key in sorted(tables.keys() - {"battery", "splitter", *passed_over}):
        faults.add(key, f"a topology holds [[battery]] and [[splitter]] tables alone; take [{key}] out of this file")
    topology, _ = read_topology(tables, faults)
    faults.raise_any()
    return topology


def parse_edit(action: Literal["add", "remove", "replace", "whole"], name: str, toml: str) -> EditOperation:
    """Return one edit as the topology's transaction takes it. Raises ConfigError with all faults of its TOML.

    The whole may be a configuration file: its topology counts, the node's own settings do not.
    """
    if action == "remove":
        return Remove(name)
    place = f"{action} {name}".rstrip() if action != "whole" else "topology"
    topology = parse_topology(
        toml, place, name if action == "replace" else "", passed_over=NODE_TABLES if action == "whole" else ()
    )
    match action:
        case "add":
            return Add(topology)
        case "replace":
            return Replace(name, topology)
        case "whole":
            return Whole(topology)


def read_toml(text: str, place: str) -> dict[str, Any]:
    """Return the tables of a TOML text. Raises ConfigError with line and column of a syntax fault."""
    faults = FileFaults(place)
    if len(text) > MAX_TEXT:
        faults.add("", f"{len(text)} characters; at most {MAX_TEXT} are read")
    elif _LONG_KEY.search(text):
        faults.add("", "a dotted key has more than 32 parts")
    else:
        try:
            return tomllib.loads(text)
        except RecursionError:
            faults.add("", "not TOML: tables or arrays lie too deep in each other")
        except ValueError as error:
            faults.add("", f"not TOML: {error}")
    faults.raise_any()
    raise AssertionError  # faults are never empty here


def _name_the_only_one(tables: Mapping[str, object], name: str) -> None:
    found = [table for key in ("battery", "splitter") if isinstance(value := tables.get(key), list) for table in value]
    if len(found) == 1 and isinstance(found[0], dict):
        found[0].setdefault("name", name)


def read_topology(tables: Mapping[str, object], faults: FileFaults, *, stored: bool = False) -> tuple[Topology, frozenset[str]]:
    """Return what could be read and the names declared by what could not; each specification is checked by itself.

    Of what was `stored` before, a battery without a driver is an AbsentSpec.
    """
    batteries: list[BatterySpec] = []
    splitters: list[SplitterSpec] = []
    lost: set[str] = set()
    for place, table in _array_of_tables(tables, "battery", faults):
        battery = (_absent(table, place) if stored else None) or _battery(table, place, faults, stored=stored)
        if battery is None:
            lost |= _declared(table)
        else:
            batteries.append(battery)
    for place, table in _array_of_tables(tables, "splitter", faults):
        splitter = read_table(SplitterSpec, table, place, faults)
        if splitter is None:
            lost |= _declared(table)
            continue
        splitters.append(splitter)
        for key, text in splitter_faults(splitter):
            faults.add(f"{place}.{key}", text)
    return Topology(batteries=tuple(batteries), splitters=tuple(splitters)), frozenset(lost)


def check_graph(topology: Topology, lost: Collection[str], policies: Collection[str], faults: FileFaults) -> None:
    """Add the faults of the batteries together; `lost` stand for batteries that are faulty already."""
    stand_ins = tuple(NullSpec(name=name, voltage_v=0.0) for name in sorted(lost))
    whole = Topology(batteries=topology.batteries + stand_ins, splitters=topology.splitters)
    for fault in graph_faults(whole, policies):
        message = fault.error.message
        faults.add(fault.place, message.removeprefix(f"{fault.place}: "))


def _array_of_tables(tables: Mapping[str, object], key: str, faults: FileFaults) -> list[tuple[str, Mapping[str, object]]]:
    value = tables.get(key, [])
    if not isinstance(value, list):
        faults.add(key, f"expected [[{key}]] tables, got {shown(value)}; write [[{key}]]")
        return []
    found: list[tuple[str, Mapping[str, object]]] = []
    for index, table in enumerate(value):
        if isinstance(table, dict):
            found.append((f"{key}[{index}]{label(table)}", table))
        else:
            faults.add(f"{key}[{index}]", f"expected a table, got {shown(table)}")
    return found


def _battery(table: Mapping[str, object], place: str, faults: FileFaults, *, stored: bool = False) -> BatterySpec | None:
    spec = spec_of_kind(table, place, faults, battery_spec, battery_kinds)
    if spec is None:
        return None
    if spec is NetworkSpec and "node" in table:
        table = _by_serial(table, place, faults)
    found: BatterySpec | None = read_table(spec, table, place, faults, skip="kind", later=_LATER_BATTERY_KEYS)
    if stored and isinstance(found, PhysicalSpec):
        found = _kept_in_sight(found, place)
    for key, text in () if found is None else _own_faults(found):
        faults.add(f"{place}.{key}", text)
    return found


def _kept_in_sight(spec: PhysicalSpec, place: str) -> PhysicalSpec:
    """Return what was stored before there was a bound of its ages, with the longest allowed, and say so."""
    kept = kept_in_sight(spec)
    if kept is not spec:
        beyond = [f"{key} {text}" for key, text in in_sight_faults(spec)]
        _log.warning("age_lowered", battery=spec.name, place=place, detail="; ".join(beyond))
    return kept


def _own_faults(spec: BatterySpec) -> list[tuple[str, str]]:
    """Return the faults of a specification; a check by another package that fails itself is one."""
    try:
        return list(battery_faults(spec))
    except Exception as error:
        if is_shipped(spec.kind):
            raise
        return [("kind", f'the check of kind "{spec.kind}" failed itself: {type(error).__name__}: {error}')]


def _absent(table: Mapping[str, object], place: str) -> AbsentSpec | None:
    """Return what stands for a battery whose driver, or whose regulator's, cannot be had; None where both can."""
    name, kind, regulator = table.get("name"), table.get("kind"), table.get("regulator")
    if not isinstance(name, str) or name_fault(name) or not isinstance(kind, str):
        return None
    regulator_kind = regulator.get("kind") if isinstance(regulator, dict) else None
    if is_shipped(kind) and (regulator_kind is None or is_shipped(regulator_kind)):
        return None
    faults = FileFaults(place)
    if _battery(table, place, faults) is not None and not faults:
        return None
    common = {field.name: table[field.name] for field in fields(PhysicalSpec) if field.name in table}
    common.pop("regulator", None)
    known = read_table(PhysicalSpec, {"port": "", **common}, place, FileFaults(place)) or PhysicalSpec(name=name, port="")
    values = {field.name: getattr(known, field.name) for field in fields(PhysicalSpec)}
    return AbsentSpec(**values, kind=kind, written=json.dumps(table, default=str), why=faults.first)


def _by_serial(table: Mapping[str, object], place: str, faults: FileFaults) -> Mapping[str, object]:
    """Return a stub's table with `node = "SERIAL"` as a target."""
    node = table["node"]
    if "target" in table:
        faults.add(f"{place}.node", "give one of target and node")
    elif not isinstance(node, str):
        faults.add(f"{place}.node", f"expected the name in a node's certificate, got {shown(node)}")
    rest = {key: value for key, value in table.items() if key != "node"}
    return {"target": f"{SERIAL}{node}", **rest}


def _declared(table: Mapping[str, object]) -> set[str]:
    """Return the names that a faulty table would have given."""
    partitions = table.get("partitions")
    parts = partitions if isinstance(partitions, list) else []
    names = [table.get("name"), *(part.get("name") for part in parts if isinstance(part, dict))]
    return {name for name in names if isinstance(name, str)}


def format_topology(topology: Topology) -> str:
    """Return the topology as TOML: tables in order, keys in the specification's order, defaults left out; it reads back equal."""
    tables = [("battery", {"name": spec.name, "kind": spec.kind} | _named(_plain(spec))) for spec in topology.batteries]
    tables += [("splitter", _plain(spec)) for spec in topology.splitters]
    return "\n".join(_written(header, table) for header, table in tables)


def _named(table: dict[str, Any]) -> dict[str, Any]:
    """Return a battery's table with a target that is a serial as `node`."""
    target = table.get("target", "")
    if not target.startswith(SERIAL):
        return table
    node = target.removeprefix(SERIAL)
    return {("node" if key == "target" else key): (node if key == "target" else value) for key, value in table.items()}


def _plain(value: Any) -> dict[str, Any]:  # noqa: ANN401 (any specification)
    if isinstance(value, AbsentSpec):
        written: dict[str, Any] = json.loads(value.written)
        return written
    found: dict[str, Any] = {"kind": value.kind} if isinstance(value, RegulatorSpec) else {}
    for field in fields(value):
        item = getattr(value, field.name)
        if field.default is not MISSING and item == field.default:
            continue
        if isinstance(item, tuple) and item and isinstance(item[0], tuple):
            found[field.name] = dict(item) if isinstance(item[0][0], str) else [list(each) for each in item]
        elif isinstance(item, tuple):
            found[field.name] = [_plain(each) if is_dataclass(each) else each for each in item]
        else:
            found[field.name] = _plain(item) if is_dataclass(item) else item
    return found


def _written(header: str, table: Mapping[str, Any]) -> str:
    lines = [f"[[{header}]]"]
    for key, value in table.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{key} = [", *(f"    {_inline(each)}," for each in value), "]"]
        else:
            lines.append(f"{key} = {_inline(value)}")
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_inline(each)}' for key, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    # JSON writes text, numbers and truth as TOML does, but for the one control character that JSON allows
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
