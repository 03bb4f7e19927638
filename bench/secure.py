"""What mutual TLS costs: the same node with it and without."""

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from bench.calls import Server
from bench.harness import Rounds, Row
from bench.processes import free_port, program
from bench.stream import rate
from bosd.pki.authority import Authority
from bosd.pki.bundle import Bundle
from bosd.pki.identity import ANY_NODE, Role
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

SAME = "the same node without it, and so without rights to look up, on the same core"
ONE = Row(name="GetStatus over mutual TLS, p50", goal=1.3, scale="us", reference=SAME)
RATE = Row(name="64 GetStatus in flight over mutual TLS, rate", goal=0.7, at_least=True, scale="/s", reference=SAME)
WATCH = Row(
    name="statuses over one Watch of 1000 changing batteries and mutual TLS",
    goal=0.8,
    at_least=True,
    scale="/s",
    reference=f"{SAME}; its client, on that core too, reads every field",
)
ROWS = (ONE, RATE, WATCH)
COUNT = 1000


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure both nodes in turn; a node has work to do while somebody watches it only."""
    calls, seconds = (100, 0.2) if quick else (300, 0.4)
    results = {row.name: Rounds() for row in ROWS}
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sides = []
        for kind in ("pseudo", "secured"):
            place = directory / kind
            place.mkdir()
            by = Authority.create(place / "ca", "bench", time.time())
            viewer = by.issue(Role.VIEWER, "bench", time.time())
            target = f"127.0.0.1:{free_port()}"
            node = program("-m", "bench.node", kind, target, str(COUNT), str(place), log=place / "node.log", until="listening")
            process = await stack.enter_async_context(node)
            channel = await stack.enter_async_context(_channel(target, viewer if kind == "secured" else None))
            stub: Any = BatteryServiceStub(channel)
            sides.append((Server(process.pid, _call(stub)), stub))
        reference, candidate = sides
        for number in range(rounds + 1):  # the first one warms up
            seen = {}
            for server, stub in (candidate, reference) if number % 2 else (reference, candidate):
                one_us, _ = await server.one_by_one(calls)
                seen[server] = one_us, await server.at_once(calls * 4), await rate(_watch(stub), seconds)
            if number:
                for row, with_it, without in zip(ROWS, seen[candidate[0]], seen[reference[0]], strict=True):
                    results[row.name].add(with_it, without)
    return {name: each for name, each in results.items() if name in wanted}


def _channel(target: str, bundle: Bundle | None) -> aio.Channel:
    if bundle is None:
        return aio.insecure_channel(target)
    credentials = grpc.ssl_channel_credentials(bundle.ca_pem, bundle.key_pem, bundle.certificate_pem)
    return aio.secure_channel(target, credentials, options=(("grpc.ssl_target_name_override", ANY_NODE),))


def _call(stub: Any) -> Any:  # noqa: ANN401 (grpc's)
    request = pb.GetStatusRequest(name="b0")
    return lambda: stub.GetStatus(request, wait_for_ready=True)


def _watch(stub: Any) -> Any:  # noqa: ANN401 (grpc's)
    return lambda: stub.Watch(pb.WatchRequest())
