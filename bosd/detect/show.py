"""What `bosd detect` shows: progress while it asks, and a table of what it found."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from bosd.detect.hunt import Outcome, Target

_NEXT = {
    "silent": "nothing answers: is the pack awake (button, charger), are TX and RX the right way round?",
    "not permitted": "serial ports belong to a group, dialout on Debian: `sudo usermod -aG dialout $USER`, then log in again",
    "in use": "end that program, or ask it: `bosctl status` where it is bosd",
}
NOTHING_HERE = (
    "There are no serial ports here. Is the adapter plugged in (`dmesg | tail` says so)? Others are named by --ports, "
    "Bluetooth is looked for with --ble."
)


class Bars:
    """Progress on a terminal: a bar a port."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[now]}"),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._tasks: dict[Target, TaskID] = {}

    def shown(self) -> AbstractContextManager[Any]:
        """Show it as long as this lasts."""
        return self._progress

    def note(self, text: str) -> None:
        """Say something that belongs to no port."""
        self._progress.console.print(text, markup=False, highlight=False)

    def began(self, target: Target, steps: int) -> None:
        """Add the port's bar."""
        self._tasks[target] = self._progress.add_task(target.address, total=steps, now="")

    def asks(self, target: Target, kind: str, baud: int) -> None:
        """Move its bar."""
        task = self._tasks[target]
        begun = bool(self._progress.tasks[task].fields["now"])
        self._progress.update(task, advance=1 if begun else 0, now=_question(target, kind, baud))

    def ended(self, outcome: Outcome) -> None:
        """Fill its bar."""
        task = self._tasks[outcome.target]
        self._progress.update(task, completed=self._progress.tasks[task].total, now=_word(outcome))


class Lines:
    """Progress for files and pipes: a line whenever something changes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def shown(self) -> AbstractContextManager[Any]:
        """Nothing to hold."""
        return nullcontext()

    def note(self, text: str) -> None:
        """Say something that belongs to no port."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def began(self, target: Target, steps: int) -> None:
        """Nothing: the first question says it."""

    def asks(self, target: Target, kind: str, baud: int) -> None:
        """Say what is asked."""
        self.note(f"{target.address}: {_question(target, kind, baud)}")

    def ended(self, outcome: Outcome) -> None:
        """Say what came of it."""
        self.note(f"{outcome.target.address}: {_word(outcome)}")


def draw(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print what was found as a table, then what else there was, with what to do about it."""
    found = [outcome for outcome in outcomes if outcome.state == "found"]
    if found:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("device", "name", "cells", "voltage", "port"):
            table.add_column(title, justify="right" if title in ("cells", "voltage") else "left", overflow="fold")
        for outcome in found:
            device = outcome.found
            voltage = "" if device.voltage_v is None else f"{device.voltage_v:.2f} V"
            baud = f" at {outcome.baud} baud" if outcome.baud != 9600 and outcome.target.serial else ""
            table.add_row(outcome.kind, device.model, str(device.cells or ""), voltage, outcome.target.address + baud)
        console.print(table)
    for outcome in outcomes:
        if outcome.state != "found":
            line = f"{outcome.target.address}: {_word(outcome)}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    for state in dict.fromkeys(outcome.state for outcome in outcomes):
        if state in _NEXT:
            console.print(f"{state}: {_NEXT[state]}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def document(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """Return the outcomes as JSON has them; what is unknown is null."""
    return [
        {
            "port": outcome.target.address,
            "opened_as": outcome.target.port,
            "state": outcome.state.replace(" ", "_"),
            "detail": outcome.detail or None,
            "kind": outcome.kind or None,
            "role": outcome.role or None,
            "baud": outcome.baud if outcome.baud and outcome.target.serial else None,
            "name": outcome.found.model or None,
            "cells": outcome.found.cells,
            "voltage_v": outcome.found.voltage_v,
            **outcome.found.keys,
        }
        for outcome in outcomes
    ]


def _question(target: Target, kind: str, baud: int) -> str:
    return f"asks for {kind} at {baud} baud" if target.serial else f"asks for {kind}"


def _word(outcome: Outcome) -> str:
    if outcome.state == "found":
        return f"{outcome.kind} {outcome.found.model}".rstrip()
    return f"{outcome.state}: {outcome.detail}" if outcome.detail else outcome.state
