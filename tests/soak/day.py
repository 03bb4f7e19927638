"""A whole day of ten nodes on virtual time, in some minutes of real time (tests/simulation/test_fleet_day.py)."""

import os
import subprocess
import sys
from pathlib import Path

from tests.soak.outcome import Outcome, Progress

ROOT = Path(__file__).parents[2]
DAY = "tests/simulation/test_fleet_day.py"
MOST_S = 1800.0
"""The test's own bound is 60 s and 60 s for each hour."""
LOOK_S = 1.0
MOST_TOLD = 2000


def run(hours: float) -> Outcome:
    """Run so many hours; the test judges what happens in them."""
    progress = Progress("day", MOST_S)
    progress.tell(f"{hours:g} hours of ten nodes", now=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--show-capture=no", DAY]
    environment = {**os.environ, "BOSD_SIM_HOURS": f"{hours:g}"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as test:
        output = _output(test, progress)
    passed = test.returncode == 0
    told = "passed" if passed else "failed"
    return Outcome(
        part="day",
        summary=f"{hours:g} h of ten nodes {told}, in {progress.taken_s:.0f} s",
        figures={"simulated_h": hours, "taken_s": progress.taken_s},
        failures=() if passed else (_why(output),),
    )


def _why(output: str) -> str:
    """Return what pytest says went wrong, without the lines of source around it."""
    told = [line.removeprefix("E").strip() for line in output.splitlines() if line.startswith("E  ")]
    return "; ".join(told)[:MOST_TOLD] or output[-MOST_TOLD:]


def _output(test: "subprocess.Popen[str]", progress: Progress) -> str:
    """Wait for its end, or end it; return what it wrote."""
    while True:
        try:
            return test.communicate(timeout=LOOK_S)[0]
        except subprocess.TimeoutExpired:
            progress.tell("running")
            if progress.left_s <= 0.0:
                test.kill()
