"""The state of the whole, as a table (control.md, "Sessions and restarts"; satellites.md 3.3, 4.1)."""

import pytest

from bosd.fleet.system_state import START_S, Standing, SystemState, system_state

HERE, GONE, LATE = (True, True), (False, True), (False, False)
"""Present and was; was present; was never yet."""


def node(name: str, how: tuple[bool, bool], *, required: bool) -> Standing:
    """Return how one node stands."""
    present, was = how
    return Standing(name, present, was, required)


@pytest.mark.parametrize(
    ("required", "optional", "up_s", "state", "reason"),
    [
        (HERE, HERE, 0.0, SystemState.OK, ""),
        (HERE, GONE, 0.0, SystemState.DEGRADED, "missing: opt"),
        (GONE, HERE, 0.0, SystemState.BLOCKED, "required and missing: req"),
        (GONE, GONE, START_S, SystemState.BLOCKED, "required and missing: req"),
        (LATE, HERE, START_S - 0.1, SystemState.STARTING, "waiting for req"),
        (LATE, HERE, START_S, SystemState.BLOCKED, "required and missing: req"),
        (HERE, LATE, START_S - 0.1, SystemState.STARTING, "waiting for opt"),
        (HERE, LATE, START_S, SystemState.DEGRADED, "missing: opt"),
        (GONE, LATE, 0.0, SystemState.BLOCKED, "required and missing: req"),
    ],
)
def test_the_table(
    required: tuple[bool, bool], optional: tuple[bool, bool], up_s: float, state: SystemState, reason: str
) -> None:
    """What was there and went is missing at once; what was not there yet is waited for."""
    nodes = [node("req", required, required=True), node("opt", optional, required=False)]
    assert system_state(nodes, up_s) == (state, reason)


def test_alone() -> None:
    """Without others there is nothing to miss."""
    assert system_state([], 0.0) == (SystemState.OK, "")


def test_many_missing_nodes_are_counted() -> None:
    """Eight are named."""
    nodes = [node(f"n{index}", GONE, required=False) for index in range(10)]
    assert system_state(nodes, 0.0)[1] == "missing: n0, n1, n2, n3, n4, n5, n6, n7 and 2 more"
