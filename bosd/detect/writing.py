"""A configuration of what was found, that can be used at once: everything is read, nothing commanded."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bosd.config import NodeConfig, load_config
from bosd.detect.hunt import Outcome
from bosd.errors import InvalidArgumentError

_CONTROL = """\
# Nothing is commanded. "gate" lets the sign of a set point open and close its switches; it needs both limits, which are the
# pack's own ratings and not the board's trip points.
current_control = "none"
# max_discharge_current_a = 50
# max_charge_current_a = 25
"""


def configuration(outcomes: Sequence[Outcome], place: str) -> str:
    """Return a configuration file with each battery found; regulators are proposed to each, in comments."""
    found = [outcome for outcome in outcomes if outcome.state == "found"]
    regulators = [outcome for outcome in found if outcome.role == "regulator"]
    batteries = [outcome for outcome in found if outcome.role == "battery"]
    head = (
        f"# Written by `bosd detect`. Check it with `bosd check --config {place}`, run it with `bosd run --config {place}`.\n"
        "# Names are yours to choose.\n"
        "[node]\n"
        f"name = {_text(NodeConfig().name)}\n"
        'state_dir = "state"    # what the node keeps, below where it is started\n'
    )
    parts = [head]
    wired = "".join(map(_regulator, regulators))
    parts += [_battery(f"pack{number}", outcome) + wired for number, outcome in enumerate(batteries, 1)]
    return "\n".join(parts if batteries else [*parts, wired])


def check_free(path: Path) -> None:
    """Raise InvalidArgumentError unless a file can be made at `path`."""
    if path.exists() or path.is_symlink():
        raise InvalidArgumentError(f"{path} exists and is not replaced; name another file", path=path)
    if not path.parent.is_dir():
        raise InvalidArgumentError(f"{path}: the folder {path.parent} does not exist", path=path)


def write(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write the configuration to `path`, checked as `bosd check` does; raises InvalidArgumentError rather than replace a file."""
    text = configuration(outcomes, str(path))
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            load_config(name)
            Path(name).chmod(0o644)
            path.hardlink_to(name)
        finally:
            Path(name).unlink()
    except FileExistsError:
        raise InvalidArgumentError(f"{path} exists and is not replaced; name another file", path=path) from None
    except OSError as error:
        raise InvalidArgumentError(f"{path}: cannot be written: {error.strerror}", path=path) from error


def _battery(name: str, outcome: Outcome) -> str:
    lines = [f"# {_described(outcome)}", "[[battery]]", f"name = {_text(name)}", f"kind = {_text(outcome.kind)}"]
    lines.append(f"port = {_text(outcome.target.address)}")
    if outcome.baud != 9600 and outcome.target.serial:
        lines.append(f"baud = {outcome.baud}")
    lines += [f"{key} = {json.dumps(value)}" for key, value in outcome.found.keys.items()]
    return "\n".join(lines) + "\n" + _CONTROL


def _regulator(outcome: Outcome) -> str:
    baud = {"baud": outcome.baud} if outcome.target.serial else {}
    keys = {"kind": outcome.kind, "port": outcome.target.address, **baud, **outcome.found.keys}
    table = ", ".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
    return (
        f"# {_described(outcome)}: it sets the current of the battery that it is wired to, by this line\n"
        '# in the table of that battery, with current_control = "external" and both limits. What is 0 in it is for you to know.\n'
        f"# regulator = {{ {table} }}\n"
    )


def _described(outcome: Outcome) -> str:
    found, target = outcome.found, outcome.target
    words = [found.model or outcome.kind]
    if found.cells:
        words.append(f"{found.cells} cells")
    if found.voltage_v is not None:
        words.append(f"{found.voltage_v:.2f} V")
    where = f"on {target.port}" + (f" ({target.label})" if target.label else "")
    return "".join(each if each.isprintable() else " " for each in ", ".join((*words, where)))


def _text(value: str) -> str:
    """Return a TOML string; JSON writes text as TOML does."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
