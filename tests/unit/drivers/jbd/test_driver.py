"""The driver against a board in memory: reading, gating, regulating, and the safe action."""

import asyncio
import contextlib
from typing import Any

import pytest

from bosd.bal.device import Device
from bosd.clock import LoopClock
from bosd.drivers.jbd.driver import JbdDriver, JbdOptions
from bosd.drivers.line import Line
from bosd.drivers.transport import MemoryTransport
from bosd.errors import DriverError, NotFollowedError, UnavailableError, UnsupportedError
from tests.support.jbd_frames import FakeBoard, reply

pytestmark = pytest.mark.jumping


def drive(board: FakeBoard, **options: Any) -> JbdDriver:
    """Return a driver of `board` on the running loop's clock."""
    clock = LoopClock(asyncio.get_running_loop())
    arguments = {key: options.pop(key) for key in ("current_control", "safe") if key in options}
    return JbdDriver(Line(MemoryTransport(board.respond)), clock, name="b1", options=JbdOptions(**options), **arguments)


def now_s() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


async def test_a_driver_is_a_device() -> None:
    """The driver fits the core's port."""
    device: Device = drive(FakeBoard())
    assert (await device.read()).voltage_v == 13.2


async def test_reads_basic_then_cells() -> None:
    """A cycle asks 0x03 and 0x04, and stamps the sample when 0x03 arrived."""
    board = FakeBoard()
    await asyncio.sleep(5.0)
    sample = await drive(board).read()
    assert [request[2] for request in board.requests] == [3, 4]
    assert (sample.sampled_s, sample.sampled_utc_s, sample.cells_s) == (5.0, 1_800_000_005.0, 5.0)


async def test_cells_in_every_third_cycle() -> None:
    """Cells may be read less often; in between they keep their time."""
    board = FakeBoard()
    driver = drive(board, cells_every=3)
    stamps = []
    for _ in range(4):
        stamps.append((await driver.read()).cells_s)
        await asyncio.sleep(1.0)
    assert [request[2] for request in board.requests if request[2] in (3, 4)] == [3, 4, 3, 3, 3, 4]
    assert stamps == [0.0, 0.0, 0.0, 3.0]


async def test_cells_that_do_not_answer() -> None:
    """Without cells the sample stands: they are None, then as old as they are, and the note says why."""
    board = FakeBoard()
    board.deaf.add(4)
    driver = drive(board)
    first = await driver.read()
    assert (first.voltage_v, first.cells_v, first.cells_s) == (13.2, None, None)
    assert first.notes == ("cells_v: memory: no answer in 3 attempts",)
    board.deaf.clear()
    read_s = now_s()
    await driver.read()
    board.deaf.add(4)
    await asyncio.sleep(1.0)
    third = await driver.read()
    assert (third.cells_v, third.cells_s) == ((3.3, 3.3, 3.3, 3.3), read_s + 0.15)  # 150 ms: a repeated request's stragglers


async def test_cells_refused() -> None:
    """A board that refuses 0x04 still gives samples."""
    board = FakeBoard()
    board.answers[4] = reply(4, status=0x80)
    sample = await drive(board).read()
    assert sample.cells_v is None
    assert "refused with 80: unknown register" in sample.notes[0]


async def test_basic_refused() -> None:
    """A refusal of 0x03 is a driver error with its status."""
    board = FakeBoard()
    board.answers[3] = reply(3, status=0x81)
    with pytest.raises(DriverError) as caught:
        await drive(board).read()
    assert caught.value.metadata["status"] == "81"


async def test_unreadable_payload_is_counted() -> None:
    """A sound frame with a payload that cannot be read is a driver error and a count."""
    board = FakeBoard()
    board.answers[3] = reply(3, bytes(6))
    line = Line(MemoryTransport(board.respond))
    with pytest.raises(DriverError, match="basic information: 6 bytes"):
        await JbdDriver(line, LoopClock(asyncio.get_running_loop()), name="b1").read()
    assert line.counters["payload"] == 1


async def test_no_answer() -> None:
    """A silent board is unavailable, within three attempts (1.4 s)."""
    board = FakeBoard()
    board.deaf.add(3)
    with pytest.raises(UnavailableError):
        await drive(board).read()
    assert now_s() < 1.4


async def test_no_control_refuses() -> None:
    """Without gate or regulator a set point is refused, even one equal to the reading, and nothing is written."""
    board = FakeBoard()
    driver = drive(board)
    with pytest.raises(UnsupportedError, match="no current control"):
        await driver.set_current(0.0)
    assert await driver.make_safe() == "no current control: left as it is"
    assert board.requests == []


@pytest.mark.parametrize(("current_a", "command"), [(0.0, 3), (5.0, 1), (-5.0, 2)])
async def test_gate_by_sign(current_a: float, command: int) -> None:
    """0 A opens both FETs, a discharge set point the charge FET (01), a charge set point the discharge FET (02)."""
    board = FakeBoard()
    driver = drive(board, current_control="gate")
    await driver.set_current(current_a)
    assert board.writes == [command]
    assert board.basic["fets"] == 3 & ~command
    sample = await driver.read()
    assert (sample.discharge_allowed, sample.charge_allowed, sample.blocked_by) == (True, True, ())


@pytest.mark.parametrize(
    ("discharge", "charge", "command"), [(False, True, 0x01), (True, False, 0x02), (True, True, 0x03), (False, False, 0x00)]
)
async def test_gate_holds_directions_open(discharge: bool, charge: bool, command: int) -> None:
    """While no set point decides: the E1 register's bits switch off, 0 charging and 1 discharging."""
    board = FakeBoard()
    driver = drive(board, current_control="gate")
    await driver.hold_open(discharge=discharge, charge=charge)
    assert board.writes == [command]


async def test_gate_repeated_writes_once() -> None:
    """Repeating a set point reads back and writes nothing."""
    board = FakeBoard()
    driver = drive(board, current_control="gate")
    await driver.set_current(5.0)
    await driver.set_current(7.0)
    assert board.writes == [1]


async def test_gate_does_not_rely_on_a_protection() -> None:
    """A FET that a protection holds open is commanded open as well, or it would close with the protection's release."""
    board = FakeBoard(fets=2, protection=1)
    await drive(board, current_control="gate").set_current(5.0)
    assert board.writes == [1]


async def test_dwell_delays_only_switching_on() -> None:
    """From discharge to charge: the discharge FET opens at once, the charge FET closes when the opening is 5 s old."""
    board = FakeBoard()
    driver = drive(board, current_control="gate")
    await driver.set_current(5.0)
    await asyncio.sleep(1.0)
    started_s = now_s()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(driver.set_current(-5.0))
        await asyncio.sleep(0.5)
        assert board.basic["fets"] == 0
    assert board.writes == [1, 3, 2]
    assert now_s() == pytest.approx(started_s + 5.0)


async def test_first_switching_on_does_not_wait() -> None:
    """A gate that has not switched yet closes at once."""
    board = FakeBoard(fets=0, protection=0x1000)
    await drive(board, current_control="gate").set_current(5.0)
    assert board.writes == [1]
    assert now_s() == 0.0


@pytest.mark.parametrize(
    ("control", "protection", "blocked_by"),
    [
        ("gate", 0x1000, ()),
        ("gate", 0x1001, ("cell_overvoltage",)),
        ("gate", 0x0000, ("discharge_fet_open", "charge_fet_open")),
        ("none", 0x1000, ("discharge_fet_open", "charge_fet_open")),
    ],
)
async def test_what_an_earlier_run_opened_shuts_nothing(control: Any, protection: int, blocked_by: tuple[str, ...]) -> None:
    """Bit 12 tells a FET that a command opened (jbd.md, 5): a guard's opening must not keep the next run from using the pack."""
    driver = drive(FakeBoard(fets=0, protection=protection), current_control=control)
    assert (await driver.read()).blocked_by == blocked_by


async def test_stop_overtakes_a_waiting_set_point() -> None:
    """While a set point waits to switch on, the safe action goes ahead and the set point fails without writing."""
    board = FakeBoard()
    driver = drive(board, current_control="gate", safe="open")
    await driver.set_current(5.0)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(expect_overtaken(driver))
        await asyncio.sleep(1.0)
        assert await driver.make_safe() == "both switches open"
        assert now_s() == 1.0
        await waiting
    assert board.writes == [1, 3]
    assert board.basic["fets"] == 0


async def expect_overtaken(driver: JbdDriver) -> None:
    """Set a charging current and see it fail."""
    with pytest.raises(DriverError, match="overtaken"):
        await driver.set_current(-5.0)


@pytest.mark.parametrize(("current_a", "board_10ma"), [(7.0, -700), (-7.0, 700)])
async def test_gate_spares_the_body_diode(current_a: float, board_10ma: int) -> None:
    """A board that closes the disabled FET again while 7 A flow the other way (newer firmware) has obeyed; at rest it has not."""
    board = FakeBoard(current_10ma=board_10ma)
    board.obeys = False
    driver = drive(board, current_control="gate")
    await driver.set_current(current_a)
    assert board.writes == [0b01 if current_a > 0 else 0b10]
    board.basic["current_10ma"] = 0
    with pytest.raises(NotFollowedError):
        await drive(board, current_control="gate").set_current(current_a)


async def test_gate_not_followed() -> None:
    """A board that acknowledges and does nothing fails the call after two seconds of looking."""
    board = FakeBoard(current_10ma=-250)
    board.obeys = False
    driver = drive(board, current_control="gate")
    with pytest.raises(NotFollowedError) as caught:
        await driver.set_current(-5.0)
    assert now_s() == pytest.approx(2.0, abs=0.11)
    assert (caught.value.metadata["commanded_a"], caught.value.metadata["measured_a"]) == ("-5.0", "2.5")


async def test_gate_refused() -> None:
    """A FET command refused directly and in configuration mode fails the call with the status and what was tried."""
    board = FakeBoard()
    board.answers |= {0xE1: reply(0xE1, status=0x81), 0x00: reply(0x00, status=0x81), 0x24: reply(0x24, status=0x81)}
    with pytest.raises(DriverError, match="tried directly and in configuration mode; a PIN may be set") as caught:
        await drive(board, current_control="gate").set_current(5.0)
    assert caught.value.metadata["status"] == "81"


async def test_gate_not_read_back() -> None:
    """A board that falls silent after the command leaves it unconfirmed: not followed, in bounded time."""
    board = FakeBoard()
    answered = board.respond

    def fall_silent(request: bytes) -> bytes:
        answer = answered(request)
        if request[2] == 0xE1:
            board.deaf.add(3)
        return answer

    board.respond = fall_silent  # type: ignore[method-assign]
    driver = drive(board, current_control="gate")
    await driver.read()
    with pytest.raises(NotFollowedError, match="not read back"):
        await driver.set_current(5.0)
    assert now_s() < 3.0


async def test_release_leaves_the_switches() -> None:
    """The default safe action of a gate writes nothing."""
    board = FakeBoard()
    driver = drive(board, current_control="gate")
    assert await driver.make_safe() == "switches left as they are"
    assert board.requests == []


async def test_close_twice() -> None:
    """Closing lets go of the line, once."""
    driver = drive(FakeBoard())
    await driver.close()
    await driver.close()


async def test_two_boards_on_one_line() -> None:
    """Closing one of two devices leaves the line to the other."""
    board = FakeBoard()
    line, clock = Line(MemoryTransport(board.respond)), LoopClock(asyncio.get_running_loop())
    first, second = JbdDriver(line, clock, name="b1"), JbdDriver(line, clock, name="b2")
    await first.read()
    await first.close()
    assert (await second.read()).voltage_v == 13.2
    assert line.counters["opens"] == 1


async def test_open_needs_no_look_before() -> None:
    """Opening both FETs is written at once, then read back: a stop does not wait for a poll."""
    board = FakeBoard()
    assert await drive(board, current_control="gate", safe="open").make_safe() == "both switches open"
    assert [request[2] for request in board.requests] == [0xE1, 3]


@pytest.mark.parametrize("cancel_at_s", [0.0, 0.05, 0.5, 3.0, 6.0])
async def test_cancelled_set_point_leaves_the_gate_usable(cancel_at_s: float) -> None:
    """A set point cancelled in any wait closes nothing afterwards, and the next command works."""
    board = FakeBoard()
    driver = drive(board, current_control="gate", safe="open")
    await driver.set_current(5.0)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(cancel_at_s):
            await driver.set_current(-5.0)
    await driver.make_safe()
    assert board.basic["fets"] == 0
    await asyncio.sleep(10.0)
    assert board.basic["fets"] == 0
