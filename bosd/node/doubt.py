"""What an answer says of batteries below that have not confirmed, or have not been heard."""

from collections.abc import Sequence
from dataclasses import replace

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.facts import unread_below
from bosd.bal.may_run import may_run_a
from bosd.node.api import SetCurrentResult

MOST_NAMED = 5


def with_doubt(result: SetCurrentResult, battery: Battery, now_s: float) -> SetCurrentResult:
    """Return the answer with what may flow at most, and what below may run another current than it was told."""
    reasons = [result.reason] if result.reason else []
    leaves = [leaf for leaf in members_of(battery) if isinstance(leaf, DeviceLeaf)]
    doubtful = [f"{leaf.name} {leaf.unconfirmed_a:+g} A" for leaf in leaves if leaf.unconfirmed_a is not None]
    if doubtful:
        reasons.append(f"may still run: {_listed(doubtful)}")
    unread = [leaf.name for leaf in unread_below(battery, now_s)]
    if unread:
        reasons.append(f"not heard since the start: {_listed(unread)}")
    return replace(result, may_run_a=may_run_a(battery), unread=bool(unread), reason="; ".join(reasons))


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
    return ", ".join(texts[:MOST_NAMED]) + more
