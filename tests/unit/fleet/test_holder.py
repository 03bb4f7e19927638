"""The asker's side of a session: for how long it may believe to be acted for."""

import math

import pytest

from bosd.fleet.holder import HolderSession
from bosd.fleet.timers import SessionTimers


class _Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def now_s(self) -> float:
        """Return the time."""
        return self.at_s

    def utc_s(self) -> float:
        """Return it as wall time."""
        return self.at_s


@pytest.mark.parametrize(
    ("told_s", "lease_s"), [(6.0, 6.0), (1.0, 1.0), (0.0, 3.0), (-1.0, 3.0), (math.nan, 3.0), (math.inf, 3.0)]
)
def test_the_lease_is_the_owners(told_s: float, lease_s: float) -> None:
    """Send time of the last answered beat + lease - margin of 0.03 s (control.md); the one of here where none is told."""
    clock = _Clock()
    session = HolderSession(clock, SessionTimers(lease_s=3.0))
    session.opened("run", 1, 5.0, told_s)
    assert session.lease_ends_s == -math.inf
    session.granted(clock.at_s, 5.0)
    assert session.lease_ends_s == pytest.approx(100.0 + lease_s - 0.03)
    clock.at_s = 100.5
    number = session.next_beat()
    clock.at_s = 100.7
    session.beat_answered(number, 5.5, renewed=True)
    assert session.lease_ends_s == pytest.approx(100.5 + lease_s - 0.03)
