"""What stands below the table of a fleet."""

import pytest

from bosd.v1 import fleet_pb2 as pb
from bosd.v1.battery_pb2 import Link
from clients.bosctl.fleet_rows import rows
from clients.bosctl.fleet_table import days_left, remark


@pytest.mark.parametrize("reason", ["", "SAME_NODE: h:1 and h:2 are one node"])
def test_a_ready_node_that_is_not_whole_says_why(reason: str) -> None:
    """One way to it has a session, another one has none."""
    peer = pb.Peer(node="hut", target="h:1", link=Link.LINK_READY)
    peer.reason = reason
    own, hut = rows(pb.ListPeersResponse(own=pb.NodeFacts(node="home"), peers=[peer]))
    assert (hut["state"], hut["status"]) == ("ready", "DONE")
    assert (remark(own), remark(hut)) == ("", reason)


@pytest.mark.parametrize(("days", "shown"), [(None, "-"), (30.4, "30"), (0.4, "0"), (-0.02, "expired"), (-3.0, "expired")])
def test_days_of_a_certificate(days: float | None, shown: str) -> None:
    """What has run out says so, however lately."""
    assert str(days_left({"certificate_days_left": days})) == shown
