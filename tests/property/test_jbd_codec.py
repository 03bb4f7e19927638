"""Properties of the JBD codec: round trips, independence of cuts, and no harm from any bytes."""

import random
import struct

from hypothesis import given
from hypothesis import strategies as st

from bosd.drivers.jbd.codec import decode_basic, decode_cells
from bosd.drivers.jbd.framing import Frame, FrameParser, FrameReader
from bosd.drivers.jbd.sample import build_sample
from bosd.errors import DriverError
from tests.support.jbd_frames import basic_payload, cells_payload, reply

WORD = st.integers(0, 0xFFFF)
FRAMES = st.builds(
    Frame, st.integers(0, 255).filter(lambda number: number not in (0xA5, 0x5A)), st.just(0), st.binary(max_size=255)
)


def to_bytes(frame: Frame) -> bytes:
    """Put a frame on the wire by the formula of the protocol."""
    return reply(frame.register, frame.payload, frame.status)


@given(st.lists(FRAMES, max_size=6), st.randoms(use_true_random=False))
def test_cuts_do_not_matter(frames: list[Frame], rng: random.Random) -> None:
    """A stream of frames comes out whole and in order, however it is cut."""
    stream = b"".join(map(to_bytes, frames))
    cuts = sorted(rng.randrange(len(stream) + 1) for _ in range(rng.randrange(12)))
    parser, found = FrameParser(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += parser.feed(stream[start:end])
    assert found == frames
    assert not parser.rejects


@given(FRAMES, st.binary(max_size=300).filter(lambda noise: 0xDD not in noise))
def test_noise_without_a_start_byte_is_skipped(frame: Frame, noise: bytes) -> None:
    """Any rubbish without DD before a frame costs nothing but a count."""
    parser = FrameParser()
    assert parser.feed(noise + to_bytes(frame)) == [frame]
    assert parser.rejects == ({"bad_start": 1} if noise else {})


@given(FRAMES, st.binary(max_size=300))
def test_a_frame_after_any_noise_is_found_when_the_line_is_silent(frame: Frame, noise: bytes) -> None:
    """Whatever came before, the frame is found, at the latest when the line falls silent."""
    parser = FrameParser()
    found = parser.feed(noise + to_bytes(frame)) + parser.expire()
    assert found[-1] == frame
    assert parser.pending_bytes == 0


@given(FRAMES, st.integers(0))
def test_one_flipped_bit_never_passes(frame: Frame, bit: int) -> None:
    """No frame survives a flipped bit as a success of its register."""
    spoiled = bytearray(to_bytes(frame))
    bit %= len(spoiled) * 8
    spoiled[bit // 8] ^= 1 << bit % 8
    reader = FrameReader(frame.register)
    reader.begin()
    found = reader.feed(bytes(spoiled)) or reader.expire()
    assert found is None or (found.status, found.payload) != (0, frame.payload)


@given(
    WORD,
    st.integers(-32768, 32767),
    WORD,
    WORD,
    st.lists(WORD, max_size=8),
    st.binary(max_size=30).filter(lambda tail: not tail or tail[0] < 0x80),
)
def test_basic_round_trip(voltage: int, current: int, remaining: int, capacity: int, sensors: list[int], tail: bytes) -> None:
    """What is packed by the protocol's table is read back in its units, whatever the tail."""
    payload = basic_payload(
        voltage_10mv=voltage,
        current_10ma=current,
        remaining_10mah=remaining,
        capacity_10mah=capacity,
        temperatures=tuple(sensors),
        tail=tail,
    )
    info = decode_basic(payload)
    assert (info.voltage_v, info.inflow_a) == (voltage / 100, current / 100)
    assert (info.remaining_ah, info.capacity_ah) == (remaining / 100, capacity / 100)
    assert info.temperatures_c == tuple((word - 2731) / 10 for word in sensors)
    assert info.extra == tail


@given(st.lists(WORD, min_size=1, max_size=32))
def test_cells_round_trip(millivolts: list[int]) -> None:
    """Cells are thousandths of a volt, in order, as many as came."""
    assert decode_cells(cells_payload(*millivolts)) == tuple(word / 1000 for word in millivolts)


@given(st.binary(max_size=60), st.binary(max_size=70), st.integers(0, 3))
def test_any_payload_makes_a_sample_or_an_error(basic: bytes, cells: bytes, opened: int) -> None:
    """Whatever a board sends, the result is a sample with true values or a driver error; nothing else escapes."""
    try:
        info, cells_v = decode_basic(basic), decode_cells(cells)
    except DriverError:
        return
    sample = build_sample(info, cells_v, sampled_s=0.0, sampled_utc_s=0.0, cells_s=0.0, opened=opened)
    assert sample.soc is None or 0.0 <= sample.soc <= 1.0
    assert sample.cells_v is None or max(sample.cells_v) <= 5.0
    assert sample.charge_ah is None or (sample.capacity_ah is not None and sample.charge_ah <= 1.2 * sample.capacity_ah)
    assert bool(sample.blocked_by) == (not (sample.charge_allowed and sample.discharge_allowed))


def test_fuzz() -> None:
    """Fifty thousand seeded inputs, half of them shaped like frames: memory stays bounded, nothing escapes or passes as reply."""
    rng = random.Random(4004)
    reader, parser = FrameReader(3), FrameParser()
    for _ in range(50_000):
        data = rng.randbytes(rng.randrange(64))
        if rng.random() < 0.5:
            data = struct.pack(">BBBB", 0xDD, rng.choice((3, 4, 5)), rng.choice((0, 0x80)), len(data)) + data + b"\x77"
        reader.begin()
        found = reader.feed(data) or reader.expire()
        assert found is None or found.register == 3
        parser.feed(data)
        assert parser.pending_bytes <= 261
    assert len(parser.rejects) <= 4
