"""`make bench`: measure every row, print a table, write `bench/results.json`; exit status 1 when a goal is missed."""

import argparse
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.harness import Result, Row, results_of, write_results

GROUPS = (
    "core",
    "splitting",
    "leaf_reads",
    "commands",
    "calls",
    "chain",
    "stream",
    "beats",
    "secure",
    "fan_out",
    "isolation",
    "serial_line",
    "fleet",
    "footprint",
    "idle",
)
FREE = ("fleet", "idle")
RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    """Run the groups one after the other, each in a worker."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure bosd against what the technology can do.")
    parser.add_argument("--only", default="", metavar="NAME", help="rows whose name contains NAME")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds per row (default 5)")
    parser.add_argument("--quick", action="store_true", help="shorter rounds: to see that everything runs, not to judge")
    args = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=120)
    results: list[Result] = []
    for group in GROUPS:
        rows: tuple[Row, ...] = importlib.import_module(f"bench.{group}").ROWS
        wanted = [row for row in rows if args.only in row.name]
        if wanted:
            with console.status(f"{group}: {', '.join(row.name for row in wanted)}"):
                results += results_of(wanted, _measure(group, args))
            for result in results[-len(wanted) :]:
                console.print(_line(result))
    if not results:
        parser.error(f"no row is called {args.only!r}")
    console.print(_table(results))
    write_results(RESULTS, results)
    missed = [result.row.name for result in results if not result.ok]
    if missed:
        console.print(f"missed: {', '.join(missed)}", style="red")
    return 1 if missed else 0


def _measure(group: str, args: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.worker", group, "--rounds", str(args.rounds), "--only", args.only]
    command += ["--quick"] * args.quick + ["--free"] * (group in FREE)
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    measured: dict[str, Any] = json.loads(output.splitlines()[-1])
    return measured


def _line(result: Result) -> str:
    return f"{'ok    ' if result.ok else 'MISSED'} {result.row.name}: {result.value:.3g} {result.row.unit}, {result.seen}"


def _table(results: list[Result]) -> Table:
    table = Table(title="bosd, measured here; the median of the rounds counts")
    for heading in ("row", "value", "goal", "worst", "candidate : reference"):
        table.add_column(heading, overflow="fold", min_width=8, justify="right" if heading in ("value", "worst") else "left")
    for result in results:
        row = result.row
        goal = f"{'>=' if row.at_least else '<='} {row.goal:g}" + (f" ({row.stretch:g})" if row.stretch is not None else "")
        value = f"{result.value:.3g}" + ("" if row.unit == "ratio" else f" {row.unit}")
        style = "green" if result.ok else "red"
        table.add_row(row.name, f"[{style}]{value}[/]", goal, f"{result.worst:.3g}", result.seen)
        table.add_row(f"[dim]{row.reference}[/]", end_section=True)
    return table


if __name__ == "__main__":
    sys.exit(main())
