"""What is answered to a set point, and what that says of batteries below that have not confirmed, or have not been heard."""

from collections.abc import Sequence
from dataclasses import replace

from bosd.bal.aggregator import Aggregator, devices_below
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.dispatch import Plan, asked_a
from bosd.bal.facts import unread_below
from bosd.bal.may_run import SLACK, may_run_a
from bosd.bal.physical import PhysicalBattery
from bosd.node.api import SetCurrentResult
from bosd.node.links import NetworkLeaf

MOST_NAMED = 5


def answer(battery: Battery, current_a: float, ends_s: float | None, planned: Plan) -> SetCurrentResult:
    """Return what follows for `battery` from asking `current_a` of it until `ends_s`, None without an end."""
    clamped = planned.clamped.get(battery)
    reasons = [] if clamped is None or not clamped.reason else [clamped.reason]
    below = set(devices_below(battery))
    reasons += switched(sorted((leaf.name, told_a) for leaf, told_a in planned.devices if leaf in below and _is_gate(leaf)))
    return SetCurrentResult(
        name=battery.name,
        requested_current_a=current_a,
        applied_current_a=battery.applied_a if clamped is None else clamped.current_a,
        setpoint_ends_s=ends_s,
        reason="; ".join(reasons),
        leaves=(),
    )


def switched(told: Sequence[tuple[str, float]]) -> list[str]:
    """Return what gates make of the currents they are told: they follow the direction alone (JBD protocol, current control)."""
    texts = []
    for words, of in (
        ("discharging allowed, charging not; the load decides how much flows", [name for name, told_a in told if told_a > 0.0]),
        ("charging allowed, discharging not; the source decides how much flows", [name for name, told_a in told if told_a < 0.0]),
        ("both switches open", [name for name, told_a in told if told_a == 0.0]),
    ):
        if of:
            texts.append(f"{_listed(of)}: {words}")
    return texts


def _is_gate(leaf: DeviceLeaf) -> bool:
    return isinstance(leaf, PhysicalBattery) and leaf.is_gate


def with_doubt(result: SetCurrentResult, battery: Battery, now_s: float) -> SetCurrentResult:
    """Return the answer with what may flow at most, and what below may run another current than it was told."""
    reasons = [result.reason] if result.reason else []
    doubtful = [f"{leaf.name} {leaf.counts_at_a:+g} A" for leaf in devices_below(battery) if _is_doubtful(leaf, battery)]
    if doubtful:
        reasons.append(f"may still run: {_listed(doubtful)}")
    reasons += [
        f"{leaf.name}: NOT_FOLLOWED: {leaf.deviation}" + ("" if leaf.strays else "; it is told anew after 0 A")
        for leaf in devices_below(battery)
        if isinstance(leaf, PhysicalBattery) and leaf.deviation is not None
    ]
    reasons += [
        f"{leaf.name}: {leaf.clamped_there}"
        for leaf in devices_below(battery)
        if isinstance(leaf, NetworkLeaf) and leaf.applied_a and leaf.clamped_there
    ]
    unread = [leaf.name for leaf in unread_below(battery, now_s)]
    if unread:
        reasons.append(f"not heard since the start: {_listed(unread)}")
    return replace(result, may_run_a=may_run_a(battery), unread=bool(unread), reason="; ".join(reasons))


def _is_doubtful(leaf: DeviceLeaf, top: Battery) -> bool:
    """Return whether it has not confirmed, or may run more than is asked of it, or against what `top` is asked."""
    if isinstance(top, Aggregator) and leaf.counts_at_a * top.applied_a < 0.0:
        return True
    wanted_a = (leaf.target_a or 0.0) if leaf.user is not None else asked_a(leaf)
    counts_a = leaf.counts_at_a
    return leaf.unconfirmed_a is not None or abs(counts_a) > abs(wanted_a) * (1.0 + SLACK) + SLACK


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
    return ", ".join(texts[:MOST_NAMED]) + more
