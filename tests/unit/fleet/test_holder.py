"""The asker's side of a session: for how long it may believe to be acted for."""

import math

import pytest

from bosd.clock import SteppedClock, SystemClock
from bosd.fleet.holder import HolderSession
from bosd.fleet.timers import SessionTimers


@pytest.mark.parametrize(
    ("told_s", "lease_s"), [(6.0, 6.0), (1.0, 1.0), (0.0, 3.0), (-1.0, 3.0), (math.nan, 3.0), (math.inf, 3.0)]
)
def test_the_lease_is_the_owners(told_s: float, lease_s: float) -> None:
    """Send time of the last answered beat + lease - margin of 0.03 s (control.md); the one of here where none is told."""
    clock = SteppedClock(SystemClock())
    session = HolderSession(clock, SessionTimers(lease_s=3.0))
    session.opened("run", 1, 5.0, told_s)
    assert session.lease_ends_s == -math.inf
    session.granted(clock.now_s(), 5.0)
    assert session.lease_ends_s == pytest.approx(lease_s - 0.03)
    clock.move_to(0.5)
    number = session.next_beat()
    clock.move_to(0.7)
    session.beat_answered(number, 5.5, renewed=True)
    assert session.lease_ends_s == pytest.approx(0.5 + lease_s - 0.03)
