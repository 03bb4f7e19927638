"""What an answer says of batteries below that have not confirmed."""

from dataclasses import replace

from bosd.bal.battery import Battery
from bosd.bal.may_run import may_run_a
from bosd.node.api import SetCurrentResult


def with_doubt(result: SetCurrentResult, battery: Battery) -> SetCurrentResult:
    """Return the answer with what may flow at most, and in words where that is beyond what is applied."""
    most_a = may_run_a(battery)
    doubt = "" if most_a == battery.applied_a else f"up to {most_a:g} A may still flow: not all below has confirmed"
    return replace(result, may_run_a=most_a, reason="; ".join(filter(None, (result.reason, doubt))))
