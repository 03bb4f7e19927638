"""`bosd driver test`: tries drivers on their benches and prints report cards."""

import argparse
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from bosd import __version__
from bosd.config.kinds import DRIVERS, REGULATORS, battery_spec, driver_kinds, kind_origin, load_driver, regulator_spec
from bosd.drivers.kind import DriverKind, RegulatorKind
from bosd.drivers.kit.bench import Bench
from bosd.drivers.kit.result import Card, Verdict
from bosd.drivers.kit.trial import MEMORY_READS, run_checks
from bosd.drivers.kit.world import Trial
from bosd.errors import BadNameError, ConfigError

DESCRIPTION = """\
Tries a driver on the simulated device that its package brings, in virtual time: units, signs, limits, unknown values,
deadlines, cancellation wherever it waits, noise, loss of the connection and of power, hold, read-back, the safe action, two
devices on a line, bytes, time and memory; then hours of faults. No device is touched. Exit status 1 when a check failed.

  bosd driver test jbd
  bosd driver test jbd --medium serial --hours 10 --json
  bosd driver test --all --markdown > drivers.md
"""
USUAL_HOURS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the program's arguments."""
    parser.add_argument("kind", nargs="?", metavar="NAME", help="kind of a battery or a regulator, as in a configuration")
    parser.add_argument("--all", action="store_true", help="every kind there is, in place of NAME")
    parser.add_argument("--medium", metavar="NAME", help="this one of the driver's media alone")
    parser.add_argument(
        "--hours", type=float, default=USUAL_HOURS, metavar="H", help="simulated hours of faults (default %(default)g)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="decides all chance (default %(default)s)")
    parser.add_argument("--reads", type=int, default=MEMORY_READS, metavar="N", help="readings of the memory check (%(default)s)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--markdown", action="store_true", help="print a page for the documentation")


def main(args: argparse.Namespace) -> int:
    """Run the program; return 0 when every check passed, 1 when one failed. Raises BosError for what cannot be tried."""
    if args.all == (args.kind is not None):
        raise ConfigError(f"name one kind, or give --all; known here: {', '.join(known_kinds())}")
    if not 0.0 <= args.hours <= 10_000.0 or args.reads < 1:
        raise ConfigError(f"--hours {args.hours:g} and --reads {args.reads}: hours are 0 to 10000, readings at least 1")
    from bosd import log  # noqa: PLC0415

    log.configure(json=False, level="error")  # drivers tell of every lost reply
    cards: list[Card] = []
    asked = {"medium": args.medium, "seed": args.seed, "hours": args.hours, "reads": args.reads}
    for card in all_cards(**asked) if args.all else cards_of(args.kind, **asked):
        cards.append(card)
        if not (args.json or args.markdown):
            _print(card)
    if args.json:
        sys.stdout.write(json.dumps([card.as_json() for card in cards], indent=2) + "\n")
    if args.markdown:
        from bosd.drivers.kit.card import markdown  # noqa: PLC0415

        sys.stdout.write(markdown(cards, f"by `bosd driver test` of bosd {__version__}"))
    return 0 if all(card.passed for card in cards) else 1


def known_kinds() -> tuple[str, ...]:
    """Return every kind that has a driver."""
    return tuple(dict.fromkeys((*driver_kinds(DRIVERS), *driver_kinds(REGULATORS))))


def all_cards(*, medium: str | None = None, seed: int, hours: float, reads: int) -> Iterator[Card]:
    """Yield the cards of every kind there is; one that cannot be tried says why."""
    for kind in known_kinds():
        try:
            yield from cards_of(kind, medium=medium, seed=seed, hours=hours, reads=reads)
        except (ConfigError, BadNameError) as error:
            if medium is None or isinstance(error, ConfigError):
                yield Card(kind=kind, medium="none", seed=seed, untried=error.message)


def cards_of(name: str, *, medium: str | None = None, seed: int, hours: float, reads: int) -> Iterator[Card]:
    """Yield a card for each medium of a kind, one after the other. Raises BosError for what cannot be tried."""
    from bosd.drivers.kit.hours import run_hours  # noqa: PLC0415

    kinds = [found for group in (DRIVERS, REGULATORS) if (found := load_driver(group, name)) is not None]
    if not kinds:
        raise BadNameError(f'no driver is called "{name}"; known here: {", ".join(known_kinds())}', name=name)
    for spec_of in (battery_spec, regulator_spec):
        spec_of(name)  # a specification that no file could name is told now
    for kind in kinds:
        benches = _benches(kind, name)
        if medium is not None and medium not in benches:
            raise BadNameError(f'"{name}" is not tried on "{medium}", but on {", ".join(benches)}', name=medium)
        for where, bench in benches.items():
            if medium not in (None, where):
                continue
            card = Card(kind=name, medium=where, seed=seed, driver=kind_origin(name) or f"bosd {__version__}")
            if isinstance(bench, str):
                card.untried = bench
            else:
                trial = Trial(kind, bench, seed)
                card.results = run_checks(trial, reads)
                works = any(result.verdict is Verdict.PASSED for result in card.results)
                card.rows = run_hours(trial, hours) if hours and works else []
            yield card


def _benches(kind: Any, name: str) -> dict[str, Bench | str]:  # noqa: ANN401 (what a package offers)
    """Return a kind's benches by medium. Raises ConfigError where there is none that can be used."""
    if not isinstance(kind, DriverKind | RegulatorKind):
        raise ConfigError(f'kind "{name}" offers {kind!r}; expected a DriverKind or a RegulatorKind', kind=name)
    if not kind.bench:
        raise ConfigError(
            f'the driver of kind "{name}" names no bench to try it on (DriverKind.bench = "module:NAME")', kind=name
        )
    module, _, attribute = kind.bench.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except Exception as error:
        message = f'the bench of kind "{name}", {kind.bench}, cannot be loaded: {type(error).__name__}: {error}'
        raise ConfigError(message, kind=name) from error
    return dict(found) if hasattr(found, "items") else {found.medium: found}


def _print(card: Card) -> None:
    from rich.console import Console  # noqa: PLC0415

    from bosd.drivers.kit.card import print_card  # noqa: PLC0415

    print_card(card, Console())
