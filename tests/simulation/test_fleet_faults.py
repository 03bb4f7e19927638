"""Fleets made from seeds under random faults: what must hold is judged at every change, and all is whole when the faults end.

`make soak` runs thousands of seeds; here are a few, and those that once found something.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fleet.random_faults import RECOVERY_S, run_seed

ROOT = Path(__file__).parents[2]
FAULTS_S = 120.0
FOUND = (0, 1, 82, 86, 163, 167, 277, 341, 390)
"""What they found, in this order: a far doubt that was not told; a share given away although its owner could not know; a restart
that forgot what runs, twice; a renewal of what was no longer in force, twice; what holds behind a relay; doubts in the other
direction; an owner that had not heard its device."""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", sorted({*FOUND, *range(1000, 1020)}))
def test_under_faults(seed: int) -> None:
    """Two minutes of faults: limits kept, no fenced command carried out, no sum above old and new; then all is whole."""
    report = run_seed(seed, FAULTS_S)
    assert report.faults > 10
    assert report.carried_out > 0
    assert report.recovery_s < RECOVERY_S


def test_one_seed_one_course() -> None:
    """The same seed gives the same trace in processes that hash differently; another one gives another."""
    code = "from tests.support.fleet.random_faults import run_seed; print(run_seed({seed}, 30.0).digest)"

    def digest(seed: int, hashing: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hashing}
        command = [sys.executable, "-c", code.format(seed=seed)]
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60.0)
        return run.stdout.strip()

    first = digest(7, "1")
    assert first == digest(7, "2")
    assert first != digest(8, "1")
