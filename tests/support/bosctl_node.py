"""A node as `bosctl` sees one: both services on a real gRPC server, with scripted batteries. Also a program of its own."""

import argparse
import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio

from bosd import errors
from bosd.rpc.status import abort
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import battery_pb2_grpc, topology_pb2_grpc
from bosd.v1 import topology_pb2 as tpb

SAMPLED_UTC_S = 1_700_000_000.0
"""2023-11-14T22:13:20Z."""
TOML = '[[battery]]\nname = "b1"\nkind = "jbd"\nport = "/dev/ttyUSB0"\n'


def physical(name: str, charge_ah: float = 52.0, **fields: Any) -> pb.BatteryStatus:
    """Return a good 100 Ah pack of four cells that discharges at 4 A."""
    values: dict[str, Any] = {
        "name": name,
        "kind": "jbd",
        "voltage_v": 13.2,
        "current_a": 4.0,
        "power_w": 52.8,
        "charge_ah": charge_ah,
        "capacity_ah": 100.0,
        "soc": charge_ah / 100.0,
        "max_discharge_current_a": 50.0,
        "max_charge_current_a": 30.0,
        "ideal_max_discharge_current_a": 50.0,
        "ideal_max_charge_current_a": 30.0,
        "sampled_from": SAMPLED_UTC_S,
        "sampled_to": SAMPLED_UTC_S,
        "age_s": 0.25,
        "quality": pb.QUALITY_GOOD,
        "link": pb.LINK_LOCAL,
        "commandable": True,
        "max_staleness_s": 3.0,
        "cells_v": [3.301, 3.299, 3.3, 3.3],
        "temperatures_c": [21.5, 22.0],
        "cycles": 12,
        "path": [f"home/{name}"],
    }
    return pb.BatteryStatus(**(values | fields))


def aggregate() -> pb.BatteryStatus:
    """Return what rests on b1 and b2: unbalanced, one of them unreachable."""
    return pb.BatteryStatus(
        name="agg",
        kind="aggregator",
        voltage_v=13.2,
        charge_ah=52.0,
        capacity_ah=100.0,
        soc=0.52,
        max_discharge_current_a=50.0,
        max_charge_current_a=30.0,
        requested_current_a=60.0,
        applied_current_a=50.0,
        setpoint_source=pb.SETPOINT_SOURCE_MANUAL,
        setpoint_ends_at=SAMPLED_UTC_S + 60.0,
        sampled_from=SAMPLED_UTC_S,
        sampled_to=SAMPLED_UTC_S + 1.0,
        age_s=0.25,
        quality=pb.QUALITY_GOOD,
        link=pb.LINK_LOCAL,
        commandable=True,
        reason="without b2; known sum +4.00 A",
        path=["home/agg", "home/b1", "home/b2"],
    )


def unreachable(name: str) -> pb.BatteryStatus:
    """Return a pack that was never sampled."""
    return pb.BatteryStatus(
        name=name, kind="jbd", quality=pb.QUALITY_UNAVAILABLE, link=pb.LINK_LOCAL, reason="no answer on /dev/ttyUSB1"
    )


def stub_of_garage() -> pb.BatteryStatus:
    """Return a stub whose node went quiet."""
    return physical(
        "garage-pack",
        80.5,
        kind="network",
        quality=pb.QUALITY_STALE,
        link=pb.LINK_STALE,
        age_s=4.5,
        reason="clocks differ by 3.1 s",
        cells_v=[],
        temperatures_c=[],
        path=["home/garage-pack", "garage/pack"],
    )


class Home(battery_pb2_grpc.BatteryServiceServicer, topology_pb2_grpc.TopologyServiceServicer):
    """Four batteries: agg rests on b1 and b2; garage-pack is a stub. It remembers what it was asked."""

    def __init__(self) -> None:
        self.batteries = {status.name: status for status in (physical("b1"), unreachable("b2"), aggregate(), stub_of_garage())}
        self.revision = 7
        self.unconfirmed: list[str] = []
        self.asked: list[Any] = []
        self.metadata: dict[str, str] = {}
        self.refusal: errors.BosError | None = None
        self.beat_s = 0.05
        self.answer_after_s = 0.0

    async def _enter(self, request: Any, context: Any) -> None:
        self.asked.append(request)
        self.metadata = dict(context.invocation_metadata())
        if self.answer_after_s:
            await asyncio.sleep(self.answer_after_s)
        if self.refusal is not None:
            await abort(context, self.refusal)

    async def _named(self, name: str, context: Any) -> pb.BatteryStatus:
        if name not in self.batteries:
            await abort(context, errors.BadNameError(f"no battery {name}", name=name))
        return self.batteries[name]

    async def GetStatus(self, request: Any, context: Any) -> pb.BatteryStatus:  # noqa: N802
        await self._enter(request, context)
        return await self._named(request.name, context)

    async def ListStatuses(self, request: Any, context: Any) -> pb.ListStatusesResponse:  # noqa: N802
        await self._enter(request, context)
        names = list(request.names) or list(self.batteries)
        return pb.ListStatusesResponse(statuses=[await self._named(name, context) for name in names], node="home")

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[pb.WatchResponse]:  # noqa: N802
        await self._enter(request, context)
        names = list(request.names) or list(self.batteries)
        while True:
            statuses = [await self._named(name, context) for name in names]
            yield pb.WatchResponse(statuses=statuses, node="home", sent_at=time.time(), beat_s=self.beat_s)
            await asyncio.sleep(self.beat_s)

    async def SetCurrent(self, request: Any, context: Any) -> pb.SetCurrentResponse:  # noqa: N802
        await self._enter(request, context)
        await self._named(request.name, context)
        ttl_s = request.ttl_s if request.HasField("ttl_s") else 60.0
        leaves = [pb.LeafCommand(name="b1", old_current_a=0.0, new_current_a=request.current_a)]
        return pb.SetCurrentResponse(
            name=request.name,
            requested_current_a=request.current_a,
            applied_current_a=request.current_a,
            setpoint_ends_at=SAMPLED_UTC_S + ttl_s,
            ttl_s=ttl_s,
            leaves=leaves,
        )

    async def ClearCurrent(self, request: Any, context: Any) -> pb.SetCurrentResponse:  # noqa: N802
        await self._enter(request, context)
        return pb.SetCurrentResponse(name=request.name)

    async def Stop(self, request: Any, context: Any) -> pb.StopResponse:  # noqa: N802
        await self._enter(request, context)
        return pb.StopResponse(stopped=list(request.names) or list(self.batteries), unconfirmed=["b2"] if request.node else [])

    async def Release(self, request: Any, context: Any) -> pb.ReleaseResponse:  # noqa: N802
        await self._enter(request, context)
        return pb.ReleaseResponse(released=request.names)

    async def Refresh(self, request: Any, context: Any) -> pb.BatteryStatus:  # noqa: N802
        await self._enter(request, context)
        return await self._named(request.name, context)

    async def ModifyPseudo(self, request: Any, context: Any) -> pb.BatteryStatus:  # noqa: N802
        await self._enter(request, context)
        return await self._named(request.name, context)

    async def Get(self, request: Any, context: Any) -> tpb.Topology:  # noqa: N802
        await self._enter(request, context)
        entries = [
            tpb.TopologyEntry(name="b1", kind="jbd", users=["agg"]),
            tpb.TopologyEntry(name="b2", kind="jbd", users=["agg"]),
            tpb.TopologyEntry(name="agg", kind="aggregator", sources=["b1", "b2"]),
            tpb.TopologyEntry(name="garage-pack", kind="network"),
        ]
        return tpb.Topology(revision=self.revision, toml=TOML, entries=entries, node="home", changed_at=SAMPLED_UTC_S)

    async def Plan(self, request: Any, context: Any) -> tpb.ApplyTopologyResponse:  # noqa: N802
        await self._enter(request, context)
        change = tpb.TopologyChange(action=tpb.TopologyChange.ACTION_ADD, name="n", kind="null", detail="48 V")
        return tpb.ApplyTopologyResponse(revision=self.revision, changes=[change], warnings=["n is used by nothing"])

    async def Apply(self, request: Any, context: Any) -> tpb.ApplyTopologyResponse:  # noqa: N802
        answer = await self.Plan(request, context)
        expected = request.expected_revision if request.HasField("expected_revision") else self.revision
        if expected != self.revision:
            await abort(context, errors.StaleRevisionError("the topology has moved on", expected=expected, actual=self.revision))
        self.revision += 1
        answer.revision = self.revision
        answer.unconfirmed.extend(self.unconfirmed)
        return answer

    async def History(self, request: Any, context: Any) -> tpb.TopologyHistoryResponse:  # noqa: N802
        await self._enter(request, context)
        change = tpb.TopologyChange(action=tpb.TopologyChange.ACTION_REMOVE, name="old", kind="null")
        revision = tpb.TopologyRevision(
            revision=7, changed_at=SAMPLED_UTC_S, who="ann@desk", comment="spring cleaning", changes=[change]
        )
        return tpb.TopologyHistoryResponse(revisions=[revision])


async def serve(home: Home, address: str) -> tuple[grpc.aio.Server, int]:
    """Start a server; return it with its port."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    battery_pb2_grpc.add_BatteryServiceServicer_to_server(home, server)
    topology_pb2_grpc.add_TopologyServiceServicer_to_server(home, server)
    port = server.add_insecure_port(address)
    await server.start()
    return server, port


@contextmanager
def running(home: Home, address: str = "127.0.0.1:0") -> Iterator[str]:
    """Serve from a thread while the block runs; yield the address to dial."""
    started = threading.Event()
    port = 0
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def main() -> None:
        nonlocal port
        server, port = await serve(home, address)
        started.set()
        await ended.wait()
        await server.stop(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    if not started.wait(10.0):
        raise TimeoutError("the server did not start")
    try:
        yield address if address.startswith("unix:") else f"127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10.0)
        loop.close()


def main() -> None:
    """Serve until killed; print the port."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1:0")
    address = parser.parse_args().address

    async def forever() -> None:
        server, port = await serve(Home(), address)
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await server.wait_for_termination()

    asyncio.run(forever())


if __name__ == "__main__":
    main()
