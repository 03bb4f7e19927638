"""Frames, replies among noise, and status words (bosd/drivers/rd6006/codec.py)."""

import random

import pytest

from bosd.drivers.rd6006.codec import Answer, decode_status, read_request, write_request
from bosd.drivers.rd6006.registers import LONGEST_READ, STATUS, Model, model_of
from bosd.errors import DriverError

MODBUS_EXAMPLE = bytes.fromhex("110300 6B0003 7687".replace(" ", ""))
"""The read request of the Modbus application protocol's example as an RTU frame: unit 17, 3 registers from 0x6B on."""
MODBUS_REPLY = bytes.fromhex("110306 AE41 5652 4340 49AD".replace(" ", ""))
"""Its reply."""


def crc(data: bytes) -> bytes:
    """CRC-16/MODBUS by its definition: polynomial 0x8005 reflected, from 0xFFFF on, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def test_the_frames_of_the_modbus_documents() -> None:
    """A known request and its known reply."""
    request = read_request(17, 0x6B, 3)
    assert request.frame == MODBUS_EXAMPLE
    assert request.reader.feed(MODBUS_REPLY) == Answer((0xAE41, 0x5652, 0x4340))


def test_a_write_is_answered_by_its_echo() -> None:
    """Register 18 (output) to 1 on device 1; another register or value is no answer."""
    request = write_request(1, 18, 1)
    assert request.frame == bytes.fromhex("010600120001") + crc(bytes.fromhex("010600120001"))
    for other in ("010600120000", "010600090001"):
        assert request.reader.feed(bytes.fromhex(other) + crc(bytes.fromhex(other))) is None
    assert request.reader.expire() is None
    assert request.reader.rejects == {"echo": 1}
    request.reader.begin()
    assert request.reader.feed(request.frame) == Answer()


def test_an_exception_is_an_answer() -> None:
    """Function 0x83 with its number."""
    body = bytes((1, 0x83, 2))
    assert read_request(1, 4, 15).reader.feed(body + crc(body)) == Answer(exception=2)


@pytest.mark.parametrize("cut", [1, 3, 7, 34])
def test_a_reply_in_pieces_behind_garbage(cut: int) -> None:
    """Bytes that look like the beginning of a reply do not hide the reply behind them."""
    body = bytes((1, 3, 30)) + bytes(range(30))
    stream = b"\x00\x01\x03\x1e\x01\x83\x01" + body + crc(body)
    reader = read_request(1, 4, 15).reader
    reader.begin()
    assert reader.feed(stream[:cut]) is None
    answer = reader.feed(stream[cut:])
    assert answer is not None
    assert answer.words == tuple(int.from_bytes(bytes((2 * i, 2 * i + 1)), "big") for i in range(15))


@pytest.mark.parametrize(
    ("data", "why"),
    [(bytes((1, 3, 4, 0, 1, 0, 2, 0, 0)), "crc"), (bytes((1, 3, 4, 0)), "truncated"), (b"\xff\xff\xff\xff", "other_frame")],
)
def test_why_there_was_no_reply(data: bytes, why: str) -> None:
    """What came is counted by what is wrong with it."""
    reader = read_request(1, 82, 2).reader
    assert reader.feed(data) is None
    reader.expire()
    assert reader.rejects == {why: 1}


def test_a_late_reply_of_another_length_does_not_pass() -> None:
    """A reply to 15 words is none to 16: that is how readings of the same registers are told apart."""
    body = bytes((1, 3, 30)) + bytes(30)
    reader = read_request(1, 4, 16).reader
    assert reader.feed(body + crc(body)) is None
    reader.expire()
    assert set(reader.rejects) == {"other_frame"}
    assert LONGEST_READ - len(STATUS) + 1 == 6


def test_no_flipped_bit_passes() -> None:
    """Every single bit flipped in a reply: CRC-16 finds each."""
    body = bytes((1, 3, 4)) + (1460).to_bytes(2, "big") + (3000).to_bytes(2, "big")
    frame = body + crc(body)
    for position in range(len(frame) * 8):
        damaged = bytearray(frame)
        damaged[position // 8] ^= 1 << position % 8
        assert read_request(1, 82, 2).reader.feed(bytes(damaged)) is None


def test_random_bytes_are_survived() -> None:
    """20,000 chunks of noise, many of which begin as a reply does: no error and no growth."""
    chance = random.Random(6006)
    reader = read_request(1, 4, 15).reader
    for _ in range(20_000):
        answer = reader.feed(chance.choice((b"\x01\x03\x1e", b"\x01\x83", b"")) + chance.randbytes(chance.randrange(12)))
        assert len(reader._buffer) <= 128
        if answer is not None:
            reader.begin()


@pytest.mark.parametrize(
    ("word", "name", "scale_v", "scale_a", "most_a"),
    [
        (60060, "RD6006", 0.01, 0.001, 6.0),
        (60062, "RD6006", 0.01, 0.001, 6.0),
        (60065, "RD6006P", 0.001, 0.0001, 6.0),
        (60121, "RD6012", 0.01, 0.01, 12.0),
        (60181, "RD6018", 0.01, 0.01, 18.0),
    ],
)
def test_models_by_their_word(word: int, name: str, scale_v: float, scale_a: float, most_a: float) -> None:
    """The table of pypi.org/project/riden-modbus."""
    assert model_of(word) == Model(name, scale_v, scale_a, most_a)


@pytest.mark.parametrize("word", [0, 60059, 60066, 60125, 60129, 60130, 60190, 65535])
def test_models_that_are_not_known(word: int) -> None:
    """Without known scales there is no model: the RD6012P's changes with its range."""
    assert model_of(word) is None


def words(**changed: int) -> list[int]:
    """Registers 4 to 18 of an RD6006 that charges with 3 A at 13.35 V, 14.6 V at most, from 24 V, at 31 degC."""
    places = {"sign": 4, "temperature": 5, "protection": 16, "mode": 17, "output": 18}
    found = [0, 31, 0, 88, 1460, 3000, 1335, 2998, 0, 4002, 2400, 0, 0, 1, 1]
    for key, value in changed.items():
        found[places[key] - 4] = value
    return found


RD6006 = Model("RD6006", 0.01, 0.001, 6.0)


def test_status() -> None:
    """Volts in hundredths, amperes in thousandths."""
    status = decode_status(words(), RD6006)
    assert (status.set_voltage_v, status.set_current_a) == pytest.approx((14.6, 3.0))
    assert (status.output_voltage_v, status.output_current_a) == pytest.approx((13.35, 2.998))
    assert (status.input_voltage_v, status.temperature_c, status.trip) == (24.0, 31, "")
    assert status.output_on
    assert status.constant_current


@pytest.mark.parametrize(("number", "name"), [(1, "OVP"), (2, "OCP"), (7, "protection 7")])
def test_protections_by_name(number: int, name: str) -> None:
    """One that is not known has its number."""
    assert decode_status(words(protection=number, output=0), RD6006).trip == name


@pytest.mark.parametrize(("key", "value"), [("output", 2), ("mode", 7)])
def test_status_that_cannot_be(key: str, value: int) -> None:
    """A word that is neither of two is refused with its register."""
    with pytest.raises(DriverError, match=f"holds {value}, neither 0 nor 1"):
        decode_status(words(**{key: value}), RD6006)


def test_below_zero() -> None:
    """The sign of the temperature stands in a word of its own."""
    assert decode_status(words(sign=1, temperature=4), RD6006).temperature_c == -4
