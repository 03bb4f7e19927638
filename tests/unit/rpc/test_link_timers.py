"""How long a link waits between attempts: 2, 4, 8 … times the least pause, up to the bound of what went wrong."""

import pytest

from bosd.rpc.link_timers import LinkTimers, Pauses

TIMERS = LinkTimers(pause_least_s=0.1, pause_most_s=0.5, pause_barred_s=8.0)


@pytest.mark.parametrize(
    ("refused", "barred", "pauses_s"),
    [
        (False, False, [0.2, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]),
        (True, False, [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]),
        (True, True, [0.5, 0.5, 0.8, 1.6, 3.2, 6.4, 8.0, 8.0]),
    ],
)
def test_pauses_grow_to_a_bound(pauses_s: list[float], *, refused: bool, barred: bool) -> None:
    """What is barred is tried ever more rarely; what was up begins anew."""
    pauses = Pauses(TIMERS)
    found = [pauses.after(was_up=False, refused=refused, barred=barred) for _ in pauses_s]
    assert found == pytest.approx(pauses_s)
    assert pauses.after(was_up=True, refused=False, barred=False) == TIMERS.pause_least_s
