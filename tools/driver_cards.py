"""Try every driver that there is for ten simulated hours each, and write the report cards to docs/drivers.md."""

import argparse
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from bosd import log
from bosd.clock import SystemClock
from bosd.drivers.kit.card import markdown, summary, title
from bosd.drivers.kit.program import cards_of, known_kinds
from bosd.drivers.kit.trial import MEMORY_READS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "drivers.md"


def git(*arguments: str) -> str:
    """Return what git says about this checkout."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S607


def _hours_of(text: str) -> tuple[str, float]:
    """Return the kind and the hours of `KIND=H`."""
    kind, _, hours = text.partition("=")
    if kind not in known_kinds():
        raise argparse.ArgumentTypeError(f"{text!r}: expected KIND=H with one of {', '.join(known_kinds())}")
    return kind, float(hours)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=10.0, metavar="H", help="of each driver (default 10)")
    parser.add_argument("--hours-of", action="append", default=[], type=_hours_of, metavar="KIND=H", help="of this one so many")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="decides all chance (default 1)")
    args = parser.parse_args()
    log.configure(json=False, level="error")
    fewer = dict(args.hours_of)
    day = datetime.fromtimestamp(SystemClock().utc_s(), UTC).date()
    changed = ", with changes" if git("status", "--porcelain", "--", "bosd") else ""
    made = f"by `tools/driver_cards.py` on {day} from commit {git('rev-parse', '--short', 'HEAD')}{changed}"
    others = "".join(f" ({kind}: {hours:g})" for kind, hours in fewer.items())
    made += f", {args.hours:g} simulated hours of faults a card{others}"
    cards = []
    for kind in known_kinds():
        for card in cards_of(kind, seed=args.seed, hours=fewer.get(kind, args.hours), reads=MEMORY_READS):
            print(f"{title(card)}: {card.untried or summary(card)}", flush=True)
            cards.append(card)
    PAGE.write_text(markdown(cards, made))


if __name__ == "__main__":
    main()
