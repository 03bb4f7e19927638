"""What `bosd driver config` shows of packed words."""

import pytest

from bosd.drivers.jbd.codec import decode_setting
from bosd.drivers.jbd.settings import as_setting


@pytest.mark.parametrize(
    ("register", "word", "text"),
    [
        (0x39, 0x9020, "under-voltage 8, over-voltage 2, short-circuit release 32"),
        (0x3A, 0x0203, "under 2, over 3"),
        (0x3D, 0x0501, "under 5, over 1"),
        (0x3E, 0x0A20, "delay 10, release 32"),
    ],
)
def test_delays_in_seconds(register: int, word: int, text: str) -> None:
    """Bits 7-6 of 0x39 are 1, 4, 8, 16 s, bits 5-4 1, 2, 4, 8 s; the others are two numbers (JBD protocol, section 4)."""
    shown = as_setting(register, decode_setting(register, word.to_bytes(2, "big")))
    assert (shown.value, shown.unit, shown.raw) == (text, "s", word)
