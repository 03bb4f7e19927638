"""One battery as a card: the time to empty and to full."""

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.card import status_card
from clients.bosctl.console import stdout_console


def card(**fields: float) -> str:
    """Return the card's text of a battery of 100 Ah that holds 50, of which 40 are usable."""
    values: dict[str, float] = {"charge_ah": 50.0, "capacity_ah": 100.0, "usable_charge_ah": 40.0, **fields}
    status = pb.BatteryStatus(name="b", kind="pseudo", quality=pb.QUALITY_GOOD, **values)  # type: ignore[arg-type]
    console = stdout_console()
    with console.capture() as captured:
        console.print(status_card(status))
    return captured.get()


def test_time_to_empty_and_to_full() -> None:
    """40 usable Ah at 10 A last 4 h; 50 Ah of room at 10 A are full in 5 h; at rest and when unknown nothing is said."""
    assert "empty in         4 h" in card(current_a=10.0)
    assert "full in          5 h" in card(current_a=-10.0)
    for quiet in (card(current_a=0.0), card(), card(current_a=0.004)):
        assert "empty in" not in quiet
        assert "full in" not in quiet


def test_what_runs_on_under_a_stop_is_not_empty_in_no_time() -> None:
    """Nothing may be drawn, and 10 A flow all the same: "empty in 0.0 s" stood beside 50 Ah."""
    assert "empty in" not in card(current_a=10.0, usable_charge_ah=0.0, balanced_usable_charge_ah=40.0)
    assert "empty in         0.0 s" in card(current_a=10.0, usable_charge_ah=0.0, balanced_usable_charge_ah=0.0)
