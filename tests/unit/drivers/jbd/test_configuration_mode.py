"""Configuration mode on a simulated board: entered for a few reads, left on every path, however it ends."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from bosd.drivers.jbd.configuration_mode import LEAVE_S, STAY_S
from bosd.drivers.jbd.driver import JbdDriver, JbdOptions
from bosd.drivers.jbd.limits import TRIP_POINTS, Rating
from bosd.drivers.jbd.registers import FACTORY_ENTER, FACTORY_EXIT
from bosd.errors import BosError, DriverError, UnavailableError
from tests.support.jbd_bench import Bench, bench

pytestmark = pytest.mark.jumping

WRITE = 0x5A
ACKNOWLEDGED = bytes.fromhex("dd 00 00 00 00 00 77")
PIN: dict[str, Any] = {"password": "123456"}
PROTECTED = JbdOptions(read_protection=True, rating=Rating(250.0, 250.0))


def now_s() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


def is_out(b1: Bench) -> bool:
    """Whether the board itself says that it is not in the mode."""
    return b1.simulator.get()["factory_mode"] is False


async def test_trip_points_lower_the_limits() -> None:
    """28 = 59D8 and 29 = A628 are 230 A each way (jbd.md, 4): below 250 A configured they bind, with numbers and source."""
    async with bench(PROTECTED) as b1:
        sample = await b1.driver.read()
        assert (sample.limit_discharge_a, sample.limit_charge_a) == (230.0, 230.0)
        assert sample.limited_by == (
            "discharge limited to 230 A: the board trips at 230 A",
            "charge limited to 230 A: the board trips at 230 A",
        )
        assert is_out(b1)
        assert dict(b1.driver.facts().identity)["trip: charge_overtemp"] == "75.0 C"


async def test_trip_points_never_raise() -> None:
    """A trip point above the configured limit is no limit."""
    async with bench(JbdOptions(read_protection=True, rating=Rating(100.0, 50.0))) as b1:
        sample = await b1.driver.read()
        assert (sample.limit_discharge_a, sample.limit_charge_a, sample.limited_by) == (None, None, ())
        assert {(fact.direction, fact.limit_a) for fact in b1.driver.facts().limits} == {
            ("discharge", 100.0),
            ("charge", 50.0),
            ("discharge", 230.0),
            ("charge", 230.0),
        }


async def test_read_once_and_after_an_absence() -> None:
    """Trip points are read when the board is found and when it comes back after more than 5 s, not in between."""
    async with bench(PROTECTED) as b1:
        for _ in range(30):
            await b1.driver.read()
            await asyncio.sleep(1.0)
        assert b1.stat("factory_enters") == 1
        b1.simulator.memory.unplug(20.0)
        for _ in range(30):
            with contextlib.suppress(BosError):
                await b1.driver.read()
            await asyncio.sleep(1.0)
        assert b1.stat("factory_enters") == 2
        assert is_out(b1)


async def test_a_long_period_is_no_absence() -> None:
    """A board that is read once in 20 s, and answers each time, stays the same one: its trip points are read once."""
    async with bench(PROTECTED) as b1:
        for _ in range(10):
            await b1.driver.read()
            await asyncio.sleep(20.0)
        assert b1.stat("factory_enters") == 1
        assert dict(b1.driver.facts().identity)["hardware"] == "BOSD-SIM-JBD"


async def test_without_read_protection_nothing_is_entered() -> None:
    """The default asks one setting, once, which shows that the board is not in the mode, and writes nothing."""
    async with bench() as b1:
        for _ in range(10):
            await b1.driver.read()
        assert (b1.stat("writes"), b1.asked(0x24)) == (0, 1)


@pytest.mark.parametrize("again", [False, True], ids=["started anew", "silent for 10 s"])
async def test_a_board_that_was_left_in_the_mode_is_taken_out_without_read_protection_too(*, again: bool) -> None:
    """`bosd driver config` was killed: two readings after it is met the board is out of the mode, nothing saved."""
    async with bench(factory_timeout_s=None) as b1:
        if again:
            await b1.driver.read()
            await b1.driver.read()
        await b1.driver._board.enter_configuration()
        if again:
            b1.simulator.raw(0x03, b"")
            begun_s = now_s()
            while now_s() < begun_s + 10.0:
                with contextlib.suppress(UnavailableError):
                    await b1.driver.read()
                await asyncio.sleep(1.0)
            b1.simulator.raw(0x03, None)
            await b1.driver.read()
        await b1.driver.read()
        await b1.driver.read()
        assert is_out(b1)
        assert [request[2:6] for request in b1.transport.written if request[1] == WRITE][1:] == [b"\x01\x02\x00\x00"]


async def test_a_board_that_is_found_in_the_mode_and_does_not_hear_is_tried_again() -> None:
    """The exit is lost with its acknowledgement: the next reading but one tries once more; no reading fails by it."""
    async with bench(factory_timeout_s=None) as b1:
        await b1.driver._board.enter_configuration()
        await b1.driver.read()
        b1.simulator.raw(FACTORY_EXIT, b"")
        await b1.driver.read()
        assert not is_out(b1)
        b1.simulator.raw(FACTORY_EXIT, None)
        await b1.driver.read()
        await b1.driver.read()
        assert is_out(b1)


async def test_a_board_that_answers_settings_always_is_asked_once() -> None:
    """It is told to leave once, and not taken for stuck."""
    async with bench() as b1:
        b1.simulator.raw(0x24, reply_of(0x24, 3650))
        for _ in range(5):
            await b1.driver.read()
        assert (b1.asked(FACTORY_EXIT, WRITE), b1.driver._mode.stuck) == (1, False)


async def test_a_board_that_answers_settings_always_and_confirms_no_exit_is_asked_for_the_rest_too() -> None:
    """Nobody can tell whether it is out: it was asked that alone, in each reading, for ever, and never who it is."""
    async with bench() as b1:
        b1.simulator.raw(0x24, reply_of(0x24, 3650))
        b1.simulator.raw(FACTORY_EXIT, b"")
        for _ in range(20):
            await b1.driver.read()
        assert "hardware" in dict(b1.driver.facts().identity)
        assert b1.asked(FACTORY_EXIT, WRITE) > 1


async def test_only_entering_and_leaving_is_written() -> None:
    """The mode is left without saving (01 with 0000): no memory is worn and no counter cleared."""
    async with bench(PROTECTED) as b1:
        await b1.driver.read()
        writes = [request for request in b1.transport.written if request[1] == WRITE]
        assert [request[2:6] for request in writes] == [b"\x00\x02\x56\x78", b"\x01\x02\x00\x00"]


@pytest.mark.parametrize("cancel_ms", range(0, 900, 15))
async def test_cancelled_anywhere(cancel_ms: int) -> None:
    """A read cancelled at any instant leaves the board out of the mode within 1 s, and the line works."""
    async with bench(PROTECTED) as b1:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(cancel_ms / 1000.0):
                await b1.driver.read()
        cancelled_s = cancel_ms / 1000.0
        assert now_s() - cancelled_s < 1.0
        assert is_out(b1)
        await asyncio.sleep(1.0)
        assert (await b1.driver.read()).voltage_v is not None


async def test_cancelled_again_while_leaving() -> None:
    """A second and a third cancellation do not keep it from leaving, and the cancellation arrives."""
    async with bench(PROTECTED) as b1:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(b1.driver.read())
            await asyncio.sleep(0.25)
            assert not is_out(b1)
            for _ in range(3):
                reading.cancel()
                await asyncio.sleep(0.05)
        assert reading.cancelled()
        assert is_out(b1)


async def test_an_error_inside() -> None:
    """An error in the block passes through, with the mode left."""
    async with bench() as b1:
        await fail_inside(b1.driver)
        assert is_out(b1)


async def fail_inside(driver: JbdDriver) -> None:
    """Raise in the block, and see it come out."""
    with contextlib.suppress(ZeroDivisionError):
        async with driver._mode.entered():
            raise ZeroDivisionError


async def test_too_long_inside() -> None:
    """A block that does not end is ended after STAY_S, with the mode left."""
    async with bench() as b1:
        await hold_mode(b1.driver)
        assert STAY_S <= now_s() < STAY_S + 1.0
        assert is_out(b1)


async def test_polls_wait_a_bounded_time() -> None:
    """A poll that meets the mode waits for its end, at most STAY_S + LEAVE_S, and gives a sample then."""
    async with bench() as b1:
        async with asyncio.TaskGroup() as tasks:
            holding = tasks.create_task(hold_mode(b1.driver))
            await asyncio.sleep(0.5)
            asked_s = now_s()
            sample = await b1.driver.read()
            assert sample.sampled_s - asked_s < STAY_S + LEAVE_S
            assert sample.sampled_s > STAY_S
            await holding
        assert is_out(b1)


async def hold_mode(driver: JbdDriver) -> None:
    """Stay in the mode until one is thrown out."""
    with contextlib.suppress(UnavailableError):
        async with driver._mode.entered():
            await asyncio.sleep(60.0)


async def lose_port_inside(b1: Bench, away_s: float) -> None:
    """Enter the mode and have the port vanish there."""

    async def read_without_port() -> None:
        async with b1.driver._mode.entered():
            b1.simulator.memory.unplug(away_s)
            await b1.driver._board.read_setting(0x24)

    with pytest.raises(UnavailableError):
        await read_without_port()


async def test_port_lost_inside_comes_back() -> None:
    """A port that is gone for a second while the board is in the mode: left when it is back, within LEAVE_S."""
    async with bench() as b1:
        await lose_port_inside(b1, 1.0)
        assert not b1.driver._mode.stuck
        assert is_out(b1)


async def test_port_lost_for_long_is_told_and_tried_again() -> None:
    """A port that stays away leaves the board in the mode: each sample says so until it is left, at the next contact."""
    async with bench(factory_timeout_s=None) as b1:
        await lose_port_inside(b1, 10.0)
        assert b1.driver._mode.stuck
        assert b1.driver.facts().notes == ("in configuration mode: leaving it was not confirmed",)
        with pytest.raises(UnavailableError):
            await b1.driver.read()
        await asyncio.sleep(10.0)
        sample = await b1.driver.read()
        assert sample.notes == ()
        assert is_out(b1)


async def test_silent_exit_is_repeated() -> None:
    """Two lost acknowledgements of the exit: sent again until a setting is refused again."""
    async with bench() as b1:
        async with b1.driver._mode.entered():
            b1.simulator.inject(fault="drop", register=FACTORY_EXIT, count=2)
        assert b1.asked(FACTORY_EXIT, WRITE) == 3
        assert is_out(b1)


@pytest.mark.parametrize("register", [FACTORY_ENTER, FACTORY_EXIT])
async def test_an_acknowledgement_with_a_flipped_bit(register: int) -> None:
    """DD xx 00 00 00 00 77 with the top bit of its status flipped looks like a refusal without a checksum: the mode is left."""
    async with bench(PROTECTED, factory_timeout_s=None) as b1:
        written, flipped = b1.transport.write, False

        def flip(data: bytes) -> None:
            nonlocal flipped
            if data[1:3] != bytes((WRITE, register)) or flipped:
                written(data)
                return
            flipped = True
            receive = b1.simulator.memory.on_bytes
            heard = bytearray()

            def once(piece: bytes) -> None:
                heard.extend(piece)
                if len(heard) == len(ACKNOWLEDGED):
                    b1.simulator.memory.on_bytes = receive
                    receive(bytes((*heard[:2], heard[2] ^ 0x80, *heard[3:])))

            b1.simulator.memory.on_bytes = once
            written(data)

        b1.transport.write = flip  # type: ignore[method-assign]
        sample = await b1.driver.read()
        assert flipped
        assert is_out(b1)
        assert sample.limit_charge_a == 230.0
        assert b1.line.counters["doubtful_80"] == 1


async def test_left_by_another_program() -> None:
    """A board found in the mode (an earlier run was killed) is taken out first, then entered in order."""
    async with bench(PROTECTED, factory_timeout_s=None) as b1:
        await b1.driver._board.enter_configuration()
        assert (await b1.driver.read()).limit_charge_a == 230.0
        assert b1.asked(FACTORY_EXIT, WRITE) == 2
        assert b1.stat("factory_exits") == 2


async def test_a_board_that_needs_no_mode() -> None:
    """Firmware that answers settings always is not taken into the mode, and not taken for stuck."""
    async with bench(PROTECTED) as b1:
        for register, word in ((0x28, 0x59D8), (0x29, 0xA628)):
            b1.simulator.raw(register, reply_of(register, word))
        for register in (0x24, *TRIP_POINTS[:-2]):
            b1.simulator.raw(register, reply_of(register, 3650))
        assert (await b1.driver.read()).limit_charge_a == 230.0
        assert b1.asked(FACTORY_ENTER, WRITE) == 0
        assert not b1.driver._mode.stuck


def reply_of(register: int, word: int) -> bytes:
    """Return the frame of one setting: checksum (65536 - sum of status, length and payload)."""
    payload = word.to_bytes(2, "big")
    return bytes((0xDD, register, 0, 2)) + payload + ((65536 - 2 - sum(payload)) & 0xFFFF).to_bytes(2, "big") + b"\x77"


async def test_refused_entry_breaks_nothing() -> None:
    """A board that refuses the mode (a PIN): samples go on with configured limits, and say why; tried again after 60 s."""
    async with bench(PROTECTED, **PIN) as b1:
        sample = await b1.driver.read()
        assert sample.voltage_v is not None
        assert sample.limit_charge_a is None
        assert "trip points not read" in sample.notes[0]
        assert "refused with 81" in sample.notes[0]
        for _ in range(50):
            await asyncio.sleep(1.0)
            await b1.driver.read()
        assert b1.asked(FACTORY_ENTER, WRITE) == 1
        await asyncio.sleep(10.0)
        await b1.driver.read()
        assert b1.asked(FACTORY_ENTER, WRITE) == 2


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("123456\n", ""),
        ("654321", "refused with 83: wrong password"),
        ("1234", "4 characters, expected 6"),
        (None, "No such file or directory"),
    ],
)
async def test_password(tmp_path: Path, text: str | None, outcome: str) -> None:
    """A board with a PIN opens for the password of the file; what is wrong with password or file is named."""
    path = tmp_path / "pin"
    if text is not None:
        path.write_text(text)
        path.chmod(0o600)
    options = JbdOptions(read_protection=True, rating=Rating(250.0, 250.0), password_file=str(path))
    async with bench(options, **PIN) as b1:
        sample = await b1.driver.read()
        assert (sample.limit_charge_a == 230.0) == (not outcome)
        assert outcome in "".join(sample.notes)
        assert is_out(b1)


async def test_a_board_without_passwords(tmp_path: Path) -> None:
    """Firmware without the feature refuses 06 with 80 (captured): not fatal where the mode opens without."""
    path = tmp_path / "pin"
    path.write_text("123456")
    path.chmod(0o600)
    async with bench(JbdOptions(password_file=str(path)), driver={"current_control": "gate"}) as b1:
        with pytest.raises(DriverError, match="refused with 80"):
            await b1.driver._board.present_password()
        await b1.driver.set_current(5.0)


async def test_a_password_that_everybody_may_read(tmp_path: Path) -> None:
    """A file that others may read is refused by name, with what to do."""
    path = tmp_path / "pin"
    path.write_text("123456")
    path.chmod(0o644)
    async with bench(JbdOptions(password_file=str(path)), **PIN) as b1:
        with pytest.raises(DriverError, match="everybody may read it; chmod 640 it"):
            await b1.driver._board.present_password()
