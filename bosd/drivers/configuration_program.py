"""`bosd driver config`: the settings of a battery's device shown, kept in a file, or compared with one."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import EntryPoint
from pathlib import Path

from bosd.bal.spec import PhysicalSpec, Topology
from bosd.clock import Clock
from bosd.config.kinds import DRIVERS, load_driver
from bosd.drivers.configuration import (
    Configuration,
    Difference,
    ReadSettings,
    differences,
    from_json,
    not_readable,
    to_json,
)
from bosd.drivers.far_end.program import ending_signals
from bosd.drivers.kind import DriverContext, DriverKind
from bosd.drivers.lines import Lines
from bosd.errors import BadNameError, InvalidArgumentError, StoreError, UnavailableError

Row = tuple[str, ...]


def main(topology: Topology, name: str, verb: str, file: Path | None, clock: Clock, *, as_json: bool) -> int:
    """Do `verb` and return the exit status: 1 for a comparison that found differences. Raises BosError for what cannot be."""
    if (file is None) != (verb == "show"):
        raise InvalidArgumentError(f"{verb}: {'takes no FILE' if file is not None else 'FILE is missing'}", field="file")
    spec = _spec(topology, name)
    kept = _kept(file) if verb == "compare" and file is not None else None
    if verb == "backup" and file is not None and file.exists():
        raise InvalidArgumentError(f"{file}: exists; a backup is not overwritten", path=file)
    now = _read(spec, clock)
    if kept is not None:
        return _compare(kept, now, as_json=as_json)
    if file is not None:
        _keep(file, now)
        sys.stdout.write(f"{file}: {len(now.settings)} settings of {name}, read at {now.read_at}\n")
        return 0
    sys.stdout.write(to_json(now) if as_json else _shown(now))
    return 0


def _spec(topology: Topology, name: str) -> PhysicalSpec:
    spec = next((each for each in topology.batteries if each.name == name), None)
    if spec is None:
        known = ", ".join(each.name for each in topology.batteries if isinstance(each, PhysicalSpec)) or "none"
        raise BadNameError(f"no battery {name}; with a device there are: {known}", name=name)
    if not isinstance(spec, PhysicalSpec):
        raise InvalidArgumentError(f'{name} has no device: kind = "{spec.kind}"', battery=name)
    return spec


def _read(spec: PhysicalSpec, clock: Clock) -> Configuration:
    kind = load_driver(DRIVERS, spec.kind)
    if not isinstance(kind, DriverKind) or not kind.settings:
        raise not_readable(spec)
    read: ReadSettings = EntryPoint(spec.kind, kind.settings, DRIVERS).load()

    ended_by: list[int] = []

    async def run() -> Configuration:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 (a coroutine runs in a task)

        def end(number: int) -> None:
            ended_by.append(number)
            task.cancel()

        for number in ending_signals():
            if number != signal.SIGINT:  # which asyncio.run takes: all of them cancel, so that no device is left in a mode
                loop.add_signal_handler(number, end, number)
        return await read(spec, DriverContext(clock, Lines()))

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise SystemExit(128 + ended_by[0]) from None
    except UnavailableError as error:
        if "in use" in error.message:
            error.also("a running node has it: stop that node first, its settings are in `bosctl device` as far as it reads them")
        raise


def _kept(file: Path) -> Configuration:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"{file}: {getattr(error, 'strerror', None) or error}", path=file) from None
    return from_json(text, str(file))


def _keep(file: Path, configuration: Configuration) -> None:
    """Write a new file, whole or not at all."""
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(to_json(configuration))
    except OSError as error:
        if not isinstance(error, FileExistsError):
            file.unlink(missing_ok=True)
        raise StoreError(f"{file}: {error.strerror}", path=file) from None


def _compare(kept: Configuration, now: Configuration, *, as_json: bool) -> int:
    found = differences(kept, now)
    different = any(each.matters for each in found)
    if as_json:
        document = {
            "same": not different,
            "kept_at": kept.read_at,
            "read_at": now.read_at,
            "identity": {"kept": dict(kept.identity), "now": dict(now.identity)},
            "differences": [asdict(each) for each in found],
        }
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return int(different)
    for key in sorted({*kept.identity, *now.identity}):
        if kept.identity.get(key) != now.identity.get(key):
            sys.stdout.write(f"another board? {key}: {kept.identity.get(key)} then, {now.identity.get(key)} now\n")
    if found:
        sys.stdout.write(_table((("register", "setting", "then", "now", ""), *map(_difference, found))))
    verdict = "different" if different else "the same"
    sys.stdout.write(f"{verdict}: {len(now.settings)} settings read, backup of {kept.read_at}\n")
    return int(different)


def _difference(each: Difference) -> Row:
    sides = (f"{side.value} {side.unit}".rstrip() if side is not None else "not read" for side in (each.kept, each.now))
    return (each.address, each.name, *sides, "" if each.matters else "counts by itself")


def _shown(now: Configuration) -> str:
    lines = [f"{now.battery}  {now.kind}  {now.port}  read at {now.read_at}"]
    lines += [f"{key}: {text}" for key, text in now.identity.items()]
    rows = [(address, each.name, each.value, each.unit, f"{each.raw:04X}") for address, each in now.settings.items()]
    table = _table((("register", "setting", "value", "unit", "raw"), *rows))
    missing = "".join(f"{address}: not read: {why}\n" for address, why in now.missing.items())
    return "\n".join(lines) + "\n" + table + missing


def _table(rows: Iterable[Row]) -> str:
    whole = list(rows)
    widths = [max(len(row[column]) for row in whole) for column in range(len(whole[0]))]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in whole)
