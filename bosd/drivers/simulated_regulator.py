"""A regulator for simulated packs: sets the load current through the simulator's control socket (JSON lines)."""

import asyncio
import json
from typing import Any

from bosd.bal.spec import SimulatedRegulatorSpec
from bosd.drivers.kind import DriverContext, RegulatorKind
from bosd.drivers.regulator import BOTH_DIRECTIONS, Direction
from bosd.errors import DriverError, UnavailableError

_DEADLINE_S = 1.0
"""Longest time for connecting, and for one request with its answer."""
_LINE_LIMIT_BYTES = 65536


class SimulatedRegulator:
    """Follows set points by moving the simulated pack's load at the unix socket `path`; connects at the first request.

    A connection that is lost or falls silent is dropped and made again by the next request.
    """

    hold_s: float | None = None
    failsafe_time_s: float = 3 * _DEADLINE_S
    """Behind a request that is under way: 0 A, and reading it back."""
    directions: frozenset[Direction] = BOTH_DIRECTIONS
    restrained_by = ""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def set_current(self, current_a: float) -> None:
        """Set the load to `current_a` (positive discharges the pack)."""
        await self._ask({"op": "set", "load_current_a": current_a})

    async def read(self) -> float:
        """Return the load the simulator holds, in A."""
        return await self._get("load_current_a")

    async def measured_a(self) -> float | None:
        """Return the current that the simulator's switches let through, in A."""
        return await self._get("current_a")

    async def close(self) -> None:
        """Drop the connection."""
        self._drop()

    async def _get(self, key: str) -> float:
        reply = await self._ask({"op": "get"})
        state = reply.get("state")
        value = state.get(key) if isinstance(state, dict) else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise DriverError(f"{self.path}: the simulator's answer holds no {key}", port=self.path)
        return float(value)

    async def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        line = json.dumps(request).encode() + b"\n"
        async with self._lock:
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    answer = await self._exchange(line)
            except TimeoutError:
                self._drop()
                raise UnavailableError(f"{self.path}: no answer within {_DEADLINE_S:g} s", port=self.path) from None
            except (OSError, ValueError) as error:
                self._drop()
                cause = getattr(error, "strerror", None) or str(error)
                raise UnavailableError(f"{self.path}: {cause}".lower(), port=self.path) from error
            except BaseException:
                self._drop()  # a cancelled request's answer must not meet the next request
                raise
        return self._checked(answer)

    async def _exchange(self, line: bytes) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self.path, limit=_LINE_LIMIT_BYTES)
        reader, writer = self._streams
        writer.write(line)
        await writer.drain()
        answer = await reader.readline()
        if not answer.endswith(b"\n"):
            raise ConnectionResetError(104, "connection closed by the simulator")
        return answer

    def _checked(self, answer: bytes) -> dict[str, Any]:
        try:
            reply = json.loads(answer)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise DriverError(f"{self.path}: the answer is no JSON object", port=self.path)
        if reply.get("ok") is not True:
            raise DriverError(f"{self.path}: refused: {reply.get('error', 'no reason given')}", port=self.path)
        return reply

    def _drop(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()


def _make(spec: SimulatedRegulatorSpec, _context: DriverContext) -> SimulatedRegulator:
    return SimulatedRegulator(spec.port)


REGULATOR = RegulatorKind(spec=SimulatedRegulatorSpec, make=_make, bench="bosd.drivers.simulated_regulator_bench:BENCH")
