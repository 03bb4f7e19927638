"""The Explain call: explanations as messages and back."""

import math
from collections.abc import Iterable

from bosd.bal.explain import Explanation, InForce, Step, summary
from bosd.clock import Clock
from bosd.errors import DriverError
from bosd.fleet.owner import OwnerSessions
from bosd.fleet.timers import SessionTimers
from bosd.node.api import NodeApi
from bosd.rpc.edge import Context, Edge, need_duration, need_name
from bosd.v1 import explain_pb2 as pb

DEFAULT_WAIT_S = 1.0
_MAX_STEPS = 1024
_MAX_TEXT = 8192


class ExplainCalls:
    """The part of BatteryService that explains."""

    _node: NodeApi
    _edge: Edge
    _clock: Clock
    _sessions: OwnerSessions | None

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._explain(request))

    async def _explain(self, request: pb.ExplainRequest) -> pb.ExplainResponse:
        within_s = need_duration(request.within_s, "within_s") if request.HasField("within_s") else DEFAULT_WAIT_S
        name = need_name(request.name)
        explanation = await self._node.explain(name, within_s=within_s)
        message = to_explain_message(explanation, self._clock.now_s(), self._clock.utc_s())
        timers = self._sessions.timers if self._sessions is not None else SessionTimers()
        facts = self._node.facts(timers.safe_within_s(0.0), (name,))[name]
        message.failsafe_time_s = facts.failsafe_time_s
        if facts.safe_within_s is not None:
            message.safe_within_s = facts.safe_within_s
        return message


def to_explain_message(explanation: Explanation, now_s: float, utc_now_s: float) -> pb.ExplainResponse:
    """Return the message; `now_s` and `utc_now_s` are the same instant on the node's two clocks."""
    force = explanation.in_force
    ends_in_s = None if force.ends_s is None or math.isinf(force.ends_s) else max(0.0, force.ends_s - now_s)
    return pb.ExplainResponse(
        name=explanation.name,
        node=explanation.node,
        discharge=map(_step_message, explanation.discharge),
        charge=map(_step_message, explanation.charge),
        in_force=pb.InForce(
            source=force.source,
            requested_current_a=force.requested_a,
            applied_current_a=force.applied_a,
            holder=force.holder,
            ends_in_s=ends_in_s,
            ends_at=None if ends_in_s is None else utc_now_s + ends_in_s,
            limited_by=force.limited_by,
            text=force.text,
        ),
        time_to_empty_s=explanation.empty_in_s,
        time_to_full_s=explanation.full_in_s,
        notes=explanation.notes,
        discharge_summary=summary(explanation.discharge),
        charge_summary=summary(explanation.charge),
    )


def _step_message(step: Step) -> pb.ExplainStep:
    return pb.ExplainStep(
        battery=step.battery,
        kind=step.kind,
        node=step.node,
        depth=step.depth,
        limit_a=step.limit_a,
        ideal_limit_a=step.ideal_a,
        cause=step.cause,
        by=step.by,
        text=step.text,
        left_out=step.role == "left_out",
    )


def from_explain_message(message: pb.ExplainResponse, now_s: float) -> Explanation:
    """Return what another node explained, its end dated on this node's clock. Raises DriverError for what no node would say."""
    force = message.in_force
    return Explanation(
        name=_text(message.name),
        node=_text(message.node),
        discharge=_steps(message.discharge),
        charge=_steps(message.charge),
        in_force=InForce(
            source=_text(force.source),
            requested_a=_number(force.requested_current_a) if force.HasField("requested_current_a") else None,
            applied_a=_number(force.applied_current_a) if force.HasField("applied_current_a") else None,
            holder=_text(force.holder),
            ends_s=now_s + _number(force.ends_in_s) if force.HasField("ends_in_s") else None,
            limited_by=_text(force.limited_by),
            text=_text(force.text),
        ),
        empty_in_s=_number(message.time_to_empty_s) if message.HasField("time_to_empty_s") else None,
        full_in_s=_number(message.time_to_full_s) if message.HasField("time_to_full_s") else None,
        notes=tuple(_text(note) for note in message.notes[:_MAX_STEPS]),
    )


def _steps(messages: Iterable[pb.ExplainStep]) -> tuple[Step, ...]:
    return tuple(
        Step(
            battery=_text(step.battery),
            kind=_text(step.kind),
            depth=step.depth,
            limit_a=_number(step.limit_a),
            ideal_a=_number(step.ideal_limit_a) if step.HasField("ideal_limit_a") else None,
            cause=_text(step.cause),
            by=tuple(_text(each) for each in step.by[:_MAX_STEPS]),
            text=_text(step.text),
            role="left_out" if step.left_out else "binds",
            node=_text(step.node),
        )
        for step in list(messages)[:_MAX_STEPS]
    )


def _text(value: str) -> str:
    return value[:_MAX_TEXT]


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise DriverError(f"an explanation holds {value}: a finite number is needed")
    return value
