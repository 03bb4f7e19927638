"""DeviceService: what a physical battery's device tells of itself."""

from bosd.bal.device import Traffic
from bosd.node.api import DeviceView, NodeApi
from bosd.rpc.edge import Context, Edge, need_name
from bosd.v1 import device_pb2 as pb
from bosd.v1.device_pb2_grpc import DeviceServiceServicer


class DeviceService(DeviceServiceServicer):
    """The devices of one node, read from memory."""

    def __init__(self, node: NodeApi, edge: Edge) -> None:
        self._node = node
        self._edge = edge

    async def Get(self, request: pb.GetDeviceRequest, context: Context) -> pb.Device:  # noqa: D102, N802
        return await self._edge.answer(context, self._get(request))

    async def _get(self, request: pb.GetDeviceRequest) -> pb.Device:
        return to_device_message(self._node.device(need_name(request.name)))


def to_device_message(view: DeviceView) -> pb.Device:
    """Return the message of a device."""
    facts = view.facts
    message = pb.Device(
        name=view.name,
        kind=view.kind,
        port=view.port,
        balancing_cells=facts.balancing_cells,
        traffic=_traffic(facts.traffic),
        notes=facts.notes,
        read_at=facts.read_utc_s,
    )
    for name, text in facts.identity:
        message.identity.add(name=name, text=text)
    for name, count in facts.trips:
        message.trips.add(name=name, count=count)
    for name, is_set in facts.flags:
        message.flags.add(name=name, set=is_set)
    for limit in facts.limits:
        message.limits.add(direction=limit.direction, limit_a=limit.limit_a, source=limit.source)
    if view.regulator is not None:
        message.regulator.CopyFrom(to_device_message(view.regulator))
    return message


def _traffic(traffic: Traffic) -> pb.DeviceTraffic:
    return pb.DeviceTraffic(
        requests=traffic.requests,
        retries=traffic.retries,
        replies=traffic.replies,
        resyncs=traffic.resyncs,
        rejects=[pb.DeviceCount(name=name, count=count) for name, count in traffic.rejects],
        latency_min_s=traffic.latency_min_s,
        latency_median_s=traffic.latency_median_s,
        latency_p95_s=traffic.latency_p95_s,
        latency_max_s=traffic.latency_max_s,
    )
