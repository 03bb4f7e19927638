"""`make soak`: what `make test` has no time for; a summary line a part on standard output, progress on standard error.

Exit status 1 when something failed.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from tests.soak import codecs, day, drivers, load, ptys, repeats, seeds
from tests.soak.outcome import Outcome

Part = Callable[[argparse.Namespace], Outcome]


def _seeds(args: argparse.Namespace) -> Outcome:
    if args.seed is not None:
        return seeds.run(args.seed, 1, args.faults_s, args.minutes or 5.0)
    return seeds.run(args.first, args.count, args.faults_s, args.minutes or 60.0)


def _repeats(args: argparse.Namespace) -> Outcome:
    return repeats.run(args.times, args.minutes or 30.0)


def _day(args: argparse.Namespace) -> Outcome:
    return day.run(args.hours)


def _drivers(args: argparse.Namespace) -> Outcome:
    return drivers.run(args.driver_hours)


def _load(args: argparse.Namespace) -> Outcome:
    return load.run(args.nodes, args.clients, args.minutes or 10.0)


def _codecs(args: argparse.Namespace) -> Outcome:
    return codecs.run(args.inputs, args.seed or 0, args.minutes or 30.0)


def _ptys(args: argparse.Namespace) -> Outcome:
    return ptys.run(args.fault_s, args.seed or 0)


PARTS: dict[str, Part] = {
    "seeds": _seeds,
    "repeats": _repeats,
    "day": _day,
    "drivers": _drivers,
    "load": _load,
    "codecs": _codecs,
    "ptys": _ptys,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="soak", description="The long search for faults, and load. All parts unless one is named."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON document here, too")
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="bound of each part: seeds 60, repeats 30; load lasts so long (10)"
    )
    parser.add_argument("--count", type=int, default=5000, metavar="N", help="seeds: how many (default 5000)")
    parser.add_argument(
        "--first", type=int, default=2000, metavar="N", help="seeds: the first (default 2000: not those of make test)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seeds: this one alone; codecs: its own (default 0)")
    parser.add_argument(
        "--faults-s", type=float, default=seeds.FAULTS_S, metavar="S", help="seeds: seconds of faults (default 120)"
    )
    parser.add_argument("--times", type=int, default=20, metavar="N", help="repeats: rounds (default 20)")
    parser.add_argument("--hours", type=float, default=24.0, metavar="N", help="day: simulated hours (default 24)")
    parser.add_argument(
        "--driver-hours", type=float, default=10.0, metavar="N", help="drivers: simulated hours each (default 10)"
    )
    parser.add_argument("--nodes", type=int, default=32, metavar="N", help="load: owners (default 32)")
    parser.add_argument("--clients", type=int, default=50, metavar="N", help="load: clients at 2 GetStatus/s (default 50)")
    parser.add_argument("--inputs", type=int, default=1_000_000, metavar="N", help="codecs: how many (default 1000000)")
    parser.add_argument("--fault-s", type=float, default=60.0, metavar="S", help="ptys: seconds of each fault (default 60)")
    return parser


def main() -> int:
    """Run the parts one after the other."""
    parser = _parser()
    args = parser.parse_args()
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown:
        parser.error(f"no part is called {unknown[0]!r}: it is one of {', '.join(PARTS)}")
    hours = min(args.hours, args.driver_hours)
    if (
        min(
            args.count, args.times, args.inputs, args.nodes, args.clients, hours, args.faults_s, args.fault_s, args.minutes or 1.0
        )
        <= 0
    ):
        parser.error("numbers are above 0")
    outcomes: list[Outcome] = []
    for name in args.parts or list(PARTS):
        outcome = PARTS[name](args)
        outcomes.append(outcome)
        if not args.json:
            _print(outcome)
    document = json.dumps({"ok": all(each.ok for each in outcomes), "parts": [each.as_json() for each in outcomes]}, indent=2)
    if args.json:
        print(document)  # noqa: T201 (it is a program)
    if args.out:
        args.out.write_text(document + "\n")
    return 0 if all(each.ok for each in outcomes) else 1


def _print(outcome: Outcome) -> None:
    lines = [f"{'ok    ' if outcome.ok else 'FAILED'} {outcome.part}: {outcome.summary}"]
    lines += [f"       {each}" for each in (*outcome.details, *outcome.failures)]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
