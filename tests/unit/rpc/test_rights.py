"""Who may see the fleet, and who may say something of it (control.md, "Owners, sessions, claims")."""

import pytest

from bosd.errors import NotAllowedError
from bosd.pki.identity import Identity, Role
from bosd.rpc.rights import Rights
from bosd.v1 import fleet_pb2 as pb
from bosd.v1 import limits_pb2 as lpb

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


def test_a_refusal_is_a_sentence() -> None:
    """It says in words what was asked for, and which role may."""
    who = Identity(role=Role.VIEWER, name="x", serial=1, begins_utc_s=0.0, ends_utc_s=1.0)
    with pytest.raises(NotAllowedError, match="viewer:x may not expect a node to be away: that needs the role admin"):
        Rights({}).check("/bosd.v1.FleetService/Maintenance", who, CALLS["Maintenance"])


LIMITS = {
    "Put": lpb.PutLimitRequest(battery="b"),
    "Remove": lpb.RemoveLimitRequest(battery="b"),
    "List": lpb.ListLimitsRequest(names=["b"]),
    "History": lpb.LimitHistoryRequest(battery="b"),
    "Watch": lpb.ListLimitsRequest(names=["b"]),
    "Grant": lpb.GrantRequest(battery="b", revision=1),
}


@pytest.mark.parametrize(
    ("role", "granted", "calls"),
    [
        (Role.VIEWER, False, {"List", "History", "Watch"}),
        (Role.OPERATOR, True, {"List", "History", "Watch"}),
        (Role.NODE, False, set()),
        (Role.NODE, True, {"List", "History", "Watch", "Grant"}),
        (Role.TENANT, True, {"List", "History", "Watch"}),
        (Role.ADMIN, False, {"List", "History", "Watch", "Put", "Remove"}),
    ],
)
def test_limits(role: Role, granted: bool, calls: set[str]) -> None:
    """Admins limit; a node passes on its limits to what is granted to it; who may read a battery sees its limits."""
    who = Identity(role=role, name="x", serial=1, begins_utc_s=0.0, ends_utc_s=1.0)
    rights = Rights({who.holder: {"b"}} if granted else {})
    allowed = set()
    for name, request in LIMITS.items():
        try:
            rights.check(f"/bosd.v1.LimitService/{name}", who, request)
        except NotAllowedError:
            continue
        allowed.add(name)
    assert allowed == calls
