"""Spoiled replies of a JBD board, and an oracle that knows which of them no checksum can tell from true ones."""

import random
from collections import Counter
from collections.abc import Callable, Container
from typing import Any

from bosd.bal.device import Device, Sample
from bosd.errors import DriverError, UnavailableError
from tests.support.jbd_frames import basic_payload, cells_payload, reply

KINDS = ("true", "cut", "flip", "bytes", "garbage", "other register", "late", "refusal", "twice", "cancelling", "swap", "nothing")


_CLEAN_INPUTS = 4
"""The first readings are not spoiled: with nothing before them, only the checksum can judge them."""


class FuzzedBoard:
    """A board whose state wanders and whose replies are spoiled, each by one kind; `inputs` counts them.

    `passable` counts the spoiled replies that hold a frame with the right register, status 0, a true length, end and checksum,
    and another payload: only what a pack can do tells those from true ones. None is sent twice: that nothing could tell.
    """

    def __init__(self, seed: int, spoiled_share: float = 0.75) -> None:
        self.rng = random.Random(seed)
        self.inputs: Counter[str] = Counter()
        self.passable = 0
        self.spoiled_share = spoiled_share
        self.current_10ma, self.remaining_10mah, self.millivolts = 0, 5000, [3300, 3301, 3302, 3303]
        self._late: list[bytes] = []
        self._passed: dict[int, bytes] = {}

    def wander(self) -> None:
        """Let the pack change as packs do within a second."""
        rng = self.rng
        self.current_10ma = max(-9000, min(9000, self.current_10ma + rng.randint(-300, 300)))
        self.remaining_10mah = max(1000, min(9000, self.remaining_10mah + rng.randint(-2, 2)))
        self.millivolts = [max(3000, min(3500, each + rng.randint(-5, 5))) for each in self.millivolts]

    @property
    def basic(self) -> dict[str, Any]:
        """The state as `basic_payload` takes it."""
        return {
            "current_10ma": self.current_10ma,
            "remaining_10mah": self.remaining_10mah,
            "soc": self.remaining_10mah // 100,
            "voltage_10mv": sum(self.millivolts) // 10,
        }

    def respond(self, request: bytes) -> bytes:
        """Answer one request with one input."""
        register = request[2]
        truth = self._truth(register)
        spoils = self.inputs.total() >= _CLEAN_INPUTS and self.rng.random() < self.spoiled_share
        kind = self.rng.choice(KINDS) if spoils else "true"
        self.inputs[kind] += 1
        sent = self._spoiled(kind, register, truth)
        self._late = [*self._late[-3:], truth]
        if any(frame != truth for frame in frames_in(sent, register)):
            if sent == self._passed.get(register):
                return truth
            self._passed[register] = sent
            self.passable += 1
        return sent

    def _truth(self, register: int) -> bytes:
        if register == 0x03:
            return reply(3, basic_payload(**self.basic))
        if register == 0x04:
            return reply(4, cells_payload(*self.millivolts))
        return reply(register, status=0x80)

    def _spoiled(self, kind: str, register: int, truth: bytes) -> bytes:
        rng = self.rng
        if kind in _IN_PLACE:
            data = bytearray(truth)
            _IN_PLACE[kind](data, rng)
            return bytes(data)
        then = truth if rng.random() < 0.3 else b""
        made: dict[str, Callable[[], bytes]] = {
            "true": lambda: truth,
            "cut": lambda: truth[: rng.randrange(len(truth))],
            "garbage": lambda: rng.randbytes(rng.randrange(80)) + then,
            "other register": lambda: self._truth(rng.choice((3, 4, 5, 0x24))) + then,
            "late": lambda: rng.choice(self._late or [truth]),
            "refusal": lambda: reply(register, status=rng.choice((0x80, 0x81, 0x82, 0x83))),
            "twice": lambda: truth + truth,
            "nothing": lambda: b"",
        }
        return made[kind]()


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 3))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)


def _two(data: bytearray, rng: random.Random) -> tuple[int, int]:
    """Return two places in the payload, the same where it has not two."""
    return tuple(rng.sample(range(4, len(data) - 3), 2)) if len(data) > 9 else (0, 0)  # type: ignore[return-value]


def _cancel(data: bytearray, rng: random.Random) -> None:
    one, other = _two(data, rng)
    step = rng.randint(1, 255)
    if one != other and data[one] + step < 256 and data[other] - step >= 0:
        data[one] += step
        data[other] -= step


def _swap(data: bytearray, rng: random.Random) -> None:
    one, other = _two(data, rng)
    data[one], data[other] = data[other], data[one]


_IN_PLACE: dict[str, Callable[[bytearray, random.Random], None]] = {
    "flip": _flip,
    "bytes": _bytes,
    "cancelling": _cancel,
    "swap": _swap,
}


def frames_in(stream: bytes, register: int) -> list[bytes]:
    """Return every frame in `stream` that is a reply of `register`, judged by the protocol's words alone."""
    found = []
    for at in range(len(stream) - 6):
        if stream[at] == 0xDD and stream[at + 1] == register and stream[at + 2] == 0:
            end = at + stream[at + 3] + 7
            frame = stream[at:end]
            if len(frame) == stream[at + 3] + 7 and frame[-1] == 0x77:
                total = sum(frame[2:-3])
                if (65536 - total) % 65536 == int.from_bytes(frame[-3:-1], "big"):
                    found.append(frame)
    return found


def is_true(sample: Sample, board: FuzzedBoard, seen_cells: Container[tuple[float, ...]]) -> bool:
    """Whether a sample shows exactly what the board has, its cells what it has or had."""
    return (
        sample.current_a == 0.0 - board.current_10ma / 100
        and sample.charge_ah == board.remaining_10mah / 100
        and sample.soc == (board.remaining_10mah // 100) / 100
        and sample.voltage_v == (sum(board.millivolts) // 10) / 100
        and sample.temperatures_c == (25.0, 25.0)
        and (sample.cells_v is None or sample.cells_v in seen_cells)
    )


def is_near(sample: Sample, board: FuzzedBoard) -> bool:
    """Whether a sample could be this pack's: what gets past the plausibility of two readings in a row, at the most.

    State of charge and charge lie within 2 % and 2 Ah of the reading before, and twice what the largest current of a word moves
    in the minute that may lie between (327 A: 5.5 Ah); two spoiled ones may follow each other. Voltage is held by the cells' sum.
    """
    truth_v = sum(board.millivolts) / 1000
    return (
        (sample.soc is None or abs(sample.soc - board.remaining_10mah / 10000) <= 0.2)
        and (sample.charge_ah is None or abs(sample.charge_ah - board.remaining_10mah / 100) <= 20.0)
        and (sample.voltage_v is None or abs(sample.voltage_v - truth_v) <= 0.25 * truth_v)
        and (sample.cells_v is None or len(sample.cells_v) == 4)
    )


_CELLS_KEPT = 1000


class Judge:
    """Polls a driver of a fuzzed board and judges each sample: true, or past the checksum and what the pack could have."""

    def __init__(self, board: FuzzedBoard, driver: Device) -> None:
        self.results: Counter[str] = Counter()
        self._board = board
        self._driver = driver
        self._cells: dict[tuple[float, ...], None] = {}
        self._tainted = False

    async def poll(self) -> None:
        """Let the pack wander and read it once."""
        board = self._board
        board.wander()
        self._cells[tuple(each / 1000 for each in board.millivolts)] = None
        if len(self._cells) > _CELLS_KEPT:
            del self._cells[next(iter(self._cells))]
        before = board.passable
        try:
            sample = await self._driver.read()
        except (DriverError, UnavailableError) as error:
            self.results[type(error).__name__] += 1
            self._tainted = self._tainted or board.passable > before
            return
        if is_true(sample, board, self._cells):
            self._tainted = False
            self.results["true"] += 1
            return
        self._tainted = self._tainted or board.passable > before
        assert self._tainted, f"{sample} of {board.basic}, {board.millivolts}"
        assert is_near(sample, board), f"{sample} of {board.basic}, {board.millivolts}"
        self.results["passed the checksum"] += 1


def check_shares(results: Counter[str]) -> None:
    """Raise unless a third of all polls give true samples and few give one that only passed the checksum."""
    assert results["true"] > 0.3 * results.total(), results
    assert results["passed the checksum"] < 0.15 * results.total(), results
