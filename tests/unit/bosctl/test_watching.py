from bosd.v1 import battery_pb2 as pb
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.watching import Heard, Picture
from tests.support.bosctl_node import physical

LOST = Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", "connection refused")


def heard(beat_s: float = 1.0) -> Picture:
    """Return a picture that heard of b1 at 100 s."""
    picture = Picture()
    picture.hear(Heard.of(pb.WatchResponse(statuses=[physical("b1")], node="home", beat_s=beat_s), 100.0))
    return picture


def test_an_age_grows_by_the_own_clock() -> None:
    """0.25 s old when sent, 0.5 s ago: 0.75 s."""
    (status,) = heard().statuses(100.5)
    assert (status.age_s, status.quality) == (0.75, pb.QUALITY_GOOD)


def test_what_grew_too_old_is_not_shown_as_good() -> None:
    """Its max_staleness_s is 3.0."""
    (status,) = heard().statuses(103.0)
    assert status.quality == pb.QUALITY_STALE


def test_a_lost_node_leaves_last_values_and_claims_nothing_more() -> None:
    """Voltage, charge and capacity stay with a growing age; current is unknown, nothing may be asked."""
    picture = heard()
    picture.lose(LOST, 101.0)
    (status,) = picture.statuses(110.0)
    assert (status.voltage_v, status.charge_ah, status.capacity_ah, status.age_s) == (13.2, 52.0, 100.0, 10.25)
    assert not any(status.HasField(name) for name in ("current_a", "power_w", "applied_current_a", "requested_current_a"))
    assert (status.max_discharge_current_a, status.max_charge_current_a, status.commandable) == (0.0, 0.0, False)
    assert (status.quality, status.link, status.reason) == (
        pb.QUALITY_UNAVAILABLE,
        pb.LINK_LOST,
        "node lost: connection refused",
    )
    assert picture.batteries["b1"].status.current_a == 4.0


def test_the_first_of_several_losses_counts() -> None:
    """Failed attempts to come back do not make the loss younger."""
    picture = heard()
    picture.lose(LOST, 101.0)
    picture.lose(LOST, 105.0)
    assert picture.lost_s == 101.0
    picture.hear(Heard.of(pb.WatchResponse(statuses=[physical("b1")]), 106.0))
    assert picture.statuses(106.0)[0].link == pb.LINK_LOCAL


def test_silence_is_judged_by_the_promised_beat() -> None:
    """3 s with a beat each second (control.md: lost after 3.0 s), three beats where they are longer."""
    assert not heard().silent_too_long(103.0)
    assert heard().silent_too_long(103.1)
    assert not heard(beat_s=10.0).silent_too_long(129.0)
    assert not Picture().silent_too_long(1000.0)


def test_a_removed_battery_is_forgotten() -> None:
    """What the node takes out of the topology leaves the picture."""
    picture = heard()
    picture.hear(Heard.of(pb.WatchResponse(removed=["b1", "never-seen"]), 101.0))
    assert picture.statuses(101.0) == []
