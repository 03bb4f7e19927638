"""The harness of `make bench`: medians of per-round ratios, verdicts, and the file it writes."""

import importlib
import json
from pathlib import Path

import pytest

from bench.__main__ import GROUPS
from bench.harness import Result, Rounds, Row, alternate, percentile, results_of, write_results

AT_MOST = Row(name="latency", goal=1.2, scale="us", reference="an echo")
AT_LEAST = Row(name="rate", goal=0.8, at_least=True, scale="/s", reference="an echo")
ALONE = Row(name="memory", goal=75.0, unit="MiB", reference="none")


def test_the_median_of_ratios_counts() -> None:
    """The value is the median of the rounds' own ratios, not the ratio of medians: 2, 1 and 1.1 give 1.1; the worst is 2."""
    result = Result(AT_MOST, Rounds(candidate=[20.0, 300.0, 11.0], reference=[10.0, 300.0, 10.0]))
    assert result.value == pytest.approx(1.1)
    assert result.worst == pytest.approx(2.0)
    assert result.ok


def test_more_is_better_where_the_row_says_so() -> None:
    """A row of at least 0.8 is missed at 0.7 and its worst round is the smallest."""
    result = Result(AT_LEAST, Rounds(candidate=[7.0, 9.0, 6.0], reference=[10.0, 10.0, 10.0]))
    assert result.value == pytest.approx(0.7)
    assert result.worst == pytest.approx(0.6)
    assert not result.ok


def test_a_value_without_reference_stands_for_itself() -> None:
    """Rows without a reference report the median of what was measured."""
    result = Result(ALONE, Rounds(candidate=[60.0, 80.0, 70.0]))
    assert result.value == 70.0
    assert result.ok


async def test_reference_and_candidate_alternate() -> None:
    """Both are measured in every round, the order turns with each, and the first of each is thrown away."""
    order: list[str] = []

    async def reference() -> float:
        order.append("r")
        return 2.0

    async def candidate() -> float:
        order.append("c")
        return 3.0

    rounds = await alternate(3, reference, candidate)
    assert "".join(order) == "rc" + "rc" + "cr" + "rc"
    assert rounds.values == [1.5, 1.5, 1.5]


def test_percentile_is_a_value_that_was_seen() -> None:
    """The p99 of 1 to 200 is 199: two of 200 values are above it or equal."""
    assert percentile([float(value) for value in range(200, 0, -1)], 0.99) == 199.0


def test_results_are_written_as_promised(tmp_path: Path) -> None:
    """`results.json` is a list of entries with the seven promised keys, from what a worker printed."""
    printed = {"latency": {"candidate": [11.0], "reference": [10.0]}}
    path = tmp_path / "results.json"
    write_results(path, results_of([AT_MOST, AT_LEAST], printed))
    entry = {"name": "latency", "value": 1.1, "unit": "ratio", "goal": 1.2, "ok": True, "rounds": 1, "reference": "an echo"}
    assert json.loads(path.read_text()) == [entry]


def test_every_row_says_what_its_reference_does() -> None:
    """Names are unique, and no row comes without a word on its reference."""
    rows: list[Row] = [row for group in GROUPS for row in importlib.import_module(f"bench.{group}").ROWS]
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.reference for row in rows)


async def test_a_group_measures_all_its_rows() -> None:
    """A group returns as many rounds as were asked for, for each row that was wanted, equal results by hand included."""
    core = importlib.import_module("bench.core")
    wanted = {row.name for row in core.ROWS}
    measured = await core.measure(wanted, 2, quick=True)
    assert set(measured) == wanted
    assert all(len(rounds.values) == 2 for rounds in measured.values())
