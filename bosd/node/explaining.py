"""Explaining across nodes: this node's chain, and below each stub in it what its own node says."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from bosd.bal.battery import Battery
from bosd.bal.explain import Explanation, Step, explain
from bosd.errors import BosError
from bosd.node.links import NetworkLeaf

LONGEST_WAIT_S = 1.0
LEAST_WAIT_S = 0.05
HOP_PART = 0.8
"""What each node leaves of its time to the next: the answer has to travel back, and a circle of nodes ends."""


async def explained(batteries: Mapping[str, Battery], name: str, now_s: float, node: str, within_s: float) -> Explanation:
    """Return why battery `name` can do what it can; nodes that do not answer within `within_s` (at most 1 s) stand in `notes`."""
    told = explain(batteries[name], now_s)
    wait_s = min(within_s, LONGEST_WAIT_S)
    stubs = [batteries[step.battery] for step in (*told.discharge, *told.charge) if step.cause == "remote"]
    answers: dict[str, Explanation] = {}
    notes: list[str] = []
    asked = list(dict.fromkeys(stub for stub in stubs if isinstance(stub, NetworkLeaf)))
    for stub, answer in zip(asked, await asyncio.gather(*(_asked(stub, wait_s) for stub in asked)), strict=True):
        if isinstance(answer, Explanation):
            answers[stub.name] = answer
            notes += answer.notes
        else:
            notes.append(answer)
    discharge = _with_remote(told.discharge, {each: answer.discharge for each, answer in answers.items()}, node)
    charge = _with_remote(told.charge, {each: answer.charge for each, answer in answers.items()}, node)
    return replace(told, discharge=discharge, charge=charge, notes=(*told.notes, *notes), node=node)


async def _asked(stub: NetworkLeaf, wait_s: float) -> Explanation | str:
    """Return what a stub's node explains, or a note of why it does not."""
    if wait_s < LEAST_WAIT_S:
        return f"{stub.name}: its node was not asked, no time was left"
    try:
        async with asyncio.timeout(wait_s):
            return await stub.explain(wait_s * HOP_PART)
    except TimeoutError:
        return f"{stub.name}: its node did not answer in time"
    except BosError as error:
        return f"{stub.name}: its node could not be asked: {error.message}"


def _with_remote(steps: tuple[Step, ...], remote: Mapping[str, tuple[Step, ...]], node: str) -> tuple[Step, ...]:
    """Return a chain with the other nodes' chains put before their stubs."""
    whole: list[Step] = []
    for step in steps:
        whole += [replace(each, depth=each.depth + step.depth + 1) for each in remote.get(step.battery, ())]
        whole.append(replace(step, node=node))
    return tuple(whole)
