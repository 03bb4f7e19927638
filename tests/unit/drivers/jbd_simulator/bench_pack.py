"""A pack and its board without a line, and requests spelled out from the protocol."""

from bosd.drivers.jbd.simulator.faults import Injector
from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.plant import Plant
from bosd.drivers.jbd.simulator.protocol import Board
from bosd.drivers.jbd.simulator.station import Station

BASIC, CELLS = bytes.fromhex("dda50300fffd77"), bytes.fromhex("dda50400fffc77")
BYTE_S = 10 / 9600


def read(register: int, payload: bytes = b"") -> bytes:
    """Return a read request."""
    return _request(0xA5, register, payload)


def write(register: int, payload_hex: str) -> bytes:
    """Return a write request."""
    return _request(0x5A, register, bytes.fromhex(payload_hex))


def _request(opcode: int, register: int, payload: bytes) -> bytes:
    covered = bytes((register, len(payload))) + payload
    return bytes((0xDD, opcode)) + covered + ((0x10000 - sum(covered)) % 0x10000).to_bytes(2, "big") + b"\x77"


class Bench:
    """One station on an injected clock, never asleep unless told.

    `ask` sends a request at `now_s` and moves the clock to the reply's end.
    """

    def __init__(self, **options: object) -> None:
        self.options = SimulatorOptions(**{"capacity_spread": 0.0, "sleep_after_s": None, **options})  # type: ignore[arg-type]
        self.plant = Plant(self.options)
        self.board = Board(self.options, self.plant)
        self.noted: list[dict[str, object]] = []
        self.injector = Injector(self.options.rng("faults"), self.noted.append)
        self.station = Station(self.options, self.board, self.injector, self.options.rng("turnaround"))
        self.now_s = 1000.0
        self.plant.update(self.now_s)
        self.station.set_asleep(False, self.now_s)

    def ask(self, request: bytes, after_s: float = 0.05) -> bytes:
        """Return all that comes back."""
        self.now_s += after_s
        replies = self.station.receive(request, self.now_s)
        self.now_s = max([self.now_s + len(request) * BYTE_S, *(reply.ends_s for reply in replies)])
        return b"".join(reply.data for reply in replies)

    def basic(self) -> bytes:
        """Return the payload of basic information."""
        reply = self.ask(BASIC)
        assert reply[:3] == bytes.fromhex("dd0300")
        return reply[4:-3]
