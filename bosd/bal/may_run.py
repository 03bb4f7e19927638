"""What a battery may be running at most, the answers that are missing below it counted (control.md, "When something dies")."""

import math

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.partition import Partition
from bosd.bal.pseudo import NullBattery

SLACK = 1e-9
TRIFLE = 1e-3
LEAST_RUNNING_A = 0.05
"""A measured current below this is noise."""


def may_run_a(battery: Battery) -> float:
    """Return the current of larger magnitude that may flow (positive discharges); what is applied where all is certain.

    Members of an aggregator that run against each other are not set off. What the source of a partition may run beyond what
    is applied to its partitions counts to each of them. A null battery that is asked for itself counts at what the device
    that was there may run; a sum has that share no more.
    """
    if isinstance(battery, Aggregator):
        return _beyond(battery.applied_a, _worst_a(battery))
    if isinstance(battery, Partition):
        source = battery.splitter.source
        asked_a = math.fsum(part.applied_a for part in battery.splitter.partitions)
        if abs(asked_a - source.applied_a) <= TRIFLE * abs(source.applied_a):  # a limit that moves by so little is not followed
            asked_a = source.applied_a
        return _beyond(battery.applied_a, battery.applied_a + may_run_a(source) - asked_a)
    if isinstance(battery, NullBattery) and battery.left is not None:
        return battery.left.counts_at_a
    return battery.counts_at_a


def _worst_a(aggregator: Aggregator) -> float:
    parts_a = [0.0 if isinstance(member, NullBattery) else may_run_a(member) for member in aggregator.sources]
    discharge_a, charge_a = (math.fsum(part_a for part_a in parts_a if part_a * sign > 0.0) for sign in (1.0, -1.0))
    return max(discharge_a, charge_a, key=abs)


def _beyond(applied_a: float, worst_a: float) -> float:
    return worst_a if abs(worst_a) > abs(applied_a) * (1.0 + SLACK) + SLACK else applied_a


def unseen_a(commanded_a: float, measured_a: float) -> float:
    """Return the current that one counts at which is no longer seen: the larger of commanded and last measured.

    What was measured against what is commanded is from before that: others would be given the share that runs.
    """
    if abs(measured_a) < LEAST_RUNNING_A or measured_a * commanded_a < 0.0:
        return commanded_a
    return max(commanded_a, measured_a, key=abs)
