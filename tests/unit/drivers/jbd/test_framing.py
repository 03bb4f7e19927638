"""Framing: requests to bytes, bytes to frames, and rubbish to counted rejects."""

import random
from typing import Any

import pytest

from bosd.drivers.jbd.framing import Frame, FrameParser, FrameReader, encode_read, encode_write
from bosd.errors import UnsupportedError
from tests.support.jbd_frames import READ_BASIC, READ_CELLS, basic_payload, cells_payload, load_captures, need_captures, reply

BASIC_REPLY = reply(0x03, basic_payload())
CELLS_REPLY = reply(0x04, cells_payload(3300, 3301, 3302, 3303))


def run_reader(frame: dict[str, Any]) -> tuple[Frame | None, FrameReader]:
    """Feed a recorded exchange to a reader of its request's register, silence at the end."""
    reader = FrameReader(bytes.fromhex(frame["request_hex"])[2])
    reader.begin()
    found = None
    for chunk in frame.get("chunks_hex", [frame["response_hex"]]):
        found = found or reader.feed(bytes.fromhex(chunk))
    return found or reader.expire(), reader


def test_common_requests() -> None:
    """The read requests are the ones the vendor's document prints."""
    assert encode_read(0x03) == READ_BASIC
    assert encode_read(0x04) == READ_CELLS
    assert encode_read(0x05) == bytes.fromhex("dda50500fffb77")


@pytest.mark.parametrize(
    ("off", "request_hex"), [(0, "dd5ae1020000ff1d77"), (1, "dd5ae1020001ff1c77"), (2, "dd5ae1020002ff1b77")]
)
def test_fet_requests(off: int, request_hex: str) -> None:
    """FET commands are the captured ones."""
    assert encode_write(0xE1, bytes((0, off))) == bytes.fromhex(request_hex)


@pytest.mark.parametrize("register", [0x07, 0x09, 0xAD, 0xAF, 0xB0, 0xC0, 0xCF, 0xD0, 0xD7, 0x10, 0x28, 0xE3, 0xFB, 0xFC, 0x03])
def test_forbidden_registers_cannot_be_written(register: int) -> None:
    """Passwords, calibration, configuration and undocumented commands cannot be put into bytes at all."""
    for length in range(16):
        with pytest.raises(UnsupportedError):
            encode_write(register, bytes(length))


def test_write_with_another_length_is_refused() -> None:
    """A FET command has two bytes, whatever the caller thinks."""
    with pytest.raises(UnsupportedError):
        encode_write(0xE1, b"\x03")


@pytest.mark.parametrize("frame", load_captures(), ids=lambda frame: frame["name"])
def test_recorded_requests_are_what_we_encode(frame: dict[str, Any]) -> None:
    """Every read request of the captures is what `encode_read` makes for its register."""
    request = bytes.fromhex(frame["request_hex"])
    if request[1] == 0xA5:
        assert encode_read(request[2]) == request


@pytest.mark.parametrize("frame", load_captures("reply", "config", "write", "stream"), ids=lambda frame: frame["name"])
def test_recorded_replies_are_found(frame: dict[str, Any]) -> None:
    """Every accepted reply and stream yields its frame, for the register that was asked."""
    found, _ = run_reader(frame)
    assert found is not None
    assert (found.register, found.status) == (bytes.fromhex(frame["request_hex"])[2], 0)


@pytest.mark.parametrize("frame", load_captures("rejected"), ids=lambda frame: frame["name"])
def test_recorded_rejects_have_their_reason(frame: dict[str, Any]) -> None:
    """Every rejected exchange is rejected with its reason; where only the payload is bad, the framing is sound."""
    found, reader = run_reader(frame)
    expected = frame["expected"]
    if expected["reason"] == "payload":
        assert found is not None
        assert not reader.rejects
    elif expected["reason"].startswith("status"):
        assert found is None or found.status == expected["status"]
        assert reader.rejects == {f"status_{expected['status']:02x}": 1}
    else:
        assert found is None
        assert next(iter(reader.rejects)) == expected["reason"]


def test_captures_are_complete() -> None:
    """The captures hold what the tests above run over: 106 frames, 28 of them rejected."""
    need_captures()
    frames = load_captures()
    assert len(frames) == 106
    assert sum(frame["expected"]["outcome"] == "rejected" for frame in frames) == 28


@pytest.mark.parametrize("whole", [BASIC_REPLY, CELLS_REPLY, reply(0xE1), reply(0x03, status=0x80)])
def test_every_flipped_bit_is_noticed(whole: bytes) -> None:
    """One wrong bit anywhere never yields the frame that was sent, nor any success for its register."""
    for bit in range(len(whole) * 8):
        spoiled = bytearray(whole)
        spoiled[bit // 8] ^= 1 << bit % 8
        reader = FrameReader(whole[1])
        reader.begin()
        found = reader.feed(bytes(spoiled)) or reader.expire()
        assert found is None or found.status != 0, bit


@pytest.mark.parametrize("frame", load_captures("reply"), ids=lambda frame: frame["name"])
def test_every_flipped_bit_of_the_recorded_replies_is_noticed(frame: dict[str, Any]) -> None:
    """The checksum is additive, so a single flipped bit is always seen: in all 44 accepted replies."""
    whole = bytes.fromhex(frame["response_hex"])
    for bit in range(len(whole) * 8):
        spoiled = bytearray(whole)
        spoiled[bit // 8] ^= 1 << bit % 8
        reader = FrameReader(whole[1])
        reader.begin()
        assert (reader.feed(bytes(spoiled)) or reader.expire()) is None, bit


def test_bytes_one_at_a_time() -> None:
    """A frame cut into single bytes is found with the last one, not before."""
    reader = FrameReader(0x03)
    reader.begin()
    found = [reader.feed(bytes((byte,))) for byte in BASIC_REPLY]
    assert found[:-1] == [None] * (len(BASIC_REPLY) - 1)
    assert found[-1] == Frame(0x03, 0, basic_payload())


def test_two_frames_glued() -> None:
    """Of two replies in one piece the one that was asked for is delivered, the other is counted."""
    reader = FrameReader(0x04)
    reader.begin()
    assert reader.feed(BASIC_REPLY + CELLS_REPLY) == Frame(0x04, 0, cells_payload(3300, 3301, 3302, 3303))
    assert reader.rejects == {"register_mismatch": 1}


def test_start_and_end_bytes_inside_a_payload() -> None:
    """DD and 77 in a payload frame nothing: the length does."""
    payload = cells_payload(0xDD04, 0x0077, 0xDDDD, 0x7777, 0xDD03, 0x0002)
    assert FrameParser().feed(reply(0x04, payload)) == [Frame(0x04, 0, payload)]


@pytest.mark.parametrize(
    "noise", [b"\xff", b"\x00\x00", b"\xdd", b"\xdd\xdd\x03", b"\xdd\x03\x00", b"\xdd\x41\x00\x08abc", b"\x77\xdd\x00"]
)
def test_noise_before_a_reply(noise: bytes) -> None:
    """Wake-up artefacts and false headers before a reply do not swallow it; at worst it is found once the line is silent."""
    reader = FrameReader(0x03)
    reader.begin()
    assert (reader.feed(noise + BASIC_REPLY) or reader.expire()) == Frame(0x03, 0, basic_payload())


def test_false_header_with_a_long_length_ends_with_the_silence() -> None:
    """A false header that claims 255 bytes holds the real reply back only until the line is silent."""
    reader = FrameReader(0x03)
    reader.begin()
    assert reader.feed(b"\xdd\x03\x00\xff" + BASIC_REPLY) is None
    assert reader.expire() == Frame(0x03, 0, basic_payload())
    assert reader.rejects == {"truncated": 1}


def test_refusal_with_checksum_zero() -> None:
    """Some firmware sends refusals with checksum 0000 where the formula gives FF7F: still a refusal."""
    assert FrameParser().feed(bytes.fromhex("dd008100000077")) == [Frame(0x00, 0x81, b"")]


def test_refusal_of_a_write_that_is_one_bit_from_its_acknowledgement() -> None:
    """80 with checksum 0000 is no answer to a write; with its own checksum, or with a status of more bits, it is."""
    for refusal_hex, status in (("dde18000000077", None), ("dde18000ff8077", 0x80), ("dde18100000077", 0x81)):
        reader = FrameReader(0xE1, written=True)
        reader.begin()
        found = reader.feed(bytes.fromhex(refusal_hex)) or reader.expire()
        assert (found and found.status, reader.rejects["doubtful_80"]) == (status, int(status is None))


def test_own_request_coming_back() -> None:
    """A half-duplex adapter that echoes the request is no reply, not even for a write whose sums agree."""
    reader = FrameReader(0xE1)
    reader.begin()
    assert reader.feed(encode_write(0xE1, b"\x00\x01") + reply(0xE1)) == Frame(0xE1, 0, b"")
    assert reader.rejects == {"echo": 1}


def test_a_megabyte_of_noise() -> None:
    """Noise leaves at most one unfinished frame behind (261 bytes), in one piece or byte by byte, and no lasting harm."""
    noise = random.Random(5).randbytes(1 << 20)
    whole = FrameParser()
    whole.feed(noise)
    assert whole.pending_bytes <= 261
    pieces = FrameParser()
    for at in range(1 << 18):
        pieces.feed(noise[at : at + 1])
        assert pieces.pending_bytes <= 261
    for parser in (whole, pieces):
        assert Frame(0x03, 0, basic_payload()) in parser.feed(BASIC_REPLY) + parser.expire()
        assert len(parser.rejects) <= 4


@pytest.mark.parametrize("pattern", [b"\xdd", b"\xdd\x03\x00\xff", b"\xdd\x03\x00\x00\x00\x00\x76", b"\xdd\x77\x00\x77" * 3])
def test_noise_made_of_headers(pattern: bytes) -> None:
    """A stream of false headers costs no more than its length allows: half a megabyte is worked off within the time limit."""
    parser = FrameParser()
    parser.feed(pattern * (500_000 // len(pattern)))
    assert parser.pending_bytes <= 261


def test_bad_checksum_seen_by_the_board_is_no_answer() -> None:
    """Status 82 means that the request was damaged: it is counted, and the request will be sent again."""
    reader = FrameReader(0x03)
    reader.begin()
    assert reader.feed(reply(0x03, status=0x82)) is None
    assert reader.rejects == {"status_82": 1}


def test_silence_is_a_timeout() -> None:
    """Nothing at all counts as `timeout`."""
    reader = FrameReader(0x03)
    reader.begin()
    assert reader.expire() is None
    assert reader.rejects == {"timeout": 1}
