"""Ten simulated hours of faults for every driver, and memory over many readings."""

from bosd import log
from bosd.drivers.kit.card import summary, title
from bosd.drivers.kit.program import all_cards
from bosd.drivers.kit.result import Card, Verdict
from tests.soak.outcome import Outcome

READS = 10_000


def run(hours: float) -> Outcome:
    """Try every driver for so many hours."""
    log.configure(json=False, level="error")
    cards = list(all_cards(seed=1, hours=hours, reads=READS))
    return Outcome(
        part="drivers",
        summary=f"{len(cards)} cards, {hours:g} simulated hours each",
        figures={"simulated_h": hours, "cards": [card.as_json() for card in cards]},
        details=tuple(f"{title(card)}: {card.untried or summary(card)}" for card in cards),
        failures=tuple(failure for card in cards for failure in _failures(card)),
    )


def _failures(card: Card) -> list[str]:
    checks = [f"{title(card)}: {one.check}: {one.detail}" for one in card.results if one.verdict is Verdict.FAILED]
    wrong = [f"{title(card)}: {row.fault}: {row.examples}" for row in card.rows if row.wrong and not row.undetectable]
    return checks + wrong
