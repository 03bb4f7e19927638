"""The invariants of bal.md with everything a topology may have; as a program, for a million steps (`make test-long`).

`python -m tests.property.test_bal_long --steps 1000000 --seed 1` prints seeds, steps and time, and the seed of a failure.
"""

import argparse
import random
import sys
import time
import traceback
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bal_world import LongWorld
from tests.support.examples import examples

STEPS_A_WORLD = 100
EVERY_S = 30.0


@settings(max_examples=examples(30))
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_invariants_with_everything(seed: int, steps: int) -> None:
    """Bookings, splits, merges, rewritten splitters, silent members and clock steps break none of the invariants."""
    run(seed, steps)


@pytest.mark.parametrize("seed", range(10))
def test_invariants_of_known_worlds(seed: int) -> None:
    """The first worlds of the long run hold."""
    run(seed, STEPS_A_WORLD)


def run(seed: int, steps: int) -> LongWorld:
    """Let so much happen in the world of a seed; the invariants hold after every step."""
    world = LongWorld(random.Random(seed))
    world.settle()
    world.check()
    for _ in range(steps):
        world.step()
        world.check()
    return world


def main() -> int:
    """Run world after world; exit status 1 when one of them fails, after all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.property.test_bal_long")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first world; the next ones count on from it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after this time, whatever was reached")
    args = parser.parse_args()
    began_s = said_s = time.perf_counter()
    done, seed, failed = 0, args.seed, Counter[int]()
    while done < args.steps and time.perf_counter() - began_s < args.seconds:
        steps = min(STEPS_A_WORLD, args.steps - done)
        try:
            run(seed, steps)
        except Exception:  # noqa: BLE001 (whatever it is, it is the finding)
            failed[seed] += 1
            say(f"FAILED seed {seed}, {steps} steps\n{traceback.format_exc()}")
        done, seed = done + steps, seed + 1
        if time.perf_counter() - said_s >= EVERY_S:
            said_s = time.perf_counter()
            say(f"{done} steps, seeds {args.seed} to {seed - 1}, {said_s - began_s:.0f} s, {len(failed)} failed")
    took_s = time.perf_counter() - began_s
    say(f"done: {done} steps, seeds {args.seed} to {seed - 1}, {took_s:.0f} s, {done / took_s:.0f} steps/s, {len(failed)} failed")
    return 1 if failed or done < args.steps else 0


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
