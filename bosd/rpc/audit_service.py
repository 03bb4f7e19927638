"""AuditService: convert, ask the audit, convert."""

import math
from collections.abc import Iterable

from bosd.errors import InvalidArgumentError
from bosd.node.audit import AuditLog
from bosd.rpc.edge import Context, Edge, need_finite, need_text, storable
from bosd.store.audit import AuditFilter
from bosd.store.audit_chain import Record
from bosd.v1 import audit_pb2 as pb
from bosd.v1.audit_pb2_grpc import AuditServiceServicer

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


class AuditService(AuditServiceServicer):
    """The audit of one node: reading and verifying it."""

    def __init__(self, audit: AuditLog, edge: Edge) -> None:
        self._audit = audit
        self._edge = edge

    async def List(self, request: pb.ListAuditRequest, context: Context) -> pb.ListAuditResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._list(request))

    async def _list(self, request: pb.ListAuditRequest) -> pb.ListAuditResponse:
        if request.limit > MAX_LIMIT:
            raise InvalidArgumentError(f"limit is {request.limit}: at most {MAX_LIMIT} records", field="limit")
        limit = request.limit or DEFAULT_LIMIT
        found = await self._audit.list(_filter(request, self._audit.clock.utc_s()), limit)
        response = pb.ListAuditResponse(unwritten=self._audit.unwritten, dropped=self._audit.dropped)
        response.records.extend(_messages(found))
        if len(found) == limit and found[-1].number > 1:
            response.next_before = found[-1].number
        return response

    async def Verify(self, request: pb.VerifyAuditRequest, context: Context) -> pb.VerifyAuditResponse:  # noqa: D102, N802
        del request
        return await self._edge.answer(context, self._verify())

    async def _verify(self) -> pb.VerifyAuditResponse:
        verdict = await self._audit.verify()
        response = pb.VerifyAuditResponse(
            ok=verdict.fault is None,
            records=verdict.records,
            first_number=verdict.first,
            last_number=verdict.head.number,
            last_hash=verdict.head.hash,
            unwritten=verdict.unwritten,
            dropped=verdict.dropped,
        )
        if verdict.fault is not None:
            response.broken_number, response.why = max(0, verdict.fault.number), verdict.fault.why
        return response


def _filter(request: pb.ListAuditRequest, utc_now_s: float) -> AuditFilter:
    since_utc_s = need_finite(request.since, "since") if request.HasField("since") else None
    if request.HasField("ago_s"):
        since_utc_s = utc_now_s - need_finite(request.ago_s, "ago_s")
    until_utc_s = need_finite(request.until, "until") if request.HasField("until") else None
    if request.HasField("until_ago_s"):
        until_utc_s = utc_now_s - need_finite(request.until_ago_s, "until_ago_s")
    return AuditFilter(
        since_utc_s=since_utc_s,
        until_utc_s=until_utc_s,
        battery=need_text(request.battery, "battery"),
        who=need_text(request.who, "who"),
        before_number=storable(request.before_number) if request.HasField("before_number") else None,
        after_number=storable(request.after_number) if request.HasField("after_number") else None,
    )


def _messages(records: Iterable[Record]) -> Iterable[pb.AuditRecord]:
    for record in records:
        yield pb.AuditRecord(
            number=max(0, record.number),
            at=_time(record.at_utc_s),
            until=_time(record.until_utc_s),
            who=str(record.who),
            action=str(record.action),
            outcome=str(record.outcome),
            names=record.names,
            count=_count(record.count),
            reason=str(record.reason),
            message=str(record.message),
            comment=str(record.comment),
            asked=str(record.asked),
            before=str(record.before),
            after=str(record.after),
            previous=str(record.previous),
            hash=str(record.hash),
        )


def _time(value: object) -> float:
    """Return a time as it is; what was tampered into none is no time."""
    return float(value) if isinstance(value, int | float) else math.nan


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
