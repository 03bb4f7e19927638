"""Report cards as text for people: a table on a terminal, plain lines elsewhere, Markdown for the documentation."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bosd.drivers.kit.result import Card, Row, Verdict

_STYLES = {Verdict.PASSED: "green", Verdict.FAILED: "bold red", Verdict.NOT_APPLICABLE: "dim"}
HEADS = ("fault", "hours", "strikes", "readings", "available", "wrong", "back after (median)", "(longest)", "longest gap")


def print_card(card: Card, console: Console) -> None:
    """Print a card; without a terminal, one line a check and a row."""
    if not console.is_terminal:
        for line in plain(card):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    console.print(Text(title(card), style="bold"))
    if card.untried:
        console.print(Text(f"not tried: {card.untried}", style="dim"))
        return
    checks = Table("check", "", "what was seen")
    for result in card.results:
        checks.add_row(result.check, Text(result.verdict.value, style=_STYLES[result.verdict]), Text(result.detail))
    console.print(checks)
    if card.rows:
        hours = Table(*HEADS)
        for row in card.rows:
            hours.add_row(*cells(row))
        console.print(hours)
    console.print(Text(summary(card), style="green" if card.passed else "bold red"))


def title(card: Card) -> str:
    """Return a card's heading."""
    return f"{card.kind} ({card.medium}), {card.driver}, seed {card.seed}" if not card.untried else f"{card.kind} ({card.medium})"


def summary(card: Card) -> str:
    """Return how a card ended, in a sentence."""
    counted = {verdict: sum(result.verdict is verdict for result in card.results) for verdict in Verdict}
    said = ", ".join(f"{number} {verdict.value}" for verdict, number in counted.items())
    wrong = sum(row.wrong for row in card.rows)
    return f"{said}; {wrong} wrong values" if card.rows else said


def plain(card: Card) -> Iterable[str]:
    """Yield a card as lines."""
    yield title(card)
    if card.untried:
        yield f"  not tried: {card.untried}"
        return
    for result in card.results:
        yield f"  {result.verdict.value:14} {result.check}: {result.detail}"
    for row in card.rows:
        if row.not_applicable:
            yield f"  {'not applicable':14} {row.fault}: {row.not_applicable}"
            continue
        said = ", ".join(f"{head} {cell}" for head, cell in zip(HEADS[1:], cells(row)[1:], strict=True) if cell)
        yield f"  {'hours':14} {row.fault}: {said}"
        for example in row.examples:
            yield f"  {'':14} wrong: {example}"
    yield f"  {summary(card)}"


def cells(row: Row) -> tuple[str, ...]:
    """Return a row's cells, as `HEADS` name them."""
    if row.not_applicable:
        return (row.fault, *[""] * (len(HEADS) - 2), row.not_applicable)
    wrong = f"{row.wrong} *" if row.undetectable and row.wrong else str(row.wrong)
    return (
        row.fault,
        f"{row.hours:.2f}",
        str(row.strikes) if row.lasting else "" if row.strikes == 0 else "all the time",
        str(row.reads),
        f"{row.availability:.1%}",
        wrong,
        _seconds(row.recovery_median_s),
        _seconds(row.recovery_max_s),
        _seconds(row.longest_gap_s),
    )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def markdown(cards: Sequence[Card], made: str) -> str:
    """Return the page of all cards; `made` says when and from what."""
    lines = [
        "# Drivers: report cards",
        "",
        f"Generated {made}. Each card is what `bosd driver test KIND` prints: the driver on simulated",
        "devices in virtual time ([how to write a driver](writing-a-driver.md) says what each check asks for).",
        "",
        "Available is the share of time in which the newest sample was at most three refresh periods old. The device is read",
        "once a period, and 1, 2, 2, ... seconds after failures; the time of the faults counts. A value is wrong when it lies",
        "outside the tolerance of what the simulated device did from the begin of its reading to the end (from 3 s earlier where",
        "the connection stalls). Back after is the time from the end of a fault to the next sample.",
        "",
        "| driver | medium | passed | failed | not applicable | wrong values |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for card in cards:
        if card.untried:
            lines.append(f"| {card.kind} | {card.medium} | {_cell(card.untried)} | | | |")
            continue
        counted = [sum(result.verdict is verdict for result in card.results) for verdict in Verdict]
        lines.append(f"| {card.kind} | {card.medium} | {' | '.join(map(str, counted))} | {sum(row.wrong for row in card.rows)} |")
    for card in cards:
        lines += ["", f"## {card.kind}: {card.medium}", "", *_section(card)]
    return "\n".join(lines) + "\n"


def _section(card: Card) -> Iterable[str]:
    if card.untried:
        yield f"Not tried: {card.untried}."
        return
    yield f"{card.driver}, seed {card.seed}."
    yield from ("", "| check | | what was seen |", "| --- | --- | --- |")
    for result in card.results:
        yield f"| {result.check} | {result.verdict.value} | {_cell(result.detail)} |"
    if not card.rows:
        return
    yield from ("", f"| {' | '.join(HEADS)} |", f"|{' --- |' * len(HEADS)}")
    for row in card.rows:
        yield f"| {' | '.join(map(_cell, cells(row)))} |"
    for row in card.rows:
        if row.wrong:
            reason = f": {row.undetectable}" if row.undetectable else ""
            yield from ("", f"\\* {row.fault}: {row.wrong} of {row.samples} samples were wrong{reason}. For example:", "")
            yield from (f"- {_cell(example)}" for example in row.examples)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
