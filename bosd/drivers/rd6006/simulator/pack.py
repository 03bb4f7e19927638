"""The wires between a simulated supply and a simulated pack: current one way, voltage the other, by the pack's control socket."""

import asyncio
import json
from pathlib import Path
from typing import Any

from bosd.drivers.rd6006.simulator.plant import Plant

LOOK_S = 0.1
DEADLINE_S = 1.0
_LINE_LIMIT_BYTES = 65536
_BLOCKED_BELOW = 0.5
"""A pack through which less than this part of the current flows does not take it."""


class PackWire:
    """Keeps a pack's load at what `plant` gives, and `plant` at the pack's voltage; a pack that is away takes nothing."""

    def __init__(self, path: Path, plant: Plant) -> None:
        self._path = path
        self._plant = plant
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._moved = asyncio.Event()

    def moved(self) -> None:
        """Pass on a change of the output at once."""
        self._moved.set()

    async def run(self) -> None:
        """Exchange for ever."""
        while True:
            try:
                async with asyncio.timeout(DEADLINE_S):
                    await self._exchange()
            except (OSError, ValueError, TimeoutError):
                self.close()
                self._plant.accepts = False
                self._plant.update()
            self._moved.clear()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._moved.wait()
            except TimeoutError:
                pass

    def close(self) -> None:
        """Drop the connection."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()

    async def _exchange(self) -> None:
        plant = self._plant
        asked_a = plant.current_a
        await self._ask({"op": "set", "load_current_a": 0.0 - asked_a})
        state = (await self._ask({"op": "get"}))["state"]
        taken_a = 0.0 - float(state["current_a"])
        plant.battery_voltage_v = float(state["voltage_v"]) - taken_a * plant.resistance_ohm
        plant.accepts = bool(state["charge_fet"]) and (asked_a == 0.0 or taken_a >= _BLOCKED_BELOW * asked_a)
        plant.update()

    async def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(str(self._path), limit=_LINE_LIMIT_BYTES)
        reader, writer = self._streams
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        answer = await reader.readline()
        reply: dict[str, Any] = json.loads(answer or b"{}")
        if reply.get("ok") is not True:
            raise ValueError(f"{self._path}: {reply.get('error', 'no answer')}")
        return reply
