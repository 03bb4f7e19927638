"""A node for measurements: the real Node and RpcServer, with batteries that no configuration can give.

`python -m bench.node pseudo ADDRESS N DIR`: N pseudo batteries that all change whenever a watcher could hear of it.
`python -m bench.node secured ADDRESS N DIR`: the same behind mutual TLS, with certificates of the authority in DIR/ca.
`python -m bench.node owners ADDRESS,ADDRESS,... DIR`: nodes with one pseudo battery each, in one process.
`python -m bench.node jbd ADDRESS N DIR`: N JBD packs at 1 Hz on lines in memory: each poll is two requests, two frames decoded.
"""

import asyncio
import struct
import sys
import time
from pathlib import Path
from unittest import mock

import uvloop

from bosd import log
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.spec import BatterySpec, JbdSpec, PseudoSpec, Topology
from bosd.clock import SystemClock
from bosd.config.security import SecurityConfig
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.kind import DriverContext
from bosd.drivers.line import Line
from bosd.drivers.transport import MemoryTransport
from bosd.fleet.owner import OwnerSessions
from bosd.node.node import Node
from bosd.pki.authority import Authority
from bosd.pki.identity import Role
from bosd.rpc.client import RemotePool
from bosd.rpc.guard import Guard
from bosd.rpc.remote_battery import RemoteBattery
from bosd.rpc.rights import Rights
from bosd.rpc.server import RpcServer
from bosd.rpc.tls import Keyring
from bosd.store.store import Store

CHANGING = ("pseudo", "secured")


class Pack:
    """A JBD board in memory: voltage and current wander from poll to poll (JBD protocol V4, registers 03 and 04)."""

    def __init__(self, number: int) -> None:
        self._step = number

    def respond(self, request: bytes) -> bytes:
        """Return the reply to a read of register 03 or 04."""
        self._step += 1
        if request[2] == 0x03:
            current_10ma = self._step % 200 - 100
            payload = struct.pack(">HhHHHHHHH", 1320 + self._step % 20, current_10ma, 5000, 10000, 7, 0x2C7C, 0, 0, 0)
            payload += bytes((0x20, 50, 3, 4, 2)) + struct.pack(">HH", 2981, 2991)
        else:
            payload = struct.pack(">4H", *(3300 + (self._step + cell) % 20 for cell in range(4)))
        body = bytes((0, len(payload))) + payload
        return bytes((0xDD, request[2])) + body + (0x10000 - sum(body) & 0xFFFF).to_bytes(2, "big") + b"\x77"


def make_device(spec: JbdSpec, context: DriverContext) -> JbdDriver:
    """Return the real driver on a line whose other end is a `Pack`."""
    return JbdDriver(Line(MemoryTransport(Pack(int(spec.name[1:])).respond)), context.clock, name=spec.name)


def spec_of(kind: str, number: int) -> BatterySpec:
    """Return battery number `number`."""
    name = f"b{number}"
    if kind == "jbd":
        return JbdSpec(name=name, port=f"/dev/none{number}", max_discharge_current_a=50.0, max_charge_current_a=25.0)
    return PseudoSpec(
        name=name,
        voltage_v=48.0 + number % 8 * 0.1,
        charge_ah=40.0 + number % 20,
        capacity_ah=100.0,
        max_discharge_current_a=50.0,
        max_charge_current_a=25.0,
    )


async def change_all(node: Node) -> None:
    """Let every battery report another voltage, again as soon as the last change was read."""
    batteries = [battery for battery in node.directory if isinstance(battery, PseudoBattery)]
    last, step = batteries[-1], 0
    while True:
        if not last.listeners:
            await asyncio.sleep(0.01)
            continue
        step += 1
        now_s = node.clock.now_s()
        values = {"voltage_v": 48.0 + step % 100 * 0.01}
        for battery in batteries:
            battery.modify(values, now_s)
        while last.listeners and last._valid_until_s < now_s:  # noqa: ASYNC110, SLF001 (nothing else tells of a read)
            await asyncio.sleep(0.0)


def _security(node: Node, directory: Path) -> Guard:
    """Return what stands before every call, with certificates of the authority in `directory`/ca."""
    places = Authority(directory / "ca").issue(Role.NODE, node.name, time.time()).install(directory / "tls")
    config = SecurityConfig(ca=places.ca, certificate=places.certificate, key=places.key)
    return Guard(node, Keyring(config, node.name), Rights({}))


async def start(kind: str, address: str, batteries: Topology, directory: Path, *, secured: bool = False) -> Node:
    """Serve a node with these batteries at `address`; its tasks are the caller's to start."""
    clock = SystemClock()
    store = await Store.open(directory)
    pool = RemotePool("bench", clock)
    node = Node(
        name=kind,
        clock=clock,
        store=store,
        make_remote=lambda spec: RemoteBattery(spec, pool),
        default_ttl_s=60.0,
        longest_ttl_s=3600.0,
    )
    with mock.patch("bosd.node.node.make_device", make_device):
        await node.load(batteries)
    sessions = OwnerSessions(clock, node.peer_commands, boot_id=node.faults.boot_id, config_digest=node.config_digest)
    server = RpcServer(node, print, sessions=sessions, security=_security(node, directory) if secured else None)
    await server.start([address])
    SERVERS.append(server)
    return node


SERVERS: list[RpcServer] = []
"""Kept: a server that nobody holds stops."""


async def serve(kind: str, address: str, count: str, directory: str) -> None:
    """Serve until the process is ended."""
    batteries = Topology(batteries=tuple(spec_of(kind, number) for number in range(int(count))))
    node = await start("bench", address, batteries, Path(directory), secured=kind == "secured")
    async with asyncio.TaskGroup() as group:
        node.start(group)
        if kind in CHANGING:
            group.create_task(change_all(node))
        sys.stdout.write(f"listening on {address}\n")
        sys.stdout.flush()


async def serve_owners(addresses: str, directory: str) -> None:
    """Serve a node of one pseudo battery at each address until the process is ended."""
    async with asyncio.TaskGroup() as group:
        for number, address in enumerate(addresses.split(",")):
            place = Path(directory) / f"o{number}"
            place.mkdir()
            node = await start(f"o{number}", address, Topology(batteries=(spec_of("owners", 0),)), place)
            node.start(group)
        sys.stdout.write("listening\n")
        sys.stdout.flush()


if __name__ == "__main__":
    log.configure(json=True, level="info")
    _, mode, *rest = sys.argv
    uvloop.run(serve_owners(*rest) if mode == "owners" else serve(mode, *rest))
