"""What time alone ends."""

import pytest

from bosd.bal.setpoint import Lease, SetPoint
from bosd.node.ends import end_what_is_over
from tests.support.bal_makers import pseudo


@pytest.mark.parametrize(
    ("ends_s", "lease_ends_s", "by_lease"),
    [(10.0, 9.0, True), (9.0, 10.0, False), (10.0, 10.0, False), (30.0, 10.0, True), (10.0, 30.0, False)],
)
def test_the_first_end_is_what_ended_it(ends_s: float, lease_ends_s: float, *, by_lease: bool) -> None:
    """Both may be past when it is looked at, after a suspend, say: a holder that was lost first is told of as lost."""
    battery = pseudo("b", 20.0, 100.0)
    battery.setpoint = SetPoint(current_a=1.0, ends_s=ends_s, holder="node:m", lease=Lease(lease_ends_s))
    lost: list[str] = []
    end_what_is_over(battery, 20.0, lambda name, _setpoint: lost.append(name))
    assert lost == (["b"] if by_lease else [])
    assert battery.setpoint is None
