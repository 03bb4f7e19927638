"""What `bosctl stop` says of each battery."""

import io

from rich.console import Console

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.commands.command import draw_stopped


def test_what_is_not_stopped_at_its_owner_may_go_on_and_says_how_to_stop_it() -> None:
    """It read as if nothing could be done until a release, though it may go on there, and its owner is told at contact."""
    answer = pb.StopResponse(
        stopped=["own"],
        unconfirmed=["far"],
        not_at_owner=[pb.NotAtOwner(name="far", reason="garage:4004 is silent")],
    )
    out = io.StringIO()
    draw_stopped(answer, Console(file=out, width=400))
    own, far = out.getvalue().splitlines()
    assert own == "own: stopped"
    assert far.startswith("far: NOT stopped at its owner (garage:4004 is silent): it may go on.")
    assert far.endswith("do not wait for that: `bosctl stop` at the owner itself")


def test_a_member_that_did_not_confirm_is_not_called_latched() -> None:
    """Only the sum above it was stopped, and its owner was dead: it read as if the stop stood there."""
    out = io.StringIO()
    draw_stopped(pb.StopResponse(stopped=["all", "b"], unconfirmed=["garage", "b"]), Console(file=out, width=400))
    assert out.getvalue().splitlines() == [
        "all: stopped",
        "garage: did not confirm 0 A: it may go on. It is told until it does; `bosctl stop garage` latches it, too",
        "b: latched, but its device did not confirm: it may go on",
    ]
