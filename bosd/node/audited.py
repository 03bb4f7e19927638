"""A node whose commands are recorded: every command and edit goes through here, reads go straight to the node.

What a command changed is recorded before the caller hears of it, and a refusal with who, what and why. A repeat of a set point
that is in force is a renewal: renewals are counted, so that holding a current does not fill the store.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar, cast

from bosd.bal.schedule import Moment
from bosd.bal.setpoint import Fence
from bosd.bal.status import BatteryStatus
from bosd.errors import BosError
from bosd.node.api import ApplyResult, BookingView, BookResult, Edit, NodeApi, ReleaseResult, SetCurrentResult, StopResult
from bosd.node.audit import AuditLog
from bosd.node.audited_time import AuditedTime
from bosd.store.audit_chain import MAX_CHANGES

T = TypeVar("T")
Values = Mapping[str, object]

_PSEUDO_NOW = ("voltage_v", "charge_ah", "capacity_ah", "max_discharge_current_a", "max_charge_current_a")


def audited(node: NodeApi, audit: AuditLog) -> NodeApi:
    """Return the node with its commands recorded; what is not a command is the node's own method, at its own cost."""
    return cast("NodeApi", AuditedNode(node, audit))


class AuditedNode:
    """Stands in for a node: records commands, delegates the rest."""

    def __init__(self, node: NodeApi, audit: AuditLog) -> None:
        self._node = node
        self._audit = audit
        self.name = node.name
        self.clock = node.clock
        self.time = AuditedTime(node.time, audit)
        for name in dir(node):
            if not name.startswith("_") and not hasattr(self, name) and callable(method := getattr(node, name)):
                setattr(self, name, method)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the node has)
        """Return what the node has."""
        return getattr(self._node, name)

    async def _recorded(
        self,
        action: str,
        command: Awaitable[T],
        *,
        who: str,
        names: Sequence[str],
        asked: Values,
        note: Callable[[T], None],
    ) -> T:
        """Run a command; record what it did, or why it did not."""
        try:
            result = await command
        except BosError as error:
            self._audit.refused(action, error, who=who, names=names, asked=asked)
            error.audited = True
            raise
        except asyncio.CancelledError:
            why = "the asker did not wait for the end, or its deadline was over; what was told to devices stands"
            self._audit.note(action, who=who, names=names, asked=asked, outcome="failed", reason="CANCELLED", message=why)
            raise
        except Exception as bug:
            self._audit.note(
                action, who=who, names=names, asked=asked, outcome="failed", reason="INTERNAL", message=type(bug).__name__
            )
            raise
        note(result)
        return result

    def _status(self, name: str) -> BatteryStatus | None:
        try:
            return self._node.status(name)
        except BosError:  # the command itself is going to say so
            return None

    def _in_force(self, name: str) -> Values:
        """Return what is asked and applied now; nothing of a battery that is not known."""
        status = self._status(name)
        if status is None:
            return {}
        return {"requested_current_a": status.requested_current_a, "applied_current_a": status.applied_current_a}

    async def set_current(
        self,
        name: str,
        current_a: float,
        *,
        ttl_s: float | None,
        holder: str,
        request_id: str = "",
        dry_run: bool = False,
        fence: Fence | None = None,
    ) -> SetCurrentResult:
        """Record a set point, its refusal, or its renewal; a dry run is a read."""
        command = self._node.set_current(
            name, current_a, ttl_s=ttl_s, holder=holder, request_id=request_id, dry_run=dry_run, fence=fence
        )
        if dry_run:
            return await command
        asked = {"current_a": current_a, "ttl_s": ttl_s}
        before = self._in_force(name)

        def note(result: SetCurrentResult) -> None:
            after = _result(result)
            renewed = before == after
            self._audit.note(
                "renew" if renewed else "set",
                who=holder,
                names=[name],
                asked=asked,
                before=before,
                after=after,
                counted=renewed,
                message=result.reason,
            )

        return await self._recorded("set", command, who=holder, names=[name], asked=asked, note=note)

    async def force_current(
        self, name: str, current_a: float, *, ttl_s: float | None, holder: str, request_id: str = "", dry_run: bool = False
    ) -> SetCurrentResult:
        """Record that a claim was taken over, from whom; a dry run is a read."""
        command = self._node.force_current(name, current_a, ttl_s=ttl_s, holder=holder, request_id=request_id, dry_run=dry_run)
        if dry_run:
            return await command
        before = self._in_force(name)

        def note(result: SetCurrentResult) -> None:
            loser = {"holder": result.taken_from} if result.taken_from else {}
            self._audit.note(
                "force",
                who=holder,
                names=[name],
                asked={"current_a": current_a, "ttl_s": ttl_s},
                before={**before, **loser},
                after={**_result(result), "holder": holder},
                message="; ".join(filter(None, (f"taken from {result.taken_from}" if loser else "", result.reason))),
            )

        asked = {"current_a": current_a, "ttl_s": ttl_s, "force": True}
        return await self._recorded("force", command, who=holder, names=[name], asked=asked, note=note)

    async def clear_current(self, name: str, *, holder: str) -> SetCurrentResult:
        """Record the end of a holder's set point; where none was in force it is counted: a node may repeat it each second."""
        before = self._in_force(name)

        def note(result: SetCurrentResult) -> None:
            after = _result(result)
            same = before == after
            self._audit.note("clear", who=holder, names=[name], before=before, after=after, counted=same)

        command = self._node.clear_current(name, holder=holder)
        return await self._recorded("clear", command, who=holder, names=[name], asked={}, note=note)

    async def book(
        self, name: str, current_a: float, start: Moment, end: Moment, *, holder: str, request_id: str = ""
    ) -> BookResult:
        """Record a booking."""
        asked = {"current_a": current_a, "start": asdict(start), "end": asdict(end)}

        def note(result: BookResult) -> None:
            after = {**_booking(result.booking), "survives": result.survives}
            self._audit.note("book", who=holder, names=[name], asked=asked, after=after)

        command = self._node.book(name, current_a, start, end, holder=holder, request_id=request_id)
        return await self._recorded("book", command, who=holder, names=[name], asked=asked, note=note)

    async def cancel_booking(self, booking_id: str, *, holder: str) -> BookingView:
        """Record the end of a booking."""
        asked = {"booking_id": booking_id}

        def note(booking: BookingView) -> None:
            self._audit.note("cancel", who=holder, names=[booking.name], asked=asked, before=_booking(booking))

        command = self._node.cancel_booking(booking_id, holder=holder)
        return await self._recorded("cancel", command, who=holder, names=(), asked=asked, note=note)

    async def stop(
        self,
        names: Sequence[str],
        *,
        node: bool = False,
        everything: bool = False,
        reason: str = "",
        holder: str = "",
        via: Sequence[str] = (),
    ) -> StopResult:
        """Record a stop after it was applied."""
        asked = {"names": list(names), "node": node, "all": everything}
        before = {name: self._in_force(name) for name in names[:MAX_CHANGES]}

        def note(result: StopResult) -> None:
            self._audit.note(
                "stop",
                who=holder,
                names=(*result.stopped, *result.not_at_owner),
                comment=reason,
                asked=asked,
                before=before,
                after={"stopped": True, "unconfirmed": list(result.unconfirmed)},
            )

        command = self._node.stop(names, node=node, everything=everything, reason=reason, holder=holder, via=via)
        return await self._recorded("stop", command, who=holder, names=names, asked=asked, note=note)

    async def release(self, names: Sequence[str], *, holder: str = "", via: Sequence[str] = ()) -> ReleaseResult:
        """Record the end of a stop, and each one that was refused."""
        asked = {"names": list(names)}

        def note(result: ReleaseResult) -> None:
            if result.released:
                self._audit.note("release", who=holder, names=result.released, asked=asked, after={"stopped": False})
            for name, error in result.refused.items():
                self._audit.refused("release", error, who=holder, names=[name], asked=asked)

        command = self._node.release(names, holder=holder, via=via)
        return await self._recorded("release", command, who=holder, names=names, asked=asked, note=note)

    async def modify_pseudo(self, name: str, values: Mapping[str, float], *, holder: str = "") -> BatteryStatus:
        """Record what a pseudo battery is told to report."""
        now = self._status(name)
        before = _reported(now, values) if now is not None else {}

        def note(status: BatteryStatus) -> None:
            self._audit.note("pseudo", who=holder, names=[name], asked=values, before=before, after=_reported(status, values))

        command = self._node.modify_pseudo(name, values, holder=holder)
        return await self._recorded("pseudo", command, who=holder, names=[name], asked=values, note=note)

    async def reset_meter(self, name: str, *, holder: str) -> float:
        """Record that a meter was set to the charge its battery holds."""

        def note(shift_ah: float) -> None:
            self._audit.note("reset", who=holder, names=[name], after={"shift_ah": shift_ah})

        command = self._node.reset_meter(name, holder=holder)
        return await self._recorded("reset", command, who=holder, names=[name], asked={}, note=note)

    async def apply(
        self, edits: Sequence[Edit], *, expected_revision: int | None, holder: str, comment: str = "", request_id: str = ""
    ) -> ApplyResult:
        """Record an edit of the topology with its revision and differences."""
        asked = {"edits": [_edit(edit) for edit in edits[:MAX_CHANGES]], "expected_revision": expected_revision}
        names = [edit.name for edit in edits if edit.name]

        def note(result: ApplyResult) -> None:
            changed = [change.name for change in result.changes]
            before = {"revision": result.revision - 1 if result.changes else result.revision}
            after = _applied(result)
            self._audit.note("apply", who=holder, names=changed, comment=comment, asked=asked, before=before, after=after)

        command = self._node.apply(
            edits, expected_revision=expected_revision, holder=holder, comment=comment, request_id=request_id
        )
        return await self._recorded("apply", command, who=holder, names=names, asked=asked, note=note)


def _result(result: SetCurrentResult) -> Values:
    return {
        "requested_current_a": result.requested_current_a if result.setpoint_ends_s is not None else None,
        "applied_current_a": result.applied_current_a,
    }


def _booking(booking: BookingView) -> Values:
    return {
        "booking_id": booking.booking_id,
        "current_a": booking.current_a,
        "start_utc_s": booking.start_utc_s,
        "end_utc_s": booking.end_utc_s,
        "who": booking.who,
    }


def _reported(status: BatteryStatus, values: Mapping[str, float]) -> Values:
    return {key: getattr(status, key) for key in _PSEUDO_NOW if key in values}


def _edit(edit: Edit) -> Values:
    told: dict[str, object] = {"action": edit.action}
    if edit.name:
        told["name"] = edit.name
    if edit.recut is not None:
        told[type(edit.recut).__name__.lower()] = asdict(edit.recut)
    return told


def _applied(result: ApplyResult) -> Values:
    changes = [
        {"action": change.action, "name": change.name, "kind": change.kind, "detail": change.detail}
        for change in result.changes[:MAX_CHANGES]
    ]
    more = len(result.changes) - len(changes)
    return {"revision": result.revision, "changes": changes, **({"more": more} if more else {})}
