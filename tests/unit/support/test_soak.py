"""The measures of `make soak`: what counts as overshoot and as beyond a bound, and what is told of a seed that fails."""

import pytest

from tests.soak import seeds
from tests.soak.outcome import Progress, Series, message_of
from tests.soak.ptys import Row
from tests.soak.seeds import Tally
from tests.soak.site import Sample, excess_as
from tests.support.fleet.random_faults import Report


def samples(*currents_a: tuple[float, ...]) -> list[Sample]:
    """Return samples 0.1 s apart."""
    return [Sample(0.1 * number, 0.1 * number, each) for number, each in enumerate(currents_a)]


def test_overshoot_is_what_flows_above_for_longer_than_two_samples() -> None:
    """10 A above 30 A over three samples that are 0.1 s apart are 10 A x 0.2 s = 2 A s."""
    flows = samples((10.0, 20.0), (20.0, 20.0), (20.0, 20.0), (20.0, 20.0), (10.0, 20.0))
    assert excess_as(flows, 30.0) == pytest.approx(2.0)


def test_a_share_that_moves_between_two_samples_is_no_overshoot() -> None:
    """One pack's lowering and the other's raising are seen in the wrong order at most within one sample."""
    assert excess_as(samples((20.0, 10.0), (20.0, 20.0), (10.0, 20.0)), 30.0) == 0.0


def test_values_beyond_a_bound() -> None:
    """What is above the most and below the least is beyond; without a bound nothing is."""
    series = Series("time", least=1.0, most=3.0, values=[0.9, 1.0, 2.0, 3.0, 3.1])
    assert series.beyond == [0.9, 3.1]
    assert series.line() == "time: 0.900 / 2.000 / 3.100 s, bound from 1 to 3, 5 times, 2 beyond"
    assert Series("free", values=[1e9]).beyond == []


def test_a_failing_seed_tells_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message out of its groups, the command with the seed, and the part's outcome is a failure."""

    def fails(seed: int, faults_s: float, **kind: bool) -> Report:
        raise BaseExceptionGroup("tasks", [ExceptionGroup("more", [AssertionError(f"{seed} flows\n40 A")])])

    monkeypatch.setattr(seeds, "run_seed", fails)
    tally = Tally(60.0)
    tally.add(341, seeds.run_one(341, 60.0))
    outcome = tally.outcome(1, 1.0)
    assert not outcome.ok
    assert outcome.figures["failed_seeds"] == [341]
    assert outcome.failures == (
        'seed 341: AssertionError: 341 flows 40 A; again: make soak ARGS="seeds --seed 341 --faults-s 60"',
    )


def test_which_seeds_are_of_the_other_worlds() -> None:
    """The first stays what it is, so that one alone is repeated; those of the other worlds follow each other as they are."""
    other = {4: 1_002_004, 7: 2_002_007, 9: 1_002_009, 12: 3_002_012, 14: 1_002_014, 17: 2_002_017, 19: 1_002_019}
    assert list(seeds.numbers(2000, 20)) == [other.get(each, 2000 + each) for each in range(20)]
    assert list(seeds.numbers(1_002_003, 4)) == [1_002_003, 1_002_004, 1_002_005, 1_002_006]


def test_a_seed_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that nothing ends is ended by the clock of the process."""

    def hangs(seed: int, faults_s: float, **kind: bool) -> Report:
        while True:
            pass

    monkeypatch.setattr(seeds, "run_seed", hangs)
    monkeypatch.setattr(seeds, "SEED_S", 0.05)
    assert seeds.run_one(1, 1.0) == "StuckError: did not end within 0.05 s of a core"


def test_groups_are_taken_apart() -> None:
    """Every root is told, on one line."""
    assert message_of(ExceptionGroup("g", [ValueError("a"), ExceptionGroup("h", [OSError("b")])])) == "ValueError: a; OSError: b"


def test_progress_is_told_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """A line that is wanted now is told; one a moment later is not; standard output stays clean."""
    progress = Progress("seeds", 60.0)
    progress.tell("first", now=True)
    progress.tell("second")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "seeds: 0 s: first\n")
    assert 59.0 < progress.left_s <= 60.0


def test_what_a_fault_of_a_line_must_not_do() -> None:
    """It has to strike, a wrong value fails unless the protocol's sum cannot find it, and a sample has to come after it."""
    row = Row("drop", 60.0, struck=33, samples=58, good=0.991, there=1.0, recovery_s=0.7)
    assert row.failures == []
    assert row.line() == "drop       33 times in 60 s     GOOD 99%, there 100%, 58 samples, 0 wrong, back in 0.7 s"
    assert Row("drop", 60.0, struck=1, wrong=["4 V"], recovery_s=0.7).failures == ["drop: 4 V"]
    assert Row("flip_bits", 60.0, struck=1, wrong=["4 V"], recovery_s=0.7).failures == []
    assert Row("drop", 60.0).failures == ["drop: it never struck", "drop: no sample within 15 s of its end"]
