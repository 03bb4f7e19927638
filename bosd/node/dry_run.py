"""A dry run: what each leaf would carry, and which limit would bind."""

from dataclasses import replace

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.dispatch import Plan
from bosd.bal.explain import chain, summary
from bosd.node.api import LeafCommand, SetCurrentResult
from bosd.node.moves import moves_of


def foreseen(result: SetCurrentResult, battery: Battery, planned: Plan, now_s: float) -> SetCurrentResult:
    """Return the answer with what each leaf would carry, and what binds."""
    return replace(
        result,
        leaves=leaf_commands(battery, planned, now_s),
        binds=binding(battery, result.requested_current_a, now_s),
    )


def leaf_commands(battery: Battery, planned: Plan, now_s: float) -> tuple[LeafCommand, ...]:
    """Return what every leaf below `battery` would carry, and whatever else a plan moves."""
    moved: dict[Battery, float] = dict(planned.computed)
    moved.update((move.leaf, move.new_a) for move in moves_of(planned, now_s))
    below = {each: None for each in members_of(battery) if not each.sources}
    return tuple(_command(leaf, planned, moved.get(leaf), now_s) for leaf in (below | dict.fromkeys(moved)))


def _command(leaf: Battery, planned: Plan, moved_a: float | None, now_s: float) -> LeafCommand:
    old_a = leaf.counts_at_a if isinstance(leaf, DeviceLeaf) else leaf.applied_a
    clamped = planned.clamped.get(leaf)
    new_a = moved_a if moved_a is not None else old_a if clamped is None else clamped.current_a
    status = leaf.status(now_s)
    charging = new_a < 0.0 or (new_a == 0.0 and old_a < 0.0)
    return LeafCommand(
        name=leaf.name,
        old_current_a=old_a,
        new_current_a=new_a,
        limit_a=status.max_charge_current_a if charging else status.max_discharge_current_a,
        reason="" if clamped is None else clamped.reason,
    )


def binding(battery: Battery, current_a: float, now_s: float) -> str:
    """Return which chain of limits bounds `battery` in the direction of `current_a`, as one sentence."""
    return summary(chain(battery, now_s, discharging=current_a >= 0.0))
