"""What users complain about in other drivers (jbd.md, section 12): a test each, on the simulated board in virtual time."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from bosd.bal.device import Sample
from bosd.clock import LoopClock
from bosd.drivers.jbd.driver import JbdDriver, JbdOptions
from bosd.drivers.jbd.limits import Rating
from bosd.drivers.line import Line
from bosd.drivers.transport import MemoryTransport
from bosd.errors import DriverError, NotFollowedError, UnavailableError
from tests.support.jbd_bench import Bench, bench
from tests.support.jbd_frames import FakeBoard, basic_payload, cells_payload, reply

pytestmark = pytest.mark.jumping

GATE: dict[str, Any] = {"current_control": "gate", "safe": "open"}


def drive(respond: Callable[[bytes], bytes], **driver: Any) -> JbdDriver:
    """Return a driver of whatever answers."""
    return JbdDriver(Line(MemoryTransport(respond)), LoopClock(asyncio.get_running_loop()), name="b1", **driver)


async def polled(b1: Bench, count: int, period_s: float = 1.0) -> list[Sample]:
    """Return the samples of so many polls; those without one are left out."""
    samples = []
    for _ in range(count):
        with contextlib.suppress(DriverError, UnavailableError):
            samples.append(await b1.driver.read())
        await asyncio.sleep(period_s)
    return samples


@pytest.mark.parametrize("artefact", ["none", "zeros", "ff", "split"])
async def test_1_no_reply_insufficient_data_sleep(artefact: str) -> None:
    """A board that sleeps after 30 s swallows a request and wakes with an artefact: each poll gives a sample all the same."""
    async with bench(sleep_after_s=30.0, wake_artefact=artefact) as b1:
        assert len(await polled(b1, 20, period_s=40.0)) == 20
        assert b1.stat("swallowed") == 19


async def test_1_no_reply_insufficient_data_noise() -> None:
    """Replies cut short, dropped, late or spoiled: what comes is right, and a clean line gives every sample."""
    async with bench() as b1:
        for fault in ("truncate", "drop", "corrupt", "flip_bit"):
            b1.simulator.inject(fault=fault, probability=0.1)
        b1.simulator.inject(fault="delay", probability=0.1, delay_s=0.35)
        samples = await polled(b1, 300)
        assert len(samples) > 270
        assert {sample.charge_ah for sample in samples} == {50.0}
        b1.simulator.clear_faults()
        await asyncio.sleep(1.0)
        assert len(await polled(b1, 20)) == 20


async def test_1_a_read_before_the_reply_has_ended() -> None:
    """A cancelled read leaves a reply on the line: the next one waits for its end and is not given it."""
    async with bench() as b1:
        for cut_ms in range(10, 100, 10):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(cut_ms / 1000.0):
                    await b1.driver.read()
            sample = await b1.driver.read()
            assert (sample.charge_ah, len(sample.cells_v or ())) == (50.0, 4)


@pytest.mark.parametrize("noise", ["ff", "0000", "dd", "dddd03", "dd030000", "dd04", "77dd77", "dd03001d0000", "dda503"])
async def test_2_invalid_header_and_resync(noise: str) -> None:
    """Noise and false headers in front of a reply do not hide it."""
    board = FakeBoard()
    sample = await drive(lambda request: bytes.fromhex(noise) + board.respond(request)).read()
    assert (sample.voltage_v, sample.cells_v) == (13.2, (3.3,) * 4)


@pytest.mark.parametrize("gap_ms", [50, 80, 120, 140])
async def test_2_gaps_inside_a_reply(gap_ms: int) -> None:
    """Pauses that real boards make while charging (up to 150 ms, esphome 4) do not cut a reply."""
    board = FakeBoard()

    def respond(request: bytes) -> bytes:
        answer = board.respond(request)
        asyncio.get_running_loop().call_later(gap_ms / 1000.0, line.data_received, answer[10:])
        return answer[:10]

    line = Line(MemoryTransport(respond))
    driver = JbdDriver(line, LoopClock(asyncio.get_running_loop()), name="b1")
    assert (await driver.read()).voltage_v == 13.2
    assert line.counters["attempts"] == 2


async def test_2_long_replies() -> None:
    """The longest of everything: 32 cells, eight sensors and a tail arrive whole (esphome 20: cut by a fixed buffer)."""
    async with bench(series=32, ntc_count=8, tail="standard") as b1:
        sample = await b1.driver.read()
        assert (len(sample.cells_v or ()), len(sample.temperatures_c or ())) == (32, 8)


@pytest.mark.parametrize("keep_bytes", [0, 1, 4, 7, 14, 20])
async def test_3_truncated_replies_are_no_zero_cells(keep_bytes: int) -> None:
    """A cut reply is never shown in part: cells are the last ones, or unknown, never 0."""
    async with bench() as b1:
        b1.simulator.inject(fault="truncate", keep_bytes=keep_bytes, register=4, probability=0.5)
        for sample in await polled(b1, 60):
            assert sample.cells_v is None or min(sample.cells_v) > 3.0


async def test_4_first_command_lost_after_connect() -> None:
    """A first request that nobody hears costs one attempt, not the sample."""
    async with bench() as b1:
        b1.simulator.inject(fault="drop", count=1)
        assert (await b1.driver.read()).voltage_v is not None
        assert b1.line.counters["attempts"] == b1.line.counters["requests"] + 1


async def test_5_a_refused_name_breaks_nothing() -> None:
    """A board that refuses every optional register (80), or is silent on them, is set up and read; each is asked once."""
    optional = (0x00, 0x05, 0xA0, 0xA1, 0xA2, 0xAA)
    for silent in (False, True):
        async with bench() as b1:
            for register in optional:
                b1.simulator.raw(register, b"" if silent else reply(register, status=0x80))
            assert len(await polled(b1, 60)) == 60
            most = 2 if silent else 1  # of a silent request the line may send a second before its time is up
            assert all(1 <= b1.asked(register) <= most for register in optional)


async def test_5_identity_delays_a_poll_by_one_request_at_most() -> None:
    """While identity and counters are read, no poll makes more than one request beside its own two, and six cycles have all."""
    async with bench(driver={}) as b1:
        for _ in range(8):
            before = b1.line.counters["requests"]
            await b1.driver.read()
            assert b1.line.counters["requests"] - before <= 3
        facts = b1.driver.facts()
        assert dict(facts.identity)["hardware"] == "BOSD-SIM-JBD"
        assert len(facts.trips) == 12
        asked = b1.asked(0xAA)
        await asyncio.sleep(4.0)
        await polled(b1, 620)
        assert b1.asked(0xAA) == asked + 1


async def test_6_a_board_that_wants_authentication() -> None:
    """A board that refuses everything until it is unlocked is named as locked, with its status, not as broken."""
    board = FakeBoard()
    board.answers = {register: reply(register, status=0x81) for register in range(256)}
    with pytest.raises(DriverError, match="refused with 81: not in factory mode or locked by a password") as caught:
        await drive(board.respond).read()
    assert caught.value.metadata["status"] == "81"


async def test_7_no_reconnect_storm() -> None:
    """A port that is gone is tried once a poll, not in a loop, and is back with the first poll after it."""
    async with bench() as b1:
        await b1.driver.read()
        b1.simulator.memory.unplug(60.0)
        opens = b1.line.counters["opens"]
        assert await polled(b1, 25, period_s=2.0) == []
        assert b1.line.counters["opens"] == opens
        await asyncio.sleep(11.0)
        assert len(await polled(b1, 5)) == 5
        assert b1.line.counters["opens"] == opens + 1


async def test_8_switches_are_read_back() -> None:
    """A board that acknowledges and does not switch fails the command with what it shows; one that switches back is named."""
    async with bench(driver=GATE) as b1:
        b1.simulator.raw(0xE1, reply(0xE1))
        with pytest.raises(NotFollowedError, match="FETs show 11"):
            await b1.driver.set_current(5.0)
        b1.simulator.raw(0xE1, None)
        await b1.driver.set_current(5.0)
        b1.simulator.set(charge_enabled=True)
        assert (await b1.driver.read()).notes == ("charge switch closed by another program, commanded open",)


async def test_9_two_packs_are_two() -> None:
    """Two packs of one model, with one name and one barcode, are told apart by their configured names and ports alone."""
    async with bench(seed=1, soc=0.3) as one, bench(seed=1, soc=0.7) as other:
        await polled(one, 8)
        await polled(other, 8)
        assert one.driver.facts().identity[0] == other.driver.facts().identity[0]
        assert ((await one.driver.read()).soc, (await other.driver.read()).soc) == (0.3, 0.7)


async def test_10_soc_and_capacity_disagree() -> None:
    """105.79 of 100 Ah at 99 % (captured): three values, none derived from another."""
    board = FakeBoard(remaining_10mah=10579, capacity_10mah=10000, soc=99)
    sample = await drive(board.respond).read()
    assert (sample.charge_ah, sample.capacity_ah, sample.soc) == (105.79, 100.0, 0.99)


async def test_10_limits_come_from_the_board() -> None:
    """Trip points of the board lower the limits where that is asked for (mr-manuel 4)."""
    async with bench(JbdOptions(read_protection=True, rating=Rating(300.0, 300.0))) as b1:
        sample = await b1.driver.read()
        assert (sample.limit_discharge_a, sample.limit_charge_a) == (230.0, 230.0)


@pytest.mark.parametrize("count", range(9))
async def test_10_every_sensor(count: int) -> None:
    """As many temperatures as the board has sensors, the third included (Louisvdw 351)."""
    board = FakeBoard(temperatures=tuple(2731 + 10 * number for number in range(count)))
    sample = await drive(board.respond).read()
    assert sample.temperatures_c == (tuple(float(number) for number in range(count)) or None)


@pytest.mark.parametrize("capacity", [32767, 32768, 50000, 65535])
async def test_11_capacity_is_unsigned(capacity: int) -> None:
    """Capacities above 327.67 Ah are not negative, up to 655.35 Ah; a discharge current is signed."""
    board = FakeBoard(capacity_10mah=capacity, remaining_10mah=capacity, current_10ma=-2500)
    sample = await drive(board.respond).read()
    assert (sample.capacity_ah, sample.charge_ah, sample.current_a) == (capacity / 100, capacity / 100, 25.0)


async def test_11_beyond_655_ah() -> None:
    """With the unit flag (bit 7 behind the temperatures) current and capacity count in tenths: 3000 Ah and 296 A."""
    tail = bytes((0x80, 0, 0, 0, 0, 0, 0, 0, 0))
    board = FakeBoard(capacity_10mah=30000, remaining_10mah=12000, current_10ma=-2960, tail=tail)
    sample = await drive(board.respond).read()
    assert (sample.capacity_ah, sample.charge_ah, sample.current_a) == (3000.0, 1200.0, 296.0)


@pytest.mark.parametrize("tail", [b"", bytes(9), bytes(8), bytes(16)], ids=["none", "standard", "clone", "dh04"])
@pytest.mark.parametrize("sensors", [0, 1, 2, 3, 4, 6])
async def test_12_replies_of_every_length(sensors: int, tail: bytes) -> None:
    """Payloads of 0x17 to 0x2F and beyond: voltage, temperatures and protections are all there."""
    board = FakeBoard(temperatures=(2981,) * sensors, tail=tail, protection=0x0001)
    sample = await drive(board.respond).read()
    assert (sample.voltage_v, sample.faults) == (13.2, ("cell_overvoltage",))
    assert sample.temperatures_c == ((25.0,) * sensors or None)


async def test_13_current_keeps_its_resolution() -> None:
    """10 mA stay 10 mA: 0.01, 0.99, 1.01 and 327.67 A, both ways."""
    for raw in (1, 99, 101, 32767, -1, -99, -101, -32768):
        sample = await drive(FakeBoard(current_10ma=raw).respond).read()
        assert sample.current_a == pytest.approx(-raw / 100, abs=1e-12)


async def test_section_10_a_dead_cell_is_a_cell() -> None:
    """A cell at 0 mV is a reading and keeps its place (a peer drops it and renumbers the others)."""
    board = FakeBoard(3300, 0, 3300, 3300, voltage_10mv=1320)
    assert (await drive(board.respond).read()).cells_v == (3.3, 0.0, 3.3, 3.3)


async def test_a_reading_that_cannot_be_true_is_read_again() -> None:
    """A frame with a sound checksum but another cell count, once: not shown. Twice the same: the board is another one."""
    board = FakeBoard()
    driver = drive(board.respond)
    await driver.read()
    odd = [reply(3, basic_payload(cells=5, soc=90))]
    answered = board.respond

    def respond(request: bytes) -> bytes:
        return odd.pop() if request[2] == 3 and odd else answered(request)

    transport = driver._board.line._transport  # type: ignore[attr-defined]
    transport._respond = respond
    sample = await driver.read()
    assert (sample.soc, driver.facts().traffic.rejects) == (0.5, (("status_80", 1), ("not_believed", 1)))
    board.basic |= {"soc": 90, "remaining_10mah": 9000}
    assert (await driver.read()).soc == 0.9
    odd += [reply(3, basic_payload(cells=6)), reply(3, basic_payload(cells=7))]
    with pytest.raises(DriverError, match="not believed"):
        await driver.read()
    assert (await driver.read()).soc == 0.9
    board.answers[4] = reply(4, cells_payload(3300, 3300, 3300))
    assert len((await driver.read()).cells_v or ()) == 3


async def test_another_board_on_the_same_cable() -> None:
    """A board exchanged within a second, another cell count and charge: two readings that agree are a change, shown at once."""
    boards = [FakeBoard(), FakeBoard(*[3400] * 8, voltage_10mv=2720, cells=8, soc=80, remaining_10mah=8000)]

    def respond(request: bytes) -> bytes:
        return boards[0].respond(request)

    driver = drive(respond)
    await driver.read()
    del boards[0]
    sample = await driver.read()
    assert (sample.voltage_v, sample.soc, sample.cells_v) == (27.2, 0.8, (3.4,) * 8)


async def test_what_the_tail_says() -> None:
    """A standard tail (aces_4s_basic's form: humidity, alarm, full charge, remaining, balance current) stands among the facts."""
    tail = bytes((55,)) + b"".join(word.to_bytes(2, "big") for word in (0x0001, 9800, 5000, 120))
    driver = drive(FakeBoard(tail=tail).respond)
    await driver.read()
    told = dict(driver.facts().identity)
    assert told["full-charge capacity"] == "98 Ah"
    assert (told["balance current"], told["humidity"], told["alarm word"]) == ("120 mA", "55 %", "0001")


async def test_flips_that_cancel_out_on_a_noisy_line() -> None:
    """Where most replies are spoiled, a sound sum is not enough: two readings that differ are none, two that agree are one."""
    board = FakeBoard()
    sound = board.answers[3] = reply(3, basic_payload(temperatures=(2981, 2981)))
    coming: list[bytes] = []
    driver = drive(lambda request: coming.pop(0) if request[2] in (3, 4) and coming else board.respond(request))
    bad = sound[:-2] + bytes((sound[-2] ^ 1,)) + sound[-1:]
    for _ in range(8):  # each request is answered by its third attempt; six other registers are read once
        coming += [bad, bad, sound] * 2 + [bad, bad]
        assert (await driver.read()).voltage_v == 13.2
        coming.clear()
        await asyncio.sleep(10.0)
    flipped = reply(3, basic_payload(voltage_10mv=1321, temperatures=(2980, 2981)))  # 13.20 V up and 25.0 degC down: one sum
    assert flipped[-3:] == sound[-3:]
    coming += [flipped, bad, sound]
    with pytest.raises(DriverError, match="most replies are spoiled"):
        await driver.read()
    assert not coming
    assert (await driver.read()).voltage_v == 13.2


async def test_cells_that_can_not_be_read_again_are_let_go() -> None:
    """They are told with their time for five minutes, then they are unknown."""
    board = FakeBoard()
    silent: list[bool] = []
    driver = drive(lambda request: b"" if silent and request[2] == 4 else board.respond(request))
    assert (await driver.read()).cells_v == (3.3,) * 4
    silent.append(True)
    await asyncio.sleep(200.0)
    sample = await driver.read()
    assert sample.cells_v == (3.3,) * 4
    assert sample.cells_s == pytest.approx(0.0, abs=0.1)
    await asyncio.sleep(100.0)
    sample = await driver.read()
    assert (sample.cells_v, sample.cells_s) == (None, None)
    silent.clear()
    assert (await driver.read()).cells_v == (3.3,) * 4
