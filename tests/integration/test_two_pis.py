"""docs/two-pis.md, run as it stands: two daemons behind mutual TLS in two network namespaces, and the cable between them."""

import sys
from pathlib import Path

import pytest

from tests.support.namespaces import cable
from tests.support.page import follow, machines, steps_of

PAGE = Path(__file__).parents[2] / "docs" / "two-pis.md"
GARAGE, HOUSE = "192.168.1.20", "192.168.1.21"
"""As on the page; nothing outside the two namespaces sees them."""
SHOWN_S = 25.0
"""The longest wait of the page is nine seconds: three times a stub's staleness, until it is UNAVAILABLE."""


@pytest.mark.timeout(180)
def test_the_page_of_two_pis(tmp_path: Path) -> None:
    """Every command of the page does what the page says, the laptop being beside the house."""
    with cable([GARAGE, HOUSE]) as (garage, house):
        wraps = {"laptop": house.command, "garage": garage.command, "house": house.command}
        with machines(tmp_path, wraps, Path(sys.executable).parent) as on:
            deeds = {"pull-the-cable": garage.pull, "plug-it-in": garage.plug}
            follow(steps_of(PAGE.read_text()), on, deeds, SHOWN_S)
