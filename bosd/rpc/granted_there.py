"""What an owner says that this node has granted it."""

import math

from bosd.bal.cap import Grant
from bosd.bal.spec_rules import name_fault
from bosd.errors import DriverError
from bosd.limits.book import MOST_LIMITS
from bosd.v1 import limits_pb2 as pb


def granted_there(answer: pb.ListLimitsResponse, node: str, target: str) -> dict[str, list[Grant]]:
    """Return by battery what `node` has granted, of revision 1: the wire names none. Raises DriverError for nonsense.

    More than a book has are nonsense, too: each that is not known here brings a stub of its battery, until it is withdrawn.
    """
    found = [each for each in answer.limits if each.source == f"node:{node}"]
    if len(found) > MOST_LIMITS:
        raise DriverError(
            f"{target} sent nonsense: {len(found)} grants of this node's, at most {MOST_LIMITS} can be", target=target
        )
    grants: dict[str, list[Grant]] = {}
    for each in found:
        grant = Grant(
            discharging=each.direction == pb.DIRECTION_DISCHARGE,
            revision=1,
            limit_w=each.limit_w if each.HasField("limit_w") else None,
            limit_a=each.limit_a if each.in_amperes else None,
        )
        if fault := name_fault(each.battery[:100]):
            raise DriverError(f"{target} sent nonsense: a grant of a battery of which {fault}", target=target)
        if not all(0.0 <= (amount or 0.0) < math.inf for amount in (grant.limit_w, grant.limit_a)):
            raise DriverError(f"{target} sent nonsense: a grant of {grant}", target=target)
        grants.setdefault(each.battery, []).append(grant)
    return grants
