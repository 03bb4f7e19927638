"""What is asked on which port in which order, and what becomes of ports of every kind."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from bosd.detect.hunt import Hunt, Outcome, Target, questions
from bosd.drivers.jbd.probe import PROBE
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.line import Line
from bosd.drivers.probe import Found, Probe, load_probes
from bosd.drivers.rd6006.simulator import Rd6006Simulator
from bosd.drivers.rd6006.simulator import SimulatorOptions as SupplyOptions
from bosd.drivers.transport import ByteReceiver, ByteTransport, MemoryTransport, open_transport
from bosd.errors import UnavailableError
from tests.support.jbd_frames import FakeBoard, reply


async def _never(line: Line) -> Found | None:
    raise AssertionError(line.port)


OTHER = Probe(kind="supply", ask=_never, bauds=(115200,), role="regulator")


class Watcher:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.ended_ports: list[str] = []

    def began(self, target: Target, steps: int) -> None:
        assert steps > 0

    def asks(self, target: Target, kind: str, baud: int) -> None:
        self.asked.append((target.port, kind, baud))

    def ended(self, outcome: Outcome) -> None:
        self.ended_ports.append(outcome.target.port)


class Shut:
    """A transport that does not open, for the cause given."""

    def __init__(self, port: str, cause: str) -> None:
        self.port, self.reply_s, self.gap_s, self.byte_s, self.reopen_on_silence = port, 0.3, 0.15, 0.0011, False
        self._cause = cause

    async def open(self, receiver: ByteReceiver) -> None:
        raise UnavailableError(f"{self.port}: permission denied", port=self.port, cause=self._cause)

    def write(self, data: bytes) -> None:
        raise AssertionError(data)

    def discard_input(self) -> None:
        pass

    def close(self) -> None:
        pass


async def hunted(*ports: str, opening: "dict[str, ByteTransport]", probes: tuple[Probe, ...] = (PROBE,)) -> tuple[Hunt, Watcher]:
    """Return a hunt over `ports`, done."""
    watcher = Watcher()
    hunt = Hunt(probes, watcher, lambda port, _baud: opening[port])
    await hunt.ask_all([Target(port=port, address=port) for port in ports])
    return hunt, watcher


def test_order() -> None:
    """Each kind at its likeliest speed, then JBD at the others; Bluetooth modules are asked once, by kinds that have them."""
    assert [(probe.kind, baud) for probe, baud in questions((PROBE, OTHER), bluetooth=False)] == [
        ("jbd", 9600),
        ("supply", 115200),
        ("jbd", 19200),
        ("jbd", 38400),
        ("jbd", 57600),
        ("jbd", 115200),
    ]
    assert [(probe.kind, baud) for probe, baud in questions((PROBE, OTHER), bluetooth=True)] == [("jbd", 9600)]


def test_every_driver_brings_its_own() -> None:
    """The probes come from the drivers: JBD's is there, each once."""
    kinds = [probe.kind for probe in load_probes()]
    assert "jbd" in kinds
    assert len(set(kinds)) == len(kinds)


@pytest.mark.jumping
async def test_only_reads() -> None:
    """A board is asked for three registers and told nothing."""
    board = FakeBoard(3300, 3301, 3302, 3303)
    board.answers[5] = reply(5, b"JBD-SP04S034")
    hunt, watcher = await hunted("m", opening={"m": MemoryTransport(board.respond)})
    (outcome,) = hunt.outcomes
    assert (outcome.state, outcome.kind, outcome.baud) == ("found", "jbd", 9600)
    assert outcome.found == Found(model="JBD-SP04S034", cells=4, voltage_v=13.2)
    assert [request[1:3] for request in board.requests] == [b"\xa5\x03", b"\xa5\x05", b"\xa5\x04"]
    assert watcher.asked == [("m", "jbd", 9600)]


@pytest.mark.jumping
async def test_a_board_that_refuses_its_name() -> None:
    """Some firmware has no name (complaint 5): it is a board all the same; so is one whose cells are silent."""
    board = FakeBoard()
    hunt, _ = await hunted("m", opening={"m": MemoryTransport(board.respond)})
    assert hunt.outcomes[0].found == Found(model="", cells=4, voltage_v=13.2)
    board.deaf.add(4)
    hunt, _ = await hunted("m", opening={"m": MemoryTransport(board.respond)})
    assert hunt.outcomes[0].found == Found(model="", cells=4, voltage_v=13.2)


@pytest.mark.jumping
async def test_silence_and_nonsense() -> None:
    """A port on which nothing answers is silent after every speed; one that says something else is named as that."""
    opening: dict[str, ByteTransport] = {
        "silent": MemoryTransport(lambda _request: b""),
        "gps": MemoryTransport(lambda _request: b"$GPGGA,123519,4807.038,N*47\r\n"),
        "refuses": MemoryTransport(lambda request: reply(request[2], status=0x80)),
    }
    hunt, watcher = await hunted(*opening, opening=opening)
    states = {outcome.target.port: outcome.state for outcome in hunt.outcomes}
    assert states == {"silent": "silent", "gps": "not understood", "refuses": "silent"}
    assert [baud for port, _, baud in watcher.asked if port == "silent"] == [9600, 19200, 38400, 57600, 115200]
    assert sorted(watcher.ended_ports) == sorted(opening)


@pytest.mark.jumping
async def test_ports_that_do_not_open() -> None:
    """What keeps a port shut is its state, found at the first question."""
    opening = {cause: Shut(cause, cause) for cause in ("EBUSY", "EACCES", "ENOENT")}
    hunt, watcher = await hunted(*opening, opening=dict(opening))
    states = {outcome.target.port: outcome.state for outcome in hunt.outcomes}
    assert states == {"EBUSY": "in use", "EACCES": "not permitted", "ENOENT": "not reached"}
    assert len(watcher.asked) == 3


async def test_malformed() -> None:
    """A port that is none is an outcome with what would be right."""
    hunt = Hunt((PROBE,), Watcher(), open_transport)
    await hunt.ask_all([Target(port="tcp://gw", address="tcp://gw"), Target(port="can://can0", address="can://can0")])
    assert sorted(outcome.detail for outcome in hunt.outcomes) == [
        "can://can0: no transport for can://",
        "tcp://gw: expected tcp://host:port",
    ]


@pytest.mark.jumping
async def test_a_sleeping_board_is_found() -> None:
    """A board that sleeps swallows the first request; the second attempt finds it, at the first speed."""
    async with AsyncExitStack() as stack:
        board = await stack.enter_async_context(JbdSimulator(SimulatorOptions(series=7)))
        await asyncio.sleep(31)
        heard: list[ByteReceiver] = []

        class Wire(MemoryTransport):
            async def open(self, receiver: ByteReceiver) -> None:
                heard[:] = [receiver]
                await super().open(receiver)

            def write(self, data: bytes) -> None:
                board.memory.write(data)

        def passed_on(data: bytes) -> None:
            heard[0].data_received(data)

        board.memory.on_bytes = passed_on
        hunt, watcher = await hunted("m", opening={"m": Wire(lambda _request: b"")})
        assert hunt.outcomes[0].found.cells == 7
        assert len(watcher.asked) == 1


@pytest.mark.jumping
async def test_a_supply_is_found() -> None:
    """A Riden supply, silent to JBD requests, names its model and what it gives at most; nothing is written to it."""
    async with Rd6006Simulator(SupplyOptions()) as simulator:
        opening: dict[str, ByteTransport] = {"p": simulator.memory.transport("p")}
        hunt, _ = await hunted("p", opening=opening, probes=load_probes())
        assert simulator.stats()["writes"] == 0
    (outcome,) = hunt.outcomes
    assert (outcome.state, outcome.kind, outcome.role) == ("found", "rd6006", "regulator")
    assert (outcome.baud, outcome.found.model) == (115200, "RD6006")
    assert outcome.found.keys["max_current_a"] == 6.0
