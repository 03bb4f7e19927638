"""What must never be sent cannot be encoded: every register with every length, against the protocol page's own list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.drivers.jbd.framing import encode_write
from bosd.errors import UnsupportedError

MAINTENANCE = {0x00: 2, 0x01: 2, 0x06: 7, 0x0A: 2, 0x0B: 2, 0xE0: 2, 0xE1: 2, 0xE2: 2}
"""Section 3 of the page without what it marks "never send", and without commands whose payload it does not give."""
NEVER = {0x07, 0x09, *range(0xAD, 0xD0), *range(0xD0, 0xD8), *range(0x10, 0x48)}
"""Password change and reset, calibration, and the configuration."""


@pytest.mark.parametrize("register", range(256))
def test_every_register_and_length(register: int) -> None:
    """Of 65,536 pairs of register and length eight can be encoded."""
    sendable = []
    for length in range(256):
        try:
            encode_write(register, bytes(length))
        except UnsupportedError:
            continue
        sendable.append(length)
    assert sendable == ([MAINTENANCE[register]] if register in MAINTENANCE else [])
    assert not (register in NEVER and sendable)


@given(st.sampled_from(sorted(NEVER)), st.binary(max_size=255), st.none() | st.integers(1, 255))
def test_whatever_the_payload(register: int, payload: bytes, address: int | None) -> None:
    """No payload and no address makes a forbidden register sendable."""
    with pytest.raises(UnsupportedError):
        encode_write(register, payload, address)
