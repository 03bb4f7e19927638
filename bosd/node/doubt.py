"""What an answer says of batteries below that have not confirmed."""

from dataclasses import replace

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.may_run import may_run_a
from bosd.node.api import SetCurrentResult

MOST_NAMED = 5


def with_doubt(result: SetCurrentResult, battery: Battery) -> SetCurrentResult:
    """Return the answer with what may flow at most, and what below may run another current than it was told."""
    doubtful = [
        f"{leaf.name} {leaf.unconfirmed_a:+g} A"
        for leaf in members_of(battery)
        if isinstance(leaf, DeviceLeaf) and leaf.unconfirmed_a is not None
    ]
    more = f" and {len(doubtful) - MOST_NAMED} more" if len(doubtful) > MOST_NAMED else ""
    doubt = f"may still run: {', '.join(doubtful[:MOST_NAMED])}{more}" if doubtful else ""
    return replace(result, may_run_a=may_run_a(battery), reason="; ".join(filter(None, (result.reason, doubt))))
