"""Who may see the fleet, and who may say something of it (control.md, "Owners, sessions, claims")."""

import pytest

from bosd.errors import NotAllowedError
from bosd.pki.identity import Identity, Role
from bosd.rpc.rights import Rights
from bosd.v1 import fleet_pb2 as pb

CALLS = {
    "Describe": pb.DescribeRequest(),
    "ListPeers": pb.ListPeersRequest(),
    "AssumeSafe": pb.AssumeSafeRequest(node="hut"),
    "Maintenance": pb.MaintenanceRequest(node="hut", for_s=60.0),
}


@pytest.mark.parametrize(
    ("role", "calls"),
    [
        (Role.VIEWER, {"Describe", "ListPeers"}),
        (Role.OPERATOR, {"Describe", "ListPeers"}),
        (Role.NODE, {"Describe"}),
        (Role.TENANT, set()),
        (Role.ADMIN, set(CALLS)),
    ],
)
def test_the_fleet(role: Role, calls: set[str]) -> None:
    """A node learns how another one is, a viewer how all are; what counts is said by admins alone."""
    who = Identity(role=role, name="x", serial=1, begins_utc_s=0.0, ends_utc_s=1.0)
    allowed = set()
    for name, request in CALLS.items():
        try:
            Rights({}).check(f"/bosd.v1.FleetService/{name}", who, request)
        except NotAllowedError:
            continue
        allowed.add(name)
    assert allowed == calls
