"""An LPC with everything around it: a book that only remembers, a memory in RAM, a clock, and a client of the mock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bosd.clock import Clock, SystemClock
from bosd.config.eebus import EebusConfig, read_eebus
from bosd.limits.lpc.client import Client
from bosd.limits.lpc.lpc import Lpc
from bosd.limits.lpc.port import Kept, Published
from bosd.limits.lpc.use_case import LPC, UseCase
from tests.support.eebus_mock import SKI, EebusMock

BASE: dict[str, object] = {
    "battery": "site",
    "vendor_code": "i:1",
    "device_brand": "brand",
    "device_model": "model",
    "serial_number": "s1",
    "manage_eebus_grpc_api_binary": False,
    "eebus_ems_ski": SKI,
}
"""What no default is there for (eebus.md 5: failsafe 4200 W and nominal 32000 W are defaults)."""


def config(**keys: object) -> EebusConfig:
    """Return a section with some keys of its own."""
    found, fault = read_eebus({"eebus": {**BASE, **keys}}, Path("/nowhere"), "test")
    assert found is not None, fault
    return found


class Book:
    """Remembers what it was told: the machine's limit, and the restored one."""

    def __init__(self) -> None:
        self.limit_w: float | None = None
        self.until_s: float | None = None
        self.restored: tuple[float, float] | None = None
        self.told: list[tuple[str, float | None]] = []

    def publish(self, limit_w: float | None, until_s: float | None, *, state: str, reason: str) -> None:
        self.limit_w, self.until_s = limit_w, until_s
        self.told.append((state, limit_w))

    def restore(self, limit_w: float, until_s: float, *, reason: str) -> None:
        self.restored = limit_w, until_s

    def end_restored(self, *, reason: str) -> None:
        self.restored = None

    @property
    def tightest_w(self) -> float | None:
        """What binds."""
        known = [each for each in (self.limit_w, self.restored and self.restored[0]) if each is not None]
        return min(known, default=None)


class Ram:
    """A memory that lives as long as the test."""

    def __init__(self, kept: Kept | None = None) -> None:
        self.kept = kept or Kept()
        self.history: dict[int, Published] = {}
        self.failing: Exception | None = None

    async def load(self) -> tuple[Kept, tuple[Published, ...]]:
        return self.kept, tuple(self.history[number] for number in sorted(self.history))

    async def save(self, kept: Kept, news: Sequence[Published]) -> None:
        if self.failing is not None:
            raise self.failing
        self.kept = kept
        for each in news:
            self.history.setdefault(each.number, each)


class HandClock:
    """Two time scales that a test moves."""

    def __init__(self, utc_s: float = 1_800_000_000.0) -> None:
        self.s = 1000.0
        self.offset_s = utc_s - self.s

    def now_s(self) -> float:
        return self.s

    def utc_s(self) -> float:
        return self.s + self.offset_s


def make(
    keys: Mapping[str, object] | None = None,
    *,
    clock: Clock | None = None,
    ram: Ram | None = None,
    doubt: Callable[[], str] = lambda: "",
    use_case: UseCase = LPC,
) -> tuple[Lpc, Book, Ram]:
    """Return a limitation that was not started yet, with its book and memory."""
    book, memory = Book(), ram or Ram()
    found = Lpc(config(**(keys or {})), clock or SystemClock(), memory, book, doubt=doubt, use_case=use_case)
    return found, book, memory


def listed(lpc: Lpc) -> list[tuple[str, float | None]]:
    """Return state and limit of everything published, oldest first."""
    return [(each.state, each.limit_w) for each in lpc.history.newest()]


@asynccontextmanager
async def running(lpc: Lpc, binary: Any = None) -> AsyncIterator[None]:
    """Run a limitation with its client while the block runs."""
    await lpc.start()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(lpc.run()), group.create_task(Client(lpc, binary).run())]
        if binary is not None:
            tasks.append(group.create_task(binary.run()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def until(is_so: Callable[[], bool], lpc: Lpc, within_s: float = 10.0) -> None:
    """Wait until something is so; looked at after each change of what is seen. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        async for _ in lpc.changes.watch():
            if is_so():
                return


@asynccontextmanager
async def connected(
    keys: Mapping[str, object] | None = None, *, mock: EebusMock | None = None, ram: Ram | None = None
) -> AsyncIterator[tuple[EebusMock, Lpc, Book]]:
    """Run a mock and a limitation that is connected to it."""
    service = mock or EebusMock()
    port = service.port or await service.start()
    lpc, book, _ = make({"grpc_port": port, "reconnect_delay_s": 0.2, **(keys or {})}, ram=ram)
    try:
        async with running(lpc):
            await until(lambda: lpc.connected, lpc)
            yield service, lpc, book
    finally:
        await service.kill()
