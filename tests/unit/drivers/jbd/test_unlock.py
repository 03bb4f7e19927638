"""The exchange with a locked Bluetooth module.

The frames were captured by the authors of bms_dash between the vendor's application and a JBD-SP04S034L4S200A with the address
A4:C1:37:04:2D:BE; the first three are those of esphome-jbd-bms, too.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.drivers.jbd.unlock import Unlock, encode, read_password
from bosd.errors import ConfigError, DriverError

ADDRESS = "A4:C1:37:04:2D:BE"
KEY, KEY_ACCEPTED, KEY_REFUSED, NONE_NEEDED = (
    bytes.fromhex(text) for text in ("ffaa1506 303030303030 3b", "ffaa15010016", "ffaa15010117", "ffaa15010218")
)
ASK, ACCEPTED, REFUSED = bytes.fromhex("ffaa170017"), bytes.fromhex("ffaa18010019"), bytes.fromhex("ffaa1801011a")


@pytest.mark.parametrize(
    ("password", "chance", "sent"),
    [
        ("000000", "ffaa1701627a", "ffaa1806 f65369967ff0 d5"),
        ("123412", "ffaa17016179", "ffaa1806 f65465917ded c8"),
        ("123123", "ffaa1701374f", "ffaa1806 cc2a3b6c56c4 d5"),
        ("111111", "ffaa17012139", "ffaa1806 b61127563db0 4f"),
    ],
)
def test_captured_sessions(password: str, chance: str, sent: str) -> None:
    """The messages are those of captured sessions, byte for byte."""
    unlock = Unlock(password)
    assert unlock.begin(ADDRESS) == KEY
    assert unlock.feed(KEY_ACCEPTED) == ASK
    assert unlock.feed(bytes.fromhex(chance)) == bytes.fromhex(sent)
    assert unlock.feed(ACCEPTED) is None


def test_refusals() -> None:
    """Key and password are refused by different words; a module that needs none is open."""
    unlock = Unlock("123456")
    unlock.begin(ADDRESS)
    with pytest.raises(DriverError, match="application's key"):
        unlock.feed(KEY_REFUSED)
    unlock.begin(ADDRESS)
    assert unlock.feed(NONE_NEEDED) is None
    unlock.begin(ADDRESS)
    unlock.feed(KEY_ACCEPTED)
    unlock.feed(encode(0x17, b"\x24"))
    with pytest.raises(DriverError, match="ble_password_file"):
        unlock.feed(REFUSED)


def test_cut_anywhere_and_between_other_bytes() -> None:
    """An answer may come in pieces, behind noise, and behind an answer with a wrong sum or to something else."""
    unlock = Unlock("123456")
    unlock.begin(ADDRESS)
    noise = b"\xff\xaa\x55\xff\xaa\x15\x01\x00\xff" + encode(0x16, b"\x00") + b"\xff"
    for byte in noise + KEY_ACCEPTED[:-1]:
        assert unlock.feed(bytes((byte,))) == b""
    assert unlock.feed(KEY_ACCEPTED[-1:]) == ASK


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_anything_may_come(pieces: list[bytes]) -> None:
    """No bytes break it, and what it sends is only ever one of the three messages: nothing that changes a module."""
    unlock = Unlock("123456")
    assert unlock.begin(ADDRESS)[2] == 0x15
    try:
        for piece in pieces:
            message = unlock.feed(piece)
            assert not message or message[2] in (0x17, 0x18)
    except DriverError:
        pass
    assert len(unlock._heard) < 300


def test_password_file(tmp_path: Path) -> None:
    """A password is six characters in a file that not everybody may read; the password is in no error."""
    path = tmp_path / "password"
    with pytest.raises(ConfigError, match=r"ble_password_file .*password: No such file"):
        read_password(str(path))
    path.write_text("123456\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="everybody may read it; chmod 640"):
        read_password(str(path))
    path.chmod(0o640)
    assert read_password(str(path)) == "123456"
    path.write_text("secret7")
    with pytest.raises(ConfigError, match="expected six ASCII characters") as caught:
        read_password(str(path))
    assert "secret7" not in str(caught.value)
