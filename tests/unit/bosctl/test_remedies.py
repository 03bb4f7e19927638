"""What `bosctl errors` says to do: something, of every error that a node raises of itself."""

import re
from pathlib import Path

from bosd.limits.service import NOT_PROVABLE
from clients.bosctl.commands.errors import REMEDIES

SOURCES = Path(__file__).parents[3] / "bosd"


def test_no_error_leaves_a_person_without_a_next_step() -> None:
    """The types are read from where they are raised, so that a new one is not forgotten."""
    raised = {found for path in SOURCES.rglob("*.py") for found in re.findall(r'Noticed\(\s*"([A-Z_]+)"', path.read_text())}
    assert {"NOT_FOLLOWED", "CONFLICT"} <= raised
    assert not {*raised, NOT_PROVABLE} - REMEDIES.keys()
