"""Every shipped driver passes its conformance checks and minutes of each fault; `make soak` has the ten hours of each."""

import json

import pytest

from bosd.__main__ import main
from bosd.config.kinds import DRIVERS, REGULATORS, load_driver
from bosd.drivers.kit.program import cards_of, known_kinds

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("kind", known_kinds())
def test_a_shipped_driver_has_a_full_card(kind: str) -> None:
    """No check fails, no value is wrong, and what is not tried says why."""
    cards = list(cards_of(kind, seed=3, hours=0.05, reads=200))
    for card in cards:
        assert card.passed, "\n".join(map(str, [*card.results, *(row for row in card.rows if row.wrong)]))
        assert card.untried or len(card.results) == 20
        assert card.untried or sum(row.samples for row in card.rows) > 50
    assert not all(card.untried for card in cards)


def test_every_shipped_driver_names_its_bench() -> None:
    """A driver without a bench has no card."""
    found = [load_driver(group, kind) for kind in known_kinds() for group in (DRIVERS, REGULATORS)]
    assert all(kind.bench for kind in found if kind is not None)


def test_the_program_prints_one_document(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A medium without a bench is a card that says why."""
    monkeypatch.setattr("sys.argv", ["bosd", "driver"])
    assert main(["driver", "test", "jbd", "--medium", "ble", "--json"]) == 0
    (card,) = json.loads(capsys.readouterr().out)
    assert (card["kind"], card["medium"], card["passed"]) == ("jbd", "ble", True)
    assert "no radio" in card["untried"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], 'no driver is called "nothing"; known here: csv'),
        ([], "name one kind, or give --all; known here: csv"),
        (["jbd", "--medium", "can"], '"jbd" is not tried on "can", but on serial, tcp, ble'),
        (["jbd", "--hours", "-1"], "--hours -1"),
    ],
)
def test_what_cannot_be_tried_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with the words that are known."""
    monkeypatch.setattr("sys.argv", ["bosd", "driver"])
    assert main(["driver", "test", *arguments]) == 1
    assert says in capsys.readouterr().err
