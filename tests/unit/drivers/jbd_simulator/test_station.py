"""The line's rules on an injected clock: pace, turnaround, gaps, half duplex, sleep."""

import pytest

from tests.unit.drivers.jbd_simulator.bench_pack import BASIC, BYTE_S, CELLS, Bench, read


def test_the_request_takes_its_time_before_the_turnaround_begins() -> None:
    """7 bytes are 7.29 ms at 9600 baud; the reply starts 10 to 20 ms later and its 36 bytes end 37.5 ms after that."""
    bench = Bench(ntc_count=3)
    (reply,) = bench.station.receive(BASIC, 5000.0)
    ((starts_s, data),) = reply.segments
    assert len(data) == 36
    assert 5000.0 + 7 * BYTE_S + 0.010 <= starts_s <= 5000.0 + 7 * BYTE_S + 0.020
    assert reply.ends_s - starts_s == pytest.approx(36 * BYTE_S)


def test_turnaround_follows_the_seed() -> None:
    """Same seed, same delays; another seed, others; all within the stated range."""

    def delays(seed: int) -> list[float]:
        bench = Bench(seed=seed, turnaround_ms=(3.0, 5.0))
        starts = []
        for index in range(20):
            at_s = 2000.0 + index
            (reply,) = bench.station.receive(CELLS, at_s)
            starts.append(reply.segments[0][0] - at_s - 7 * BYTE_S)
        return starts

    assert delays(1) == delays(1) != delays(2)
    assert all(0.003 - 1e-9 <= delay_s <= 0.005 + 1e-9 for delay_s in delays(1))


def test_a_request_in_pieces_is_answered_unless_the_pause_is_too_long() -> None:
    """Up to 100 ms of silence are forgiven, more forgets the beginning."""
    bench = Bench()
    assert bench.station.receive(BASIC[:4], 2000.0) == []
    assert len(bench.station.receive(BASIC[4:], 2000.0 + 4 * BYTE_S + 0.099)) == 1
    assert bench.station.receive(BASIC[:4], 2010.0) == []
    assert bench.station.receive(BASIC[4:], 2010.0 + 4 * BYTE_S + 0.101) == []
    assert bench.station.bytes_discarded == 7


@pytest.mark.parametrize(("half_duplex", "answers"), [(True, 0), (False, 1)])
def test_bytes_that_arrive_while_it_transmits_are_lost(half_duplex: bool, answers: int) -> None:
    """Half duplex on a switch."""
    bench = Bench(half_duplex=half_duplex)
    (reply,) = bench.station.receive(BASIC, 2000.0)
    late = bench.station.receive(CELLS, reply.segments[0][0] + 0.005)
    assert len(late) == answers
    assert bench.station.counts.bytes_lost == (7 if half_duplex else 0)


def test_two_requests_back_to_back_are_answered_one_after_the_other() -> None:
    """The second is heard before the first reply starts, and waits for its end plus a turnaround."""
    bench = Bench()
    first, second = bench.station.receive(BASIC + read(0x04), 2000.0)
    assert second.segments[0][0] >= first.ends_s + 0.010


def test_a_bad_checksum_is_met_with_silence_or_82() -> None:
    """Ignored by default, status 82 on a switch."""
    broken = BASIC[:-2] + b"\x00\x77"
    assert Bench().ask(broken) == b""
    assert Bench(answer_bad_checksum=True).ask(broken).hex() == "dd038200ff7e77"


def test_after_thirty_seconds_idle_the_next_request_is_swallowed() -> None:
    """Asleep: the first packet wakes the board and is lost, the repetition is answered."""
    bench = Bench(sleep_after_s=30.0)
    assert bench.ask(BASIC)
    assert bench.ask(BASIC, after_s=29.9)
    assert bench.ask(BASIC, after_s=30.1) == b""
    assert bench.station.counts.swallowed == 1
    assert bench.ask(BASIC, after_s=0.3)
    assert bench.ask(BASIC)


def test_a_wake_byte_is_enough_when_a_pause_follows() -> None:
    """Any edge wakes; what comes after a pause is heard, what comes at once is lost with it."""
    bench = Bench(sleep_after_s=30.0)
    assert bench.ask(b"\x00", after_s=31.0) == b""
    assert bench.ask(BASIC, after_s=0.01)
    assert bench.ask(b"\x00" + BASIC, after_s=31.0) == b""


@pytest.mark.parametrize(("artefact", "prefix"), [("zeros", b"\x00\x00"), ("ff", b"\xff"), ("none", b"")])
def test_the_first_reply_after_sleep_may_follow_noise(artefact: str, prefix: bytes) -> None:
    """Captured wake artefacts, on the first reply alone."""
    bench = Bench(sleep_after_s=30.0, wake_artefact=artefact)
    bench.ask(BASIC, after_s=31.0)
    assert bench.ask(BASIC).startswith(prefix + b"\xdd\x03")
    assert bench.ask(BASIC).startswith(b"\xdd\x03")


def test_the_first_reply_after_sleep_may_come_in_two_pieces() -> None:
    """Seven bytes, then the remainder 200 ms later."""
    bench = Bench(sleep_after_s=30.0, wake_artefact="split")
    bench.ask(BASIC, after_s=31.0)
    (reply,) = bench.station.receive(BASIC, bench.now_s + 1.0)
    (first_s, first), (second_s, second) = reply.segments
    assert len(first) == 7
    assert second_s == pytest.approx(first_s + 7 * BYTE_S + 0.2)
    assert (first + second)[:3].hex() == "dd0300"


def test_sleep_can_be_switched_off() -> None:
    """None never sleeps."""
    assert Bench(sleep_after_s=None).ask(BASIC, after_s=100_000.0)


def test_a_raw_answer_stands_in_for_the_board() -> None:
    """Captured frames can be replayed byte for byte; empty is silence."""
    bench = Bench()
    bench.station.raw[3] = bytes.fromhex("dd038200ff7e77")
    bench.station.raw[4] = b""
    assert bench.ask(BASIC).hex() == "dd038200ff7e77"
    assert bench.ask(CELLS) == b""


def test_a_megabyte_of_noise_leaves_it_answering() -> None:
    """Rubbish is dropped; after a pause the next request is understood."""
    bench = Bench()
    noise = bench.options.rng("noise").randbytes(1 << 20)
    bench.ask(noise)
    assert bench.ask(BASIC, after_s=0.5).startswith(b"\xdd\x03\x00")
