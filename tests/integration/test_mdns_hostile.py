"""What anybody may send by multicast, or a network that goes, does not end the discovery of a node (real packets, loopback)."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from zeroconf import DNSOutgoing, DNSPointer, const  # type: ignore[attr-defined]

from bosd.fleet import mdns
from bosd.fleet.announcement import SERVICE_TYPE, Announcement
from bosd.fleet.mdns import Mdns

GROUP = ("224.0.0.251", 5353)
HERE = "127.0.0.1"
FOUND_S = 15.0
NOT_OURS = ("x._other._udp.local.", "_bosd._tcp.local.", f"not-a-serial.{SERVICE_TYPE}", "local.")
OTHER = Announcement(serial="SN7", system="0a1b2c3d", role="sat", protocol="1", boot="deadbeef", version="1.0.0", batteries=1)


@contextlib.asynccontextmanager
async def _living(*every: Mdns) -> AsyncIterator[list[asyncio.Task[None]]]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.run()) for each in every]
        yield tasks
        for task in tasks:
            task.cancel()


def _send(*pointed_at: str) -> None:
    """Tell the group that there are nodes of these names."""
    out = DNSOutgoing(const._FLAGS_QR_RESPONSE | const._FLAGS_AA)
    for name in pointed_at:
        out.add_answer_at_time(DNSPointer(SERVICE_TYPE, const._TYPE_PTR, const._CLASS_IN, 4500, name), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HERE))
        for packet in out.packets():
            sender.sendto(packet, GROUP)


def _announcing(monkeypatch: pytest.MonkeyPatch, serial: str) -> Mdns:
    monkeypatch.setattr(mdns, "_is_usable", lambda _ip: True)  # loopback is never announced
    return Mdns(listen=lambda: (f"{HERE}:7000",), announcement=lambda: replace(OTHER, serial=serial), own=lambda: (HERE,))


async def _finds(node: Mdns, serial: str) -> None:
    async with asyncio.timeout(FOUND_S):
        while serial not in node.found:
            await node.changed.wait()
            node.changed.clear()


async def test_pointers_to_something_else_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are no node's are heard, and a node that comes afterwards is found."""
    heard: list[str] = []
    node, asked = Mdns(own=lambda: (HERE,)), asyncio.Event()
    take = node._heard

    def hear(zeroconf: object, service_type: str, name: str, state_change: object) -> None:
        heard.append(name)
        asked.set()
        take(zeroconf, service_type, name, state_change)  # type: ignore[arg-type]

    monkeypatch.setattr(node, "_heard", hear)
    async with _living(node) as (living,):
        async with asyncio.timeout(FOUND_S):
            while not asked.is_set():
                _send(*NOT_OURS)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asked.wait(), 0.5)
        async with _living(_announcing(monkeypatch, "SN7")):
            await _finds(node, "SN7")
        assert not living.done()
    assert "x._other._udp.local." in heard


async def test_a_network_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system refuses meanwhile is told once; when it works again, nodes are found."""
    monkeypatch.setattr(mdns, "LOOK_S", 0.1)
    failing = iter([False, True, True, False, False, True])  # before it is opened, and while it is

    def own() -> tuple[str, ...]:
        if next(failing, False):
            raise OSError(101, "Network is unreachable")
        return (HERE,)

    node = Mdns(own=own)
    async with _living(node, _announcing(monkeypatch, "SN8")):
        await _finds(node, "SN8")
