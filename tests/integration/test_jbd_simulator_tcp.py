"""The simulated pack behind a TCP port, with the driver's own transport and with bare sockets."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bosd.drivers.far_end.tcp_line import TcpLine
from bosd.drivers.jbd.board import Board
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.line import Line
from bosd.drivers.transport import open_transport
from bosd.errors import InvalidArgumentError, UnavailableError
from tests.support.forked import run_process
from tests.support.jbd_frames import READ_BASIC, READ_CELLS, until_lost
from tests.support.processes import REPOSITORY


@asynccontextmanager
async def bridge() -> AsyncIterator[tuple[JbdSimulator, int]]:
    """Give a fast pack and the port it listens at."""
    options = SimulatorOptions(tcp="127.0.0.1:0", baud=1_000_000, turnaround_ms=(0.0, 0.0))
    async with JbdSimulator(options) as simulator, asyncio.timeout(20.0):
        assert isinstance(simulator.line, TcpLine)
        yield simulator, simulator.line.port


def board_at(port: int) -> tuple[Line, Board]:
    """Return a driver's line to the bridge and a board on it."""
    line = Line(open_transport(f"tcp://127.0.0.1:{port}"))
    line.share()
    return line, Board(line)


async def test_the_driver_reads_through_it() -> None:
    """Ten times, on one connection."""
    async with bridge() as (simulator, port):
        line, board = board_at(port)
        for _ in range(10):
            assert (await board.read_basic()).cell_count == 4
            assert len(await board.read_cells()) == 4
        line.close()
        assert simulator.stats()["replies"] == 20
        assert line.counters["opens"] == 1


async def test_a_reset_is_a_loss_and_the_next_request_connects_again() -> None:
    """RST, not an orderly end: the peer's socket says so."""
    async with bridge() as (simulator, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(READ_BASIC)
        assert len(await reader.readexactly(34)) == 34
        simulator.inject(fault="reset")
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
        line, board = board_at(port)
        await board.read_basic()
        simulator.inject(fault="reset")
        await until_lost(line)
        assert (await board.read_basic()).cell_count == 4
        assert (line.counters["losses"], line.counters["opens"]) == (1, 2)
        line.close()


async def test_unplugged_it_refuses_and_comes_back_at_the_same_port() -> None:
    """The end of the file, then nobody listens, then it answers."""
    async with bridge() as (simulator, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        simulator.inject(fault="unplug", seconds=0.3)
        assert await reader.read() == b""
        writer.close()
        line, board = board_at(port)
        with pytest.raises(UnavailableError, match="refused"):
            await board.read_basic()
        while not (simulator.line is not None and simulator.line.plugged):  # noqa: ASYNC110 (a state raises no event)
            await asyncio.sleep(0.01)
        assert (await board.read_basic()).cell_count == 4
        line.close()


async def test_two_clients_at_one_bridge_hear_each_other_s_replies() -> None:
    """As at a real one; a client that leaves or does not read harms no other."""
    async with bridge() as (_, port):
        reader_a, writer_a = await asyncio.open_connection("127.0.0.1", port)
        reader_b, writer_b = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        writer_a.write(READ_BASIC)
        assert await reader_a.readexactly(34) == await reader_b.readexactly(34)
        writer_a.close()
        await writer_a.wait_closed()
        writer_b.write(READ_CELLS)
        assert (await reader_b.readexactly(15))[:3].hex() == "dd0400"
        writer_b.close()


@pytest.mark.parametrize("address", ["127.0.0.1", ":7", "127.0.0.1:x", "127.0.0.1:70000", "192.0.2.1:7"])
async def test_bad_addresses_are_refused(address: str) -> None:
    """With the key at fault."""
    with pytest.raises(InvalidArgumentError, match="tcp") as caught:
        async with JbdSimulator(SimulatorOptions(tcp=address)):
            pass
    assert caught.value.metadata["key"] == "tcp"


async def test_the_program_serves_boards_with_faults_over_tcp(tmp_path: Path) -> None:
    """`bosd sim jbd --tcp … --boards 3 --fault …`: the log has options and strikes, the boards have their addresses."""
    log = tmp_path / "log"
    arguments = ["--tcp", "127.0.0.1:0", "--boards", "3", "--log", str(log), "--fault", "drop register=4 count=1"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bosd", "sim", "jbd", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30.0):
            assert process.stdout is not None
            ready = (await process.stdout.readline()).decode()
            assert ready.startswith("ready tcp=127.0.0.1:")
            reader, writer = await asyncio.open_connection("127.0.0.1", int(ready.split()[1].rpartition(":")[2]))
            writer.write(b"\xdd\x02" + READ_BASIC[1:])
            assert (await reader.readexactly(35))[:4].hex() == "dd020300"
            for _ in range(2):  # the first is dropped
                writer.write(b"\xdd\x03" + READ_CELLS[1:])
                await asyncio.sleep(0.2)
            assert (await reader.readexactly(16))[:4].hex() == "dd030400"
            writer.close()
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert entries[0] | {"at_s": 0.0} == {
        "event": "start",
        "at_s": 0.0,
        "seed": 1,
        "tcp": "127.0.0.1:0",
        "log": str(log),
        "boards": 3,
    }
    assert [entry["event"] for entry in entries[1:4]] == ["inject"] * 3
    assert [(entry["event"], entry["board"]) for entry in entries[4:]] == [
        ("request", 2),
        ("fault", 3),
        ("request", 3),
        ("request", 3),
    ]


def test_a_bad_fault_on_the_command_line_is_named() -> None:
    """Exit status 2, one line."""
    for rule, complaint in (
        ("explode", "fault must be one of"),
        ("drop count=x", "must be KEY=NUMBER"),
        ("drop at=1", "at is not"),
    ):
        done = run_process("bosd", ["sim", "jbd", "--tcp", "127.0.0.1:0", "--fault", rule], REPOSITORY, 20.0)
        assert done.returncode == 2
        assert done.stderr.startswith("bosd sim jbd: ")
        assert done.stderr.count("\n") == 1
        assert complaint in done.stderr
