"""LedgerService: convert, ask the node's ledger, convert."""

from bosd.errors import InvalidArgumentError
from bosd.node.api import NodeApi
from bosd.node.statement import Statement
from bosd.rpc.edge import Context, Edge, holder_of, need_finite, need_name, storable
from bosd.store.ledger import LedgerEntry
from bosd.v1 import ledger_pb2 as pb
from bosd.v1.ledger_pb2_grpc import LedgerServiceServicer

MAX_LIMIT = 1000


class LedgerService(LedgerServiceServicer):
    """The ledger of one node: reading it, and resetting meters."""

    def __init__(self, node: NodeApi, edge: Edge) -> None:
        self._node = node
        self._edge = edge

    async def List(self, request: pb.ListLedgerRequest, context: Context) -> pb.ListLedgerResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._list(request))

    async def _list(self, request: pb.ListLedgerRequest) -> pb.ListLedgerResponse:
        if request.limit > MAX_LIMIT:
            raise InvalidArgumentError(f"limit is {request.limit}: at most {MAX_LIMIT} entries", field="limit")
        since_utc_s, until_utc_s = _period(request, self._node.clock.utc_s())
        limit = request.limit or MAX_LIMIT
        entries = await self._node.ledger.entries(
            need_name(request.name),
            since_utc_s=since_utc_s,
            until_utc_s=until_utc_s,
            after_number=storable(request.after_number),
            limit=limit,
        )
        response = pb.ListLedgerResponse(entries=[_message(entry) for entry in entries])
        if len(entries) == limit and entries[-1].number:
            response.next_after = entries[-1].number
        return response

    async def Statement(self, request: pb.LedgerStatementRequest, context: Context) -> pb.LedgerStatement:  # noqa: D102, N802
        return await self._edge.answer(context, self._statement(request))

    async def _statement(self, request: pb.LedgerStatementRequest) -> pb.LedgerStatement:
        since_utc_s, until_utc_s = _period(request, self._node.clock.utc_s())
        name = need_name(request.name)
        return _statement(await self._node.ledger.statement(name, since_utc_s=since_utc_s, until_utc_s=until_utc_s))

    async def ResetMeter(self, request: pb.ResetMeterRequest, context: Context) -> pb.ResetMeterResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._reset(request, context), ("reset", [request.name]))

    async def _reset(self, request: pb.ResetMeterRequest, context: Context) -> pb.ResetMeterResponse:
        name = need_name(request.name)
        return pb.ResetMeterResponse(shift_ah=await self._node.reset_meter(name, holder=holder_of(context)))


def _period(request: pb.ListLedgerRequest | pb.LedgerStatementRequest, utc_now_s: float) -> tuple[float | None, float | None]:
    since_utc_s = need_finite(request.since, "since") if request.HasField("since") else None
    if request.HasField("ago_s"):
        since_utc_s = utc_now_s - need_finite(request.ago_s, "ago_s")
    until_utc_s = need_finite(request.until, "until") if request.HasField("until") else None
    if request.HasField("until_ago_s"):
        until_utc_s = utc_now_s - need_finite(request.until_ago_s, "until_ago_s")
    if since_utc_s is not None and until_utc_s is not None and until_utc_s < since_utc_s:
        raise InvalidArgumentError("until is before since", field="until")
    return since_utc_s, until_utc_s


def _message(entry: LedgerEntry) -> pb.LedgerEntry:
    return pb.LedgerEntry(
        number=entry.number,
        account=entry.account,
        giver=entry.giver,
        taker=entry.taker,
        charge_ah=entry.charge_ah,
        energy_wh=entry.energy_wh,
        start=entry.start_utc_s,
        end=entry.end_utc_s,
    )


def _statement(statement: Statement) -> pb.LedgerStatement:
    message = pb.LedgerStatement(
        name=statement.name,
        unpriced_ah=statement.unpriced_ah,
        expected_charge_ah=statement.expected_charge_ah,
        unobserved_s=statement.unobserved_s,
        unallocated_ah=statement.unallocated_ah,
        unattributed_ah=statement.unattributed_ah,
    )
    for each in statement.counterparties:
        message.counterparties.add(name=each.name, in_ah=each.in_ah, in_wh=each.in_wh, out_ah=each.out_ah, out_wh=each.out_wh)
    for row in statement.transfers:
        message.transfers.add(giver=row.giver, taker=row.taker, charge_ah=row.charge_ah, energy_wh=row.energy_wh)
    return message
