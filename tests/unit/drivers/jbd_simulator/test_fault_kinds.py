"""Each way to go wrong, on the bytes and instants of the line."""

import asyncio
import math

import pytest

from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.jbd.simulator.fault_kinds import FAULTS
from bosd.drivers.jbd.simulator.faults import parse_rule
from tests.unit.drivers.jbd_simulator.bench_pack import BASIC, BYTE_S, CELLS, Bench


def make(**rule: object) -> Bench:
    """Return a bench with one fault and a turnaround of 15 ms."""
    bench = Bench(turnaround_ms=(15.0, 15.0))
    bench.injector.rules.append(parse_rule(rule, bench.now_s))
    return bench


def pieces(bench: Bench, request: bytes = BASIC) -> list[tuple[float, bytes]]:
    """Return what comes back, each piece with when it starts after the request's last byte."""
    bench.now_s += 1.0
    replies = bench.station.receive(request, bench.now_s)
    end_s = bench.now_s + len(request) * BYTE_S
    return [(round(starts_s - end_s, 9), data) for reply in replies for starts_s, data in reply.segments]


GOOD = Bench().ask(BASIC)
GOOD_CELLS = Bench().ask(CELLS)


def test_drop_byte_takes_that_many_bytes_out() -> None:
    """What is left is the reply without them, in order."""
    for count in (1, 3):
        got = make(fault="drop_byte", bytes=count).ask(BASIC)
        assert len(got) == len(GOOD) - count
        rest = iter(GOOD)
        assert all(byte in rest for byte in got)


def test_lost_and_flipped_bytes_come_at_their_rate() -> None:
    """Of 400 replies of 34 bytes at 5 %, 680 bytes are hit; five sigma are 127."""
    bench = make(fault="lose_bytes", rate=0.05)
    lost = sum(len(GOOD) - len(bench.ask(BASIC)) for _ in range(400))
    assert abs(lost - 680) <= 5 * math.sqrt(400 * 34 * 0.05 * 0.95)
    bench = make(fault="flip_bits", rate=0.05)
    bits = sum((got ^ right).bit_count() for _ in range(400) for got, right in zip(bench.ask(BASIC), GOOD, strict=True))
    assert abs(bits - 680) <= 127


@pytest.mark.parametrize(("fault", "place"), [("wrong_echo", 1), ("wrong_end", -1)])
def test_one_byte_of_the_frame_is_wrong(fault: str, place: int) -> None:
    """The register that no checksum covers, and the end."""
    got = make(fault=fault).ask(BASIC)
    assert [index for index in range(len(GOOD)) if got[index] != GOOD[index]] == [place % len(GOOD)]


def test_a_duplicate_follows_after_its_gap() -> None:
    """Twice the same."""
    (first_s, first), (second_s, second) = pieces(make(fault="duplicate", gap_s=0.05))
    assert first == second == GOOD
    assert second_s - first_s == pytest.approx(len(GOOD) * BYTE_S + 0.05)


def test_a_split_pauses_where_it_is_told_or_anywhere() -> None:
    """After 9 bytes, for 0.3 s; without a place at a random one inside."""
    (first_s, first), (second_s, second) = pieces(make(fault="split", after_bytes=9, gap_s=0.3))
    assert (len(first), first + second) == (9, GOOD)
    assert second_s - first_s == pytest.approx(9 * BYTE_S + 0.3)
    bench = make(fault="split")
    anywhere = {len(pieces(bench)[0][1]) for _ in range(30)}
    assert len(anywhere) > 5
    assert all(0 < size < len(GOOD) for size in anywhere)


def test_a_prefix_may_end_in_a_false_header() -> None:
    """Rubbish alone, or DD, a register that is asked for, status 00 and a length."""
    got = make(fault="prefix", bytes=3).ask(BASIC)
    assert (len(got), got[3:]) == (len(GOOD) + 3, GOOD)
    got = make(fault="prefix", bytes=0, header=1).ask(BASIC)
    assert got[4:] == GOOD
    assert (got[0], got[1] in (3, 4, 5), got[2], 1 <= got[3] <= 27) == (0xDD, True, 0, True)


def test_an_echo_comes_at_once_and_the_reply_when_it_would() -> None:
    """The adapter hears itself; the board still takes its 15 ms."""
    assert pieces(make(fault="echo")) == [(0.0, BASIC), (pytest.approx(7 * BYTE_S + 0.015), GOOD)]


def test_a_late_reply_meets_the_next_request() -> None:
    """Nothing for 03; then, asked for 04, the reply to 03, a pause, and the one to 04."""
    bench = make(fault="late", count=1, gap_s=0.02)
    assert pieces(bench) == []
    (first_s, first), (second_s, second) = pieces(bench, CELLS)
    assert (first, second) == (GOOD, GOOD_CELLS)
    assert second_s - first_s == pytest.approx(len(GOOD) * BYTE_S + 0.02)
    assert [data for _, data in pieces(bench)] == [GOOD]


def test_late_replies_for_good_are_one_behind() -> None:
    """With every reply late, each request meets its predecessor's."""
    bench = make(fault="late")
    assert [bench.ask(request) for request in (BASIC, CELLS, CELLS, BASIC)] == [b"", GOOD, GOOD_CELLS, GOOD_CELLS]


def test_coalesced_replies_arrive_in_one_piece() -> None:
    """Both at the same instant, when the last byte is due."""
    bench = make(fault="coalesce", count=1)
    assert bench.ask(BASIC) == b""
    (reply,) = bench.station.receive(CELLS, 2000.0)
    assert reply.data == GOOD + GOOD_CELLS
    assert len(set(reply.deadlines_s)) == 1
    assert reply.deadlines_s[0] == pytest.approx(2000.0 + 7 * BYTE_S + 0.015 + len(reply.data) * BYTE_S)


def test_previous_repeats_the_reply_before() -> None:
    """The first has no predecessor and is itself."""
    bench = make(fault="previous")
    assert [bench.ask(request) for request in (BASIC, CELLS, CELLS)] == [GOOD, GOOD, GOOD_CELLS]


def test_bluetooth_pieces_arrive_whole() -> None:
    """34 bytes are 20 + 14, 7.5 ms apart, each at one instant (41 would be 20 + 20 + 1)."""
    bench = make(fault="pieces")
    (reply,) = bench.station.receive(BASIC, 2000.0)
    assert [len(data) for _, data in reply.segments] == [20, 14]
    assert len(set(reply.deadlines_s)) == 2
    assert reply.segments[1][0] - reply.segments[0][0] == pytest.approx(20 * BYTE_S + 0.0075)


def test_a_drifting_clock_stretches_the_bytes() -> None:
    """3 % slow: 34 bytes take 1.03 times as long; with a period it swings both ways."""
    (reply,) = make(fault="drift").station.receive(BASIC, 2000.0)
    assert reply.ends_s - reply.segments[0][0] == pytest.approx(34 * BYTE_S * 1.03)
    bench, spans_s = make(fault="drift", percent=5.0, period_s=100.0), []
    for quarter in range(8):
        (reply,) = bench.station.receive(BASIC, 2000.0 + quarter * 25.0)
        spans_s.append((reply.ends_s - reply.segments[0][0]) / (34 * BYTE_S))
    assert max(spans_s) == pytest.approx(1.05, abs=1e-4)
    assert min(spans_s) == pytest.approx(0.95, abs=1e-4)


def test_a_stuck_board_neither_hears_nor_acts() -> None:
    """Five seconds of nothing, in which a switch command is lost; then it is as before."""
    bench = make(fault="stuck", seconds=5.0, probability=1.0, count=1)
    assert bench.ask(BASIC) == b""
    assert bench.ask(bytes.fromhex("dd5ae1020003ff1a77"), after_s=1.0) == b""
    assert bench.plant.charge_enabled
    assert bench.ask(BASIC, after_s=3.0) == b""
    assert bench.ask(BASIC, after_s=1.1) == GOOD


def test_chatter_has_no_start_byte_in_it() -> None:
    """As the heartbeat of other firmware, in front of the reply."""
    bench = make(fault="chatter", bytes=100, probability=1.0)
    for _ in range(20):
        got = bench.ask(BASIC)
        assert got.endswith(GOOD)
        assert (len(got), 0xDD in got[:100]) == (100 + len(GOOD), False)


@pytest.mark.parametrize("fault", [name for name, kind in FAULTS.items() if not kind.strikes_board])
def test_no_reply_is_nothing_to_spoil(fault: str) -> None:
    """A request the board ignores (wrong checksum) stays without a reply, whatever is injected; only an echo has its say."""
    bench = make(fault=fault)
    broken = BASIC[:-2] + b"\x00\x77"
    assert bench.ask(broken) == (broken if fault == "echo" else b"")
    assert bench.ask(broken) == (broken if fault == "echo" else b"")


@pytest.mark.jumping
async def test_chatter_by_the_clock_needs_no_request() -> None:
    """Three times, 2 s apart, unasked; the pace is the line's."""
    async with JbdSimulator(SimulatorOptions()) as simulator:
        loop, arrived = asyncio.get_running_loop(), list[tuple[float, bytes]]()
        simulator.memory.on_bytes = lambda data: arrived.append((loop.time(), data))
        simulator.inject(fault="chatter", bytes=4, after_s=1.0, every_s=2.0, count=3)
        await asyncio.sleep(10.0)
    assert sum(len(data) for _, data in arrived) == 12
    assert [round(at_s) for at_s, _ in arrived if round(at_s % 1, 3) == round(BYTE_S, 3)] == [1, 3, 5]


@pytest.mark.jumping
async def test_a_reset_hangs_up_and_the_line_is_there_again() -> None:
    """What was in flight is gone; the next request is answered."""
    async with JbdSimulator(SimulatorOptions()) as simulator:
        heard, hung_up = bytearray(), asyncio.Event()
        simulator.memory.on_bytes = heard.extend
        simulator.memory.on_hangup = hung_up.set
        simulator.memory.write(BASIC)
        await asyncio.sleep(0.04)
        simulator.inject(fault="reset")
        assert hung_up.is_set()
        await asyncio.sleep(1.0)
        assert len(heard) < 34
        heard.clear()
        simulator.memory.write(BASIC)
        await asyncio.sleep(0.2)
        assert bytes(heard) == Bench(capacity_spread=0.005).ask(BASIC)
