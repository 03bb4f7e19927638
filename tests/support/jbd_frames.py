"""JBD frames for tests, built from the protocol's own words, and the captures where they are at hand."""

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from bosd.drivers.line import Line

CAPTURES = Path(__file__).parents[3] / "shared" / "data" / "jbd" / "frames.json"
READ_BASIC = bytes.fromhex("dda50300fffd77")
READ_CELLS = bytes.fromhex("dda50400fffc77")


def load_captures(*kinds: str) -> list[dict[str, Any]]:
    """Return the recorded frames of `kinds` (all of them without any), or none where the file is missing."""
    if not CAPTURES.exists():
        return []
    frames: list[dict[str, Any]] = json.loads(CAPTURES.read_text())
    return [frame for frame in frames if not kinds or frame["kind"] in kinds]


def need_captures() -> None:
    """Skip the calling test where the recorded frames are missing."""
    if not CAPTURES.exists():
        pytest.skip(f"no captures at {CAPTURES}")


def reply(register: int, payload: bytes = b"", status: int = 0) -> bytes:
    """Build a reply: the checksum is (65536 - sum of status, length and payload) mod 65536."""
    body = bytes((status, len(payload))) + payload
    return bytes((0xDD, register)) + body + ((65536 - sum(body)) % 65536).to_bytes(2, "big") + b"\x77"


def basic_payload(
    *,
    voltage_10mv: int = 1320,
    current_10ma: int = 0,
    remaining_10mah: int = 5000,
    capacity_10mah: int = 10000,
    protection: int = 0,
    soc: int = 50,
    fets: int = 3,
    cells: int = 4,
    temperatures: tuple[int, ...] = (2981, 2981),
    tail: bytes = b"",
) -> bytes:
    """Build the payload of register 0x03 in the board's own units; 2981 tenths of a kelvin are 25.0 degC."""
    head = struct.pack(">HhHHHHHHH", voltage_10mv, current_10ma, remaining_10mah, capacity_10mah, 7, 0x2C7C, 0, 0, protection)
    words = struct.pack(f">{len(temperatures)}H", *temperatures)
    return head + bytes((0x20, soc, fets, cells, len(temperatures))) + words + tail


def cells_payload(*millivolts: int) -> bytes:
    """Build the payload of register 0x04."""
    return struct.pack(f">{len(millivolts)}H", *millivolts)


async def until_lost(line: Line) -> None:
    """Wait, five seconds at most, until `line` has noticed a loss."""
    async with asyncio.timeout(5):
        while not line.counters["losses"]:  # noqa: ASYNC110  the counter is what the test waits for
            await asyncio.sleep(0.01)


class FakeBoard:
    """A board that answers at once: what its registers hold is what the test says; `requests` keeps what it was asked."""

    def __init__(self, *millivolts: int, **basic: Any) -> None:
        self.basic = basic
        self.millivolts = millivolts or (3300, 3300, 3300, 3300)
        self.requests: list[bytes] = []
        self.obeys = True
        self.deaf: set[int] = set()
        self.answers: dict[int, bytes] = {}

    @property
    def writes(self) -> list[int]:
        """The FET commands seen, second payload byte each."""
        return [request[5] for request in self.requests if request[1] == 0x5A]

    def respond(self, request: bytes) -> bytes:
        """Answer one request."""
        self.requests.append(request)
        register = request[2]
        if register in self.deaf:
            return b""
        if register in self.answers:
            return self.answers[register]
        if register == 0x03:
            return reply(3, basic_payload(**self.basic))
        if register == 0x04:
            return reply(4, cells_payload(*self.millivolts))
        if register == 0xE1 and self.obeys:
            self.basic["fets"] = 3 & ~request[5]
        return reply(register) if register == 0xE1 else reply(register, status=0x80)
