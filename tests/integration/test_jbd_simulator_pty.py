"""The simulated pack on a real pseudo-terminal and as a real process, with a client that knows the line only as a file."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.errors import InvalidArgumentError
from tests.support.jbd_frames import load_captures, need_captures

BASIC, CELLS = bytes.fromhex("dda50300fffd77"), bytes.fromhex("dda50400fffc77")
BYTE_S = 10 / 9600
PROGRAM = (
    "import argparse, sys; from bosd.drivers.jbd.simulator.program import add_arguments, main;"
    "parser = argparse.ArgumentParser(); add_arguments(parser); sys.exit(main(parser.parse_args()))"
)


class Client:
    """The other end of the line: bytes out, bytes in, each with a deadline."""

    def __init__(self, link: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self.descriptor = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.arrived: list[tuple[float, bytes]] = []
        self.hung_up = asyncio.Event()
        self._news = asyncio.Event()
        self._loop.add_reader(self.descriptor, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self.descriptor, 4096)
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self.descriptor)
            self.hung_up.set()
        self.arrived.append((self._loop.time(), data))
        self._news.set()

    async def ask(self, request: bytes, count: int, timeout_s: float = 5.0) -> bytes:
        """Send and return the next `count` bytes."""
        self.arrived.clear()
        os.write(self.descriptor, request)
        async with asyncio.timeout(timeout_s):
            while sum(len(data) for _, data in self.arrived) < count:
                self._news.clear()
                await self._news.wait()
        return b"".join(data for _, data in self.arrived)

    def close(self) -> None:
        """Leave the line."""
        self._loop.remove_reader(self.descriptor)
        os.close(self.descriptor)


@contextmanager
def client_at(link: Path) -> Iterator[Client]:
    """Open the line for a while."""
    client = Client(link)
    try:
        yield client
    finally:
        client.close()


@asynccontextmanager
async def control_at(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to the control socket for a while."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def command(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], **request: object) -> dict[str, object]:
    """Send one line and return the answer."""
    reader, writer = streams
    writer.write(json.dumps(request).encode() + b"\n")
    async with asyncio.timeout(5.0):
        answer: dict[str, object] = json.loads(await reader.readline())
    return answer


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the simulator does by its clock."""
    async with asyncio.timeout(5.0):
        while not condition():  # noqa: ASYNC110 - a file and a counter raise no event
            await asyncio.sleep(0.01)


def fast(link: Path, **options: object) -> SimulatorOptions:
    """Return options of a line that costs no time."""
    return SimulatorOptions(**{"link": link, "baud": 1_000_000, "turnaround_ms": (0.0, 0.0), **options})  # type: ignore[arg-type]


async def test_a_reply_takes_as_long_as_its_bytes(tmp_path: Path) -> None:
    """Bounds that hold however slow the machine: no byte may come early, and the reply never spans less than 35 intervals."""
    options = SimulatorOptions(link=tmp_path / "bms", ntc_count=3)
    async with JbdSimulator(options) as simulator:
        with client_at(simulator.link) as client:
            for _ in range(3):
                asked_s = asyncio.get_running_loop().time()
                await client.ask(BASIC, 36)
                received = 0
                for arrived_s, data in client.arrived:
                    received += len(data)
                    assert arrived_s - asked_s >= 7 * BYTE_S + 0.010 + received * BYTE_S - 1e-6
        span_error_s = simulator.stats()["shortest_span_error_s"]
        assert isinstance(span_error_s, float)
        assert span_error_s >= 0.0


async def test_basic_and_cells_agree_over_the_line(tmp_path: Path) -> None:
    """The pack voltage of 03 is the sum of the cells of 04 within their rounding."""
    async with JbdSimulator(fast(tmp_path / "bms", load_current_a=10.0)) as simulator:
        with client_at(simulator.link) as client:
            basic, cells = await client.ask(BASIC, 34), await client.ask(CELLS, 15)
    total_mv = sum(int.from_bytes(cells[4 + 2 * index : 6 + 2 * index], "big") for index in range(4))
    assert abs(int.from_bytes(basic[4:6], "big") * 10 - total_mv) <= 7


async def test_clients_come_and_go(tmp_path: Path) -> None:
    """Twenty times opened and closed, each time answered."""
    async with JbdSimulator(fast(tmp_path / "bms")) as simulator:
        for _ in range(20):
            with client_at(simulator.link) as client:
                assert (await client.ask(BASIC, 34))[:3].hex() == "dd0300"


async def test_unplugging_hangs_up_and_comes_back(tmp_path: Path) -> None:
    """The client sees the end, the link is gone, then a new line answers at the same path."""
    async with JbdSimulator(fast(tmp_path / "bms")) as simulator:
        with client_at(simulator.link) as client:
            await client.ask(BASIC, 34)
            simulator.inject(fault="unplug", seconds=0.2)
            assert not simulator.link.is_symlink()
            async with asyncio.timeout(5.0):
                await client.hung_up.wait()
            await until(simulator.link.is_symlink)
        with client_at(simulator.link) as client:
            assert await client.ask(BASIC, 34)


async def test_unplug_and_sleep_by_the_clock(tmp_path: Path) -> None:
    """A schedule needs no request: it strikes count times, every_s apart."""
    async with JbdSimulator(fast(tmp_path / "bms")) as simulator:
        simulator.inject(fault="unplug", seconds=0.01, after_s=0.02, every_s=0.05, count=3)
        await until(lambda: simulator.stats()["faults"] == 3)
        simulator.inject(fault="sleep")
        assert simulator.get()["asleep"] is True


async def test_twenty_four_packs_share_a_loop(tmp_path: Path) -> None:
    """Each answers on its own line with its own cells."""
    async with AsyncExitStack() as stack:
        links = [tmp_path / f"bms{index}" for index in range(24)]
        for index, link in enumerate(links):
            await stack.enter_async_context(JbdSimulator(SimulatorOptions(link=link, chemistry="nmc", soc=0.1 + index / 50)))
        clients = [stack.enter_context(client_at(link)) for link in links]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(client.ask(CELLS, 15)) for client in clients]
        assert len({task.result() for task in tasks}) == 24


async def test_link_rules(tmp_path: Path) -> None:
    """A stale link is replaced; a file, a link elsewhere or a missing folder is refused; the end removes the link."""
    link = tmp_path / "bms"
    link.symlink_to("/dev/pts/999999")
    async with JbdSimulator(fast(link)):
        assert link.exists()
    assert not link.is_symlink()
    (tmp_path / "file").write_text("precious")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "file")
    for bad in (tmp_path / "file", tmp_path / "elsewhere", tmp_path / "missing" / "bms"):
        with pytest.raises(InvalidArgumentError, match=bad.name) as caught:
            async with JbdSimulator(fast(bad)):
                pass
        assert caught.value.metadata["key"] == "link"
    assert (tmp_path / "file").read_text() == "precious"


async def test_a_client_that_does_not_read_costs_nothing(tmp_path: Path) -> None:
    """Replies beyond the terminal's buffer are lost as at a real port, and counted; the next client is answered."""
    async with JbdSimulator(fast(tmp_path / "bms", half_duplex=False)) as simulator:
        simulator.raw(3, bytes(4096))
        quiet = os.open(simulator.link, os.O_RDWR | os.O_NOCTTY)
        async with asyncio.timeout(30.0):
            while not simulator.stats()["bytes_refused"]:
                os.write(quiet, BASIC)
                await asyncio.sleep(0.02)
        os.close(quiet)


async def test_every_recorded_frame_can_be_replayed(tmp_path: Path) -> None:
    """Through the control socket and the line: the bytes the client gets are the recorded ones, good and bad."""
    need_captures()
    control = tmp_path / "control"
    async with JbdSimulator(fast(tmp_path / "bms", control=control)) as simulator, control_at(control) as streams:
        with client_at(simulator.link) as client:
            for frame in load_captures():
                request, response = bytes.fromhex(frame["request_hex"]), bytes.fromhex(frame["response_hex"])
                answer = await command(streams, op="raw", register=request[2], response_hex=frame["response_hex"])
                assert answer == {"ok": True}
                assert await client.ask(request, len(response)) == response, frame["name"]
                await asyncio.sleep(0.002)


async def test_the_control_socket_serves_and_refuses(tmp_path: Path) -> None:
    """Each operation once, and what is wrong named with its key."""
    control = tmp_path / "control"
    async with JbdSimulator(fast(tmp_path / "bms", control=control)), control_at(control) as streams:
        assert await command(streams, op="set", load_current_a=10.0) == {"ok": True}
        assert await command(streams, op="advance", seconds=3600) == {"ok": True}
        state = (await command(streams, op="get"))["state"]
        assert isinstance(state, dict)
        assert state["remaining_ah"] == pytest.approx(40.0, abs=0.05)
        assert await command(streams, op="inject", fault="drop", count=3) == {"ok": True}
        assert await command(streams, op="clear") == {"ok": True}
        assert (await command(streams, op="stats"))["ok"] is True
        refused: list[tuple[dict[str, object], str]] = [
            ({"op": "set", "amps": 4}, "amps"),
            ({"op": "sett"}, "op"),
            ({"op": "advance"}, "seconds"),
            ({"op": "raw", "register": 3}, "response_hex"),
            ({"op": "raw", "register": 3, "response_hex": "xy"}, "response_hex"),
            ({"op": "inject", "fault": "drop", "self": 1}, "self"),
            ({"op": "get", "key": "soc"}, "key"),
        ]
        for request, key in refused:
            answer = await command(streams, **request)
            assert (answer["ok"], answer["key"]) == (False, key)
    assert not control.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_program_says_ready_and_tidies_up(tmp_path: Path, number: signal.Signals) -> None:
    """One line when the link can be opened, an answer, and after the signal exit 0 with nothing left behind."""
    link, control, log = tmp_path / "bms", tmp_path / "control", tmp_path / "log"
    arguments = ["--link", str(link), "--control", str(control), "--log", str(log), "--series", "8", "--chemistry", "nmc"]
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(20.0):
            assert process.stdout is not None
            assert await process.stdout.readline() == f"ready link={link} control={control} seed=1\n".encode()
            with client_at(link) as client:
                assert (await client.ask(CELLS, 23))[3] == 16
            process.send_signal(number)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert not link.is_symlink()
    assert not control.exists()
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()] == ["start", "request"]


async def test_the_program_refuses_bad_options(tmp_path: Path) -> None:
    """Exit status 2 and one line that names the option."""
    arguments = ["--link", str(tmp_path / "bms"), "--series", "99"]
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *arguments, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(20.0):
        _, complaint = await process.communicate()
    assert process.returncode == 2
    assert complaint == b"bosd sim jbd: series must be a number from 1 to 32, not 99\n"
