"""Windows of expected absence: bounded in time and number."""

import pytest

from bosd.clock import SteppedClock, SystemClock
from bosd.errors import InvalidArgumentError, NoResourcesError
from bosd.fleet.maintenance import LONGEST_S, MOST_WINDOWS, Maintenance


@pytest.fixture
def clock() -> SteppedClock:
    """A clock that stands still."""
    return SteppedClock(SystemClock())


def test_a_window_ends_at_its_time(clock: SteppedClock) -> None:
    """Not before, and by itself."""
    windows = Maintenance(clock)
    start_s = clock.now_s()
    assert windows.begin("hut", 10.0, "why") is False
    clock.move_to(start_s + 9.9)
    found = windows.find("hut")
    assert found is not None
    assert found.reason == "why"
    clock.move_to(start_s + 10.0)
    assert windows.find("hut") is None
    assert windows.end("hut") is False


def test_a_window_is_made_longer_or_ended(clock: SteppedClock) -> None:
    """The newest word counts."""
    windows = Maintenance(clock)
    start_s = clock.now_s()
    windows.begin("hut", 10.0, "")
    assert windows.begin("hut", 100.0, "") is True
    clock.move_to(start_s + 50.0)
    assert windows.find("hut") is not None
    assert windows.end("hut") is True
    assert windows.find("hut") is None


@pytest.mark.parametrize("for_s", [0.0, -1.0, LONGEST_S + 1.0])
def test_a_time_that_is_none(clock: SteppedClock, for_s: float) -> None:
    """A week at most."""
    with pytest.raises(InvalidArgumentError):
        Maintenance(clock).begin("hut", for_s, "")


def test_windows_are_bounded(clock: SteppedClock) -> None:
    """Those that are over make room."""
    windows = Maintenance(clock)
    start_s = clock.now_s()
    for index in range(MOST_WINDOWS):
        windows.begin(f"n{index}", 10.0, "")
    with pytest.raises(NoResourcesError):
        windows.begin("one more", 10.0, "")
    clock.move_to(start_s + 10.0)
    assert windows.begin("one more", 10.0, "") is False
