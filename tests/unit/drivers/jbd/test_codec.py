"""Payloads: what the words of each register mean."""

import datetime as dt
import struct
from typing import Any

import pytest

from bosd.drivers.jbd import registers
from bosd.drivers.jbd.codec import (
    BasicInfo,
    decode_basic,
    decode_cells,
    decode_counters,
    decode_date,
    decode_setting,
    decode_short_text,
    decode_text,
)
from bosd.drivers.jbd.framing import FrameReader
from bosd.drivers.jbd.sample import name_faults
from bosd.errors import DriverError
from tests.support.jbd_frames import basic_payload, cells_payload, load_captures


def payload_of(frame: dict[str, Any]) -> bytes:
    """Return the payload that a recorded exchange delivers."""
    reader = FrameReader(bytes.fromhex(frame["request_hex"])[2])
    reader.begin()
    found = reader.feed(bytes.fromhex(frame["response_hex"])) or reader.expire()
    assert found is not None
    return found.payload


def check_basic(info: BasicInfo, expected: dict[str, Any]) -> None:
    """Compare decoded basic information with what the recording says."""
    got = {
        "voltage_V": info.voltage_v,
        "current_A": info.inflow_a,
        "remaining_Ah": info.remaining_ah,
        "capacity_Ah": info.capacity_ah,
        "cycles": info.cycles,
        "production_date": str(decode_date(info.production)),
        "balance_bits": info.balance_bits,
        "balancing_cells": list(info.balancing_cells),
        "protection_bits": info.protection_bits,
        "soc_pct": info.soc_pct,
        "sw_version": info.software_version,
        "charge_fet": bool(info.fet_bits & registers.CHARGE_FET),
        "discharge_fet": bool(info.fet_bits & registers.DISCHARGE_FET),
        "cell_count": info.cell_count,
        "ntc_count": len(info.temperatures_c),
        "temps_C": list(info.temperatures_c),
    }
    assert got == {key: str(expected[key]) if key == "production_date" else expected[key] for key in got}
    check_tail(info, expected)


def check_tail(info: BasicInfo, expected: dict[str, Any]) -> None:
    """Compare the tail, where the recording has a standard one."""
    wanted = expected.get("tail")
    if not wanted or "full_charge_Ah" not in wanted:
        return
    tail = info.tail
    assert tail is not None
    assert (tail.humidity_pct, tail.alarm_bits) == (wanted["humidity_pct"], wanted["alarm_bits"])
    assert (tail.full_charge_ah, tail.remaining_ah) == (wanted["full_charge_Ah"], wanted["remaining_Ah"])
    assert tail.balance_current_ma == wanted["balance_current_mA"]


def accepted() -> list[dict[str, Any]]:
    """Every recorded exchange with one frame that must be delivered."""
    frames = load_captures("reply", "stream")
    return [
        {**frame, "expected": frame["expected"].get("frame") or frame["expected"].get("frames", [frame["expected"]])[0]}
        for frame in frames
    ]


@pytest.mark.parametrize("frame", accepted(), ids=lambda frame: frame["name"])
def test_recorded_replies_decode(frame: dict[str, Any]) -> None:
    """Every accepted frame decodes to the recorded values, in the protocol's own sign (plus charges)."""
    expected, payload = frame["expected"], payload_of(frame)
    match int(expected["register"], 16):
        case registers.BASIC:
            check_basic(decode_basic(payload), expected)
        case registers.CELLS:
            assert decode_cells(payload) == tuple(millivolts / 1000 for millivolts in expected["cell_mV"])
        case registers.HARDWARE_NAME:
            assert decode_text(payload) == expected["hardware_name"]
        case registers.COUNTERS:
            assert decode_counters(payload) == expected["counters"]
        case _:
            assert decode_short_text(payload) == expected["text"]


@pytest.mark.parametrize("frame", load_captures("config"), ids=lambda frame: frame["name"])
def test_recorded_settings_decode(frame: dict[str, Any]) -> None:
    """Every configuration register of the captures reads as recorded."""
    expected = frame["expected"]
    read = decode_setting(int(expected["register"], 16), payload_of(frame))
    value = expected["value"]
    wanted = dt.date.fromisoformat(value) if expected["unit"] == "date" else tuple(value) if isinstance(value, list) else value
    assert (read.setting.name, read.setting.unit) == (expected["setting"], expected["unit"])
    assert (read.raw, read.value) == (expected["raw"], wanted)


@pytest.mark.parametrize("frame", load_captures("rejected"), ids=lambda frame: frame["name"])
def test_recorded_bad_payloads_are_refused(frame: dict[str, Any]) -> None:
    """Frames marked with a bad payload cannot be decoded, and say so."""
    if frame["expected"]["reason"] != "payload":
        return
    decode = decode_cells if frame["request_hex"][4:6] == "04" else decode_basic
    with pytest.raises(DriverError) as caught:
        decode(payload_of(frame))
    assert caught.value.metadata["reject"] == "payload"


@pytest.mark.parametrize("count", range(9))
def test_sensors_by_their_count(count: int) -> None:
    """Temperatures follow the count byte: (raw - 2731) / 10, nought to eight of them."""
    words = tuple(2731 + 10 * degrees for degrees in range(count))
    assert decode_basic(basic_payload(temperatures=words)).temperatures_c == tuple(float(degrees) for degrees in range(count))


@pytest.mark.parametrize("length", [0, 1, 8, 9, 12, 16])
def test_any_tail_is_accepted(length: int) -> None:
    """A tail is read from nine bytes on; what is longer is kept, what is shorter is none."""
    info = decode_basic(basic_payload(tail=bytes(length)))
    assert len(info.extra) == length
    assert (info.tail is None) == (length < 9)


def test_unit_flag() -> None:
    """Bit 7 behind the temperatures makes tenths of current and capacities (experimental: no capture has it)."""
    tail = struct.pack(">BHHHH", 0x80, 0, 12000, 9600, 0)
    info = decode_basic(basic_payload(current_10ma=-296, remaining_10mah=9600, capacity_10mah=12000, tail=tail))
    assert (info.inflow_a, info.remaining_ah, info.capacity_ah) == (-29.6, 960.0, 1200.0)
    assert info.tail is not None
    assert (info.tail.full_charge_ah, info.tail.humidity_pct) == (1200.0, 0)


def test_capacity_is_unsigned() -> None:
    """Capacities reach 655.35 Ah; only the current is signed."""
    info = decode_basic(basic_payload(remaining_10mah=65535, capacity_10mah=65535, current_10ma=-32768))
    assert (info.remaining_ah, info.capacity_ah, info.inflow_a) == (655.35, 655.35, -327.68)


@pytest.mark.parametrize("word", [0, 0x2C00, 0x2C7C & ~0x1F, 0xFFFF])
def test_impossible_dates_are_none(word: int) -> None:
    """A date word of 0, without a day or month, or beyond the calendar is no date."""
    assert decode_date(word) is None


def test_cell_at_zero_is_a_reading() -> None:
    """0 mV is a legal reading and stays."""
    assert decode_cells(cells_payload(3300, 0)) == (3.3, 0.0)


@pytest.mark.parametrize("payload", [b"", b"\x05abc"])
def test_cut_text_is_refused(payload: bytes) -> None:
    """Text shorter than its length byte says is refused."""
    with pytest.raises(DriverError):
        decode_short_text(payload)


def test_empty_text() -> None:
    """A length of zero is allowed."""
    assert decode_short_text(b"\0") == ""


def test_unknown_setting_is_refused() -> None:
    """A register without an entry in the table is not guessed at."""
    with pytest.raises(DriverError):
        decode_setting(0x99, b"\0\0")


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        (0x0001, ("cell_overvoltage",)),
        (0x0008, ("pack_undervoltage",)),
        (0x0C00, ("short_circuit", "afe_error")),
        (0x1000, ()),
        (0x2000, ("charge_timeout",)),
        (0xC000, ("unknown_protection_bit_14", "unknown_protection_bit_15")),
    ],
)
def test_fault_names(bits: int, names: tuple[str, ...]) -> None:
    """Protections have names, the lock by command (bit 12) is no fault, undefined bits keep their number."""
    assert name_faults(bits) == names


@pytest.mark.parametrize(("extra_bytes", "inflow_a"), [(8, 5.0), (9, 50.0), (16, 50.0)])
def test_a_tail_that_is_no_tail_has_no_unit_flag(extra_bytes: int, inflow_a: float) -> None:
    """The flag is bit 7 of the standard tail (9 bytes or more); the 8 bytes that clones append say nothing of units."""
    payload = basic_payload(current_10ma=500) + b"\x80" + bytes(extra_bytes - 1)
    assert decode_basic(payload).inflow_a == inflow_a
