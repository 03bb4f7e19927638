"""A capture as a device: the driver sees again what it saw."""

import asyncio
from pathlib import Path

import pytest

from bosd.clock import LoopClock
from bosd.drivers.capture import CaptureTo
from bosd.drivers.capture_file import read_capture
from bosd.drivers.far_end.memory_line import MemoryLine
from bosd.drivers.jbd.driver import JbdDriver, JbdOptions
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.lines import Lines
from bosd.drivers.replay import GAP_S, ReplayDevice, exchanges_of
from bosd.errors import BosError, InvalidArgumentError
from tests.support.jbd_frames import READ_BASIC, READ_CELLS, reply
from tests.unit.drivers.test_capture import HEADER

BYTE_S = 10 / 9600
CELLS = reply(4, bytes.fromhex("0ce40ce40ce40ce4"))

pytestmark = pytest.mark.jumping


def record(path: Path, *lines: str) -> Path:
    """Write a capture by hand: `1.5>dda5…` goes out, `1.6<dd03…` comes in, `2 lost` happens."""
    text = HEADER
    for line in lines:
        for mark, way in ((">", "out"), ("<", "in")):
            if mark in line:
                at_s, data = line.split(mark)
                text += f'{{"at_s": {at_s}, "way": "{way}", "hex": "{data}"}}\n'
        if " " in line:
            at_s, event = line.split()
            text += f'{{"at_s": {at_s}, "event": "{event}"}}\n'
    path.write_text(text)
    return path


class Host:
    """Asks a replay on a line in memory."""

    def __init__(self, path: Path, **options: object) -> None:
        self.said: list[str] = []
        self.device = ReplayDevice(read_capture(path), say=self.said.append, **options)  # type: ignore[arg-type]
        self.line = MemoryLine(self.device)
        self.device.unplug = self.line.unplug
        self.line.open()
        self.arrived: list[tuple[float, bytes]] = []
        self.line.on_bytes = lambda data: self.arrived.append((asyncio.get_running_loop().time(), data))

    async def ask(self, request: bytes, seconds: float = 1.0) -> bytes:
        """Send and return all that comes."""
        self.arrived.clear()
        self.line.write(request)
        await asyncio.sleep(seconds)
        return b"".join(data for _, data in self.arrived)


async def _read(lines: Lines, count: int, clock: LoopClock, capture: CaptureTo | None = None) -> list[str]:
    """Read `count` times and return what came of each: voltage, charge and cells, or the kind of error."""
    driver = JbdDriver(lines.line("memory", capture=capture), clock, name="b1", options=JbdOptions(cells_every=2))
    seen = []
    for _ in range(count):
        try:
            sample = await driver.read()
            seen.append(f"{sample.voltage_v} {sample.charge_ah} {sample.cells_v} {sample.notes}")
        except BosError as error:
            seen.append(type(error).__name__)
        await asyncio.sleep(1.0)
    await driver.close()
    return seen


@pytest.mark.parametrize("timing", ["recorded", "paced"])
async def test_the_driver_sees_again_what_it_saw(tmp_path: Path, timing: str) -> None:
    """Sixty reads of a discharging pack with faults: the same values and the same kinds of errors from the record."""
    clock = LoopClock(asyncio.get_running_loop())
    async with JbdSimulator(SimulatorOptions(load_current_a=90.0, soc=0.9)) as simulator:
        simulator.inject(fault="drop", probability=0.4)
        simulator.inject(fault="flip_bit", probability=0.2)
        lines = Lines(lambda port, _baud: simulator.memory.transport(port))
        seen = await _read(lines, 60, clock, CaptureTo(tmp_path / "b1", clock))
    device = ReplayDevice(read_capture(tmp_path / "b1"), timing=timing)
    line = MemoryLine(device)
    line.open()
    again = await _read(Lines(lambda port, _baud: line.transport(port)), 60, clock)
    assert again == seen
    assert len(set(seen)) > 20
    assert device.counts.unknown == 0
    assert device.counts.silent > 5


async def test_answers_come_in_their_pieces_and_at_their_delays(tmp_path: Path) -> None:
    """7 bytes after 40 ms, the rest 200 ms later, as it was recorded."""
    host = Host(record(tmp_path / "b1", "5>dda50400fffc77", f"5.04<{CELLS[:7].hex()}", f"5.24<{CELLS[7:].hex()}"))
    started_s = asyncio.get_running_loop().time()
    assert await host.ask(READ_CELLS) == CELLS
    assert [(round(at_s - started_s, 6), data) for at_s, data in host.arrived] == [(0.04, CELLS[:7]), (0.24, CELLS[7:])]


async def test_paced_answers_keep_the_line_s_pace(tmp_path: Path) -> None:
    """Whatever the record's times: 7 bytes, a turnaround of 15 ms, then byte by byte."""
    host = Host(record(tmp_path / "b1", "5>dda50400fffc77", f"5.9<{CELLS.hex()}"), timing="paced")
    started_s = asyncio.get_running_loop().time()
    assert await host.ask(READ_CELLS) == CELLS
    assert host.arrived[0][0] - started_s == pytest.approx(8 * BYTE_S + 0.015)
    assert host.arrived[-1][0] - host.arrived[0][0] == pytest.approx((len(CELLS) - 1) * BYTE_S)


async def test_answers_of_a_kind_come_in_order_and_from_the_start_again(tmp_path: Path) -> None:
    """Two kinds, each with its own order; a silence on record is one of the answers; `once` ends in silence."""
    path = record(
        tmp_path / "b1", "1>aa", "1.1<01", "2>bb", "2.1<0a", "3>aa", "4>aa", "4.1<02", "4.2<03", "9 closed", "9.5 open", "10>bb"
    )
    host = Host(path)
    assert [await host.ask(b"\xaa") for _ in range(5)] == [b"\x01", b"", b"\x02\x03", b"\x01", b""]
    assert [await host.ask(b"\xbb") for _ in range(3)] == [b"\x0a", b"", b"\x0a"]
    assert (host.device.counts.answered, host.device.counts.silent) == (5, 3)
    once = Host(path, once=True)
    assert [await once.ask(b"\xaa") for _ in range(5)] == [b"\x01", b"", b"\x02\x03", b"", b""]
    assert once.device.counts.over == 2


async def test_what_is_not_on_record_is_silence_counted_and_named_once(tmp_path: Path) -> None:
    """And does not stand in the way of the next request; two known ones in one write are both answered."""
    host = Host(record(tmp_path / "b1", f"1>{READ_CELLS.hex()}", f"1.05<{CELLS.hex()}"))
    assert await host.ask(READ_BASIC) == b""
    assert await host.ask(READ_BASIC) == b""
    assert host.said == [f"not on record, so not answered: {READ_BASIC.hex()}"]
    assert (host.device.counts.unknown, host.device.counts.unknown_requests[READ_BASIC.hex()]) == (2, 2)
    assert await host.ask(READ_CELLS) == CELLS
    assert await host.ask(READ_CELLS + READ_CELLS) == CELLS + CELLS
    assert await host.ask(READ_CELLS[:4], 2 * GAP_S) == b""
    assert host.device.counts.unknown == 3


async def test_the_device_goes_away_when_it_did(tmp_path: Path) -> None:
    """Lost 0.3 s after a request, back 4 s later: so it is again."""
    path = record(tmp_path / "b1", "1>aa", "1.1<01", "2>aa", "2.3 lost", "6.3 open", "7>aa", "7.1<02")
    assert [exchange.lost_for_s for exchange in exchanges_of(read_capture(path))] == [None, 4.0, None]
    host, lost = Host(path), list[float]()
    host.line.on_hangup = lambda: lost.append(asyncio.get_running_loop().time())
    assert await host.ask(b"\xaa") == b"\x01"
    await host.ask(b"\xaa", 0.2)
    assert lost == []
    await asyncio.sleep(0.2)
    assert lost == [pytest.approx(1.3)]
    assert await host.ask(b"\xaa", 3.0) == b""
    await asyncio.sleep(1.0)
    assert await host.ask(b"\xaa") == b"\x02"


async def test_a_record_without_a_request_is_refused(tmp_path: Path) -> None:
    """There is nothing to answer."""
    with pytest.raises(InvalidArgumentError, match="no request is on record"):
        ReplayDevice(read_capture(record(tmp_path / "b1", "1<aa")))
