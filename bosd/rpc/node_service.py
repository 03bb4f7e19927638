"""Sessions over gRPC: what other nodes say to this one's owner side."""

from collections.abc import AsyncIterator

import grpc

from bosd import __version__
from bosd.errors import FencedError, InvalidArgumentError, UnsupportedError
from bosd.fleet.owner import MOST_PEERS, PROTOCOL, OwnerSessions, Session
from bosd.node.api import NodeApi
from bosd.rpc.edge import Context, Edge, holder_of, need_finite, need_text
from bosd.rpc.status import abort
from bosd.v1 import node_pb2 as pb
from bosd.v1.node_pb2_grpc import NodeServiceServicer

NODE = "node:"
FIRST_LOOK_S = 1.5
"""How long Sync waits for devices that were not looked at since the start: less than a call's deadline."""


def peer_of(context: Context) -> str:
    """Return the node that asks. Raises InvalidArgumentError where the asker is none."""
    holder = holder_of(context)
    if not holder.startswith(NODE):
        raise InvalidArgumentError(f"{holder} is no node: only nodes keep sessions", field="bosd-client")
    return holder


def _host(peer: str) -> str:
    """Return where a peer is, without its port: that is another one after each start."""
    return peer if peer.startswith("unix:") else peer.rpartition(":")[0]


class NodeService(NodeServiceServicer):
    """Answers Hello, Sync, Ready and heartbeats."""

    def __init__(
        self,
        node: NodeApi,
        edge: Edge,
        sessions: OwnerSessions,
    ) -> None:
        self._node = node
        self._edge = edge
        self._sessions = sessions

    async def Hello(self, request: pb.HelloRequest, context: Context) -> pb.HelloResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._hello(request, context))

    async def _hello(self, request: pb.HelloRequest, context: Context) -> pb.HelloResponse:
        if request.protocol != PROTOCOL:
            message = f"this node speaks protocol {PROTOCOL}, not {request.protocol}: give both the same major version"
            raise UnsupportedError(message, cause="INCOMPATIBLE")
        sessions = self._sessions
        for field in ("nonce", "boot_id"):
            if not getattr(request, field):
                raise InvalidArgumentError(f"{field} is empty", field=field)
        session = sessions.hello(
            peer_of(context),
            nonce=need_text(request.nonce, "nonce"),
            boot_id=need_text(request.boot_id, "boot_id"),
            address=_host(context.peer()),
            elsewhere=request.elsewhere[:MOST_PEERS],
        )
        timers = sessions.timers
        return pb.HelloResponse(
            node=self._node.name,
            boot_id=sessions.boot_id,
            epoch=session.epoch,
            owner_s=sessions.clock.now_s(),
            lease_s=timers.lease_s,
            heartbeat_s=timers.heartbeat_s,
            version=__version__,
            known=(request.believed_boot_id, request.believed_epoch) == (sessions.boot_id, session.epoch - 1),
            config_digest=sessions.config_digest(),
            tells_unreached=True,
        )

    async def Sync(self, request: pb.SyncRequest, context: Context) -> pb.SyncResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._sync(request, context))

    async def _sync(self, request: pb.SyncRequest, context: Context) -> pb.SyncResponse:
        sessions = self._sessions
        sessions.find(peer_of(context), request.boot_id, request.epoch)
        await self._node.first_look(within_s=FIRST_LOOK_S)
        session = sessions.find(peer_of(context), request.boot_id, request.epoch)
        response = pb.SyncResponse(
            config_digest=sessions.config_digest(), digest=sessions.digest(session), owner_s=sessions.clock.now_s()
        )
        for claim in sessions.claims(session):
            response.claims.add(name=claim.name, current_a=claim.current_a, ttl_s=max(0.0, claim.ttl_s))
        taken = sessions.taken(session)
        told = self._node.facts(sessions.timers.safe_within_s(0.0))
        sessions.tell_alone(session, {name: facts.own_alone for name, facts in told.items()})
        session.unread = frozenset(name for name, facts in told.items() if facts.unread)
        for name, facts in told.items():
            response.batteries.add(
                name=name,
                safe_within_s=facts.safe_within_s,
                failsafe_time_s=facts.failsafe_time_s,
                unconfirmed_a=(facts.left_a or facts.unconfirmed_a) if name in taken else facts.unconfirmed_a,
                unread=facts.unread,
                taken_by=taken.get(name, ""),
                alone_discharge_limit_w=facts.alone_discharge_limit_w,
                alone_charge_limit_w=facts.alone_charge_limit_w,
                charge_efficiency=facts.charge_efficiency,
                discharge_efficiency=facts.discharge_efficiency,
            )
        return response

    def _has_read(self, session: Session) -> bool:
        """Tell whether something was looked at since the peer was told that nobody had."""
        names = [name for name in self._node.names() if name in session.unread] if session.unread else []
        return bool(names) and not all(facts.unread for facts in self._node.facts(0.0, names).values())

    async def Ready(self, request: pb.ReadyRequest, context: Context) -> pb.ReadyResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._ready(request, context))

    async def _ready(self, request: pb.ReadyRequest, context: Context) -> pb.ReadyResponse:
        sessions = self._sessions
        session = sessions.find(peer_of(context), request.boot_id, request.epoch)
        kept = {claim.name: need_finite(claim.current_a, "claims.current_a") for claim in request.claims}
        agreed = sessions.ready(session, request.digest, kept, request.owner_s)
        return pb.ReadyResponse(agreed=agreed, owner_s=sessions.clock.now_s())

    async def Heartbeat(  # noqa: D102, N802
        self, request_iterator: AsyncIterator[pb.Beat], context: Context
    ) -> AsyncIterator[pb.BeatReply]:
        sessions = self._sessions
        try:
            peer = peer_of(context)
            async for beat in request_iterator:
                session = sessions.find(peer, beat.boot_id, beat.epoch)
                renewed = sessions.beat(session, beat.owner_s)
                yield pb.BeatReply(
                    number=beat.number,
                    owner_s=sessions.clock.now_s(),
                    renewed=renewed,
                    config_digest=sessions.config_digest(),
                    lag_s=sessions.lag.take(),
                    resync=bool(sessions.taken(session)) or self._has_read(session),
                )
        except (FencedError, InvalidArgumentError) as error:
            await abort(context, error)
        except grpc.aio.BaseError:
            return  # the peer is gone
