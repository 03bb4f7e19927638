"""Recorded traffic: what is written, what is read back, and that a record never stands in the way."""

import asyncio
import json
import stat
from pathlib import Path

import pytest

from bosd.bal.spec import JbdSpec
from bosd.bal.spec_rules import battery_faults
from bosd.clock import LoopClock, SystemClock
from bosd.drivers import jbd
from bosd.drivers.capture import CaptureTo, CaptureTransport
from bosd.drivers.capture_file import CaptureWriter, Record, read_capture
from bosd.drivers.devices import make_device
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.kind import DriverContext, DriverKind
from bosd.drivers.lines import Lines
from bosd.drivers.transport import MemoryEnd, memory_pair
from bosd.errors import ConfigError, InvalidArgumentError, UnavailableError
from tests.support.jbd_frames import READ_BASIC

HEADER = '{"bosd_capture": 1, "port": "p", "baud": 9600, "started": "2027-01-15T08:00:00.000Z", "version": "1"}\n'


class Receiver:
    def __init__(self) -> None:
        self.data = b""
        self.lost: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)


async def _make(path: Path, **keys: int) -> tuple[CaptureTransport, MemoryEnd, Receiver]:
    near, far = memory_pair()
    clock = LoopClock(asyncio.get_running_loop())
    transport = CaptureTransport(near, CaptureWriter(path, port="p", baud=9600, clock=clock, **keys))
    receiver = Receiver()
    await transport.open(receiver)
    await far.open(Receiver())
    return transport, near, receiver


@pytest.mark.jumping
async def test_what_passes_is_on_record_with_its_time(tmp_path: Path) -> None:
    """Out at 1.5 s, in at 1.75 s, a loss at 10 s; neither bytes nor the loss change on their way."""
    path = tmp_path / "b1"
    transport, near, receiver = await _make(path)
    await asyncio.sleep(1.5)
    transport.write(READ_BASIC)
    await asyncio.sleep(0.25)
    near.deliver(b"\xdd\x03")
    await asyncio.sleep(8.25)
    near.lose(OSError(5, "Input/output error"))
    with pytest.raises(UnavailableError):
        transport.write(b"x")
    assert transport.writer is not None
    transport.writer.close()
    assert (receiver.data, [str(error) for error in receiver.lost]) == (b"\xdd\x03", ["[Errno 5] Input/output error"])
    (part,) = read_capture(path).parts
    assert part.records == (
        Record(0.0, "", event="open"),
        Record(1.5, "out", READ_BASIC),
        Record(1.75, "in", b"\xdd\x03"),
        Record(10.0, "", event="lost"),
    )
    assert (part.header.port, part.header.baud, part.header.started) == ("p", 9600, "2027-01-15T08:00:00.000Z")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.jumping
async def test_a_record_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    """4,000 requests into 16 KiB: two files, each half of it and what one second brings, with the last request in one."""
    path = tmp_path / "b1"
    transport, _, _ = await _make(path, largest_bytes=16384)
    for number in range(4_000):
        transport.write(number.to_bytes(7, "big"))
        await asyncio.sleep(0.1)
    assert transport.writer is not None
    transport.writer.close()
    older = path.with_name("b1.1")
    assert path.stat().st_size + older.stat().st_size <= 16384 + 2 * 1024
    parts = (*read_capture(older).parts, *read_capture(path).parts)
    assert len(parts) == 2
    numbers = [int.from_bytes(record.data, "big") for part in parts for record in part.records]
    assert numbers == list(range(numbers[0], 4_000))


@pytest.mark.jumping
async def test_a_file_is_continued_behind_a_line_that_a_crash_tore(tmp_path: Path) -> None:
    """Two parts, one torn line, nothing lost."""
    path = tmp_path / "b1"
    path.write_text(HEADER + '{"at_s": 0.5, "way": "out", "hex": "dda5"}\n{"at_s": 0.6, "wa')
    transport, _, _ = await _make(path)
    transport.write(READ_BASIC)
    assert transport.writer is not None
    transport.writer.close()
    capture = read_capture(path)
    assert (len(capture.parts), capture.torn) == (2, 1)
    assert capture.parts[0].records == (Record(0.5, "out", b"\xdd\xa5"),)
    assert capture.parts[1].records[-1].data == READ_BASIC


@pytest.mark.jumping
async def test_a_disk_that_fails_ends_the_record_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full takes no byte: the writer says so once, and the traffic goes on."""
    clock = LoopClock(asyncio.get_running_loop())
    with pytest.raises(InvalidArgumentError, match="No space left"):
        CaptureWriter(Path("/dev/full"), port="p", baud=9600, clock=clock)
    near, far = memory_pair()
    heard, receiver = Receiver(), Receiver()
    monkeypatch.setattr(CaptureWriter, "_put", lambda self, descriptor, text: None)
    writer = CaptureWriter(Path("/dev/full"), port="p", baud=9600, clock=clock)
    monkeypatch.undo()
    transport = CaptureTransport(near, writer)
    await transport.open(receiver)
    await far.open(heard)
    for _ in range(5):
        transport.write(b"abc")
        await asyncio.sleep(1.0)
        far.write(b"xyz")
        await asyncio.sleep(1.0)
    assert (heard.data, receiver.data) == (b"abc" * 5, b"xyz" * 5)
    assert writer.failed == "No space left on device"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("{}\n", "line 1: the first line must be a header"),
        ("nonsense\n" + HEADER, "line 1: the first line must be a header"),
        (HEADER.replace("1,", "2,", 1), "line 1: this bosd reads captures of format 1, not 2"),
        (HEADER.replace("9600", "0"), "line 1: baud must be a whole number from 50"),
        (HEADER.replace('"p"', "7"), "line 1: port must be a text, not 7"),
        (HEADER + 'x\n{"at_s": 1, "way": "in", "hex": ""}\n', "line 2: a line is a JSON object"),
        (HEADER + '{"at_s": 1, "way": "up", "hex": ""}\n', 'line 2: way must be "out"'),
        (HEADER + '{"at_s": 1, "way": "in", "hex": "d"}\n', "line 2: hex must be pairs"),
        (HEADER + '{"at_s": -1, "way": "in", "hex": ""}\n', "line 2: at_s must be seconds"),
        (HEADER + '{"at_s": NaN, "way": "in", "hex": ""}\n', "line 2: at_s must be seconds"),
        (HEADER + '{"at_s": 2, "event": "open"}\n{"at_s": 1, "event": "lost"}\n', "line 3: at_s 1 lies before"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    """And with what would be right."""
    path = tmp_path / "b1"
    path.write_text(text)
    with pytest.raises(InvalidArgumentError, match=complaint):
        read_capture(path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", ".hidden", "a/b", "a" * 64])
def test_a_capture_is_a_name_and_not_a_path(name: str) -> None:
    """Nobody who may edit a topology writes elsewhere."""
    (fault,) = battery_faults(JbdSpec(name="b1", port="/dev/ttyUSB0", capture=name))
    assert fault[0] == "capture"
    assert "no file name in the node's directory captures" in fault[1]
    assert list(battery_faults(JbdSpec(name="b1", port="/dev/ttyUSB0", capture="b1.jsonl"))) == []


def test_a_battery_without_a_line_has_nothing_to_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said when the device is made, not by an empty file."""
    monkeypatch.setattr(jbd, "DRIVER", DriverKind(spec=JbdSpec, make=lambda spec, context: object()))  # type: ignore[arg-type, return-value]
    context = DriverContext(SystemClock(), Lines(), captures=tmp_path)
    with pytest.raises(ConfigError, match=r"b1: a battery of kind .jbd. has no line that could be recorded"):
        make_device(JbdSpec(name="b1", port="/dev/ttyUSB0", capture="b1"), context)


@pytest.mark.jumping
async def test_a_line_is_recorded_while_the_battery_that_asked_for_it_is_on_it(tmp_path: Path) -> None:
    """Two devices on a line, one with a capture: both are on record until that one leaves; an unwritable file harms nobody."""
    from bosd.drivers.jbd.board import Board

    clock = LoopClock(asyncio.get_running_loop())
    async with JbdSimulator(SimulatorOptions()) as simulator:
        lines = Lines(lambda port, _baud: simulator.memory.transport(port))
        plain = lines.line("memory")
        recorded = lines.line("memory", capture=CaptureTo(tmp_path / "captures" / "b1", clock))
        doomed = lines.line("memory", capture=CaptureTo(tmp_path / "b1" / "missing" / "b1", clock))
        for device in (plain, recorded, doomed, plain):
            await Board(device).read_basic()
        recorded.close()
        await Board(plain).read_basic()
        plain.close()
        doomed.close()
        hopeless = lines.line("memory", capture=CaptureTo(tmp_path / "x" / "missing" / "b1", clock))
        assert (await Board(hopeless).read_basic()).cell_count == 4
        hopeless.close()
    (part,) = read_capture(tmp_path / "captures" / "b1").parts
    assert [record.data for record in part.records if record.way == "out"] == [READ_BASIC] * 3
    assert json.loads((tmp_path / "captures" / "b1").read_text().splitlines()[0])["port"] == "memory"
