"""The two JBD codecs against each other, on many more inputs than `make test` takes: tests/property/test_jbd_two_codecs.py."""

import os
import subprocess
import sys

from tests.soak.outcome import Outcome, Progress

TEST = "tests/property/test_jbd_two_codecs.py"


def run(inputs: int, seed: int, minutes: float) -> Outcome:
    """Run the test once with `inputs` of `seed`, for `minutes` at most."""
    progress = Progress("codecs", minutes * 60.0)
    progress.tell(f"{inputs} inputs of seed {seed}", now=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST]
    environment = {**os.environ, "BOSD_FUZZ_INPUTS": str(inputs), "BOSD_FUZZ_SEED": str(seed)}
    failures: tuple[str, ...] = ()
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=minutes * 60.0, check=False)
        if done.returncode:
            failures = (done.stdout[-4000:] + done.stderr[-1000:],)
    except subprocess.TimeoutExpired:
        failures = (f"not done in {minutes:g} minutes",)
    summary = f"{inputs} inputs of seed {seed} in {progress.taken_s:.0f} s"
    return Outcome(part="codecs", summary=summary, figures={"inputs": inputs, "seed": seed}, failures=failures)
