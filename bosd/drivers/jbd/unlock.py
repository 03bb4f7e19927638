"""What newer Bluetooth modules want before they pass JBD frames: FF AA, command, length, data, 8-bit sum; without I/O.

Sums, order and the mixing of the password are those of sessions captured from the vendor's application (jbd.md, section 7).
Commands that change what a module stores are not part of this.
"""

from pathlib import Path

from bosd.errors import ConfigError, DriverError

_MARK = b"\xff\xaa"
_APPLICATION_KEY, _RANDOM, _PASSWORD = 0x15, 0x17, 0x18
_KEY = b"000000"
"""The application's key, the same in every captured session."""
_ACCEPTED, _NOT_NEEDED = 0x00, 0x02
_PASSWORD_CHARACTERS = 6
_OVERHEAD_BYTES = 5
_COMMANDS = (_APPLICATION_KEY, _RANDOM, _PASSWORD)
_ANSWER_LENGTHS = range(1, 9)
"""Captured answers hold one byte; a longer claim is a chance pair of FF AA."""


def encode(command: int, data: bytes = b"") -> bytes:
    """Return one message; the sum covers command, length and data."""
    body = bytes((command, len(data))) + data
    return _MARK + body + bytes((sum(body) & 0xFF,))


def mixed(password: bytes, address: str, chance: int) -> bytes:
    """Return the password as it travels: each character XOR a byte of the address, plus the random byte."""
    octets = bytes.fromhex(address.replace(":", ""))
    return bytes((character ^ octet) + chance & 0xFF for character, octet in zip(password, octets, strict=True))


def read_password(path: str) -> str:
    """Return the password in a file. Raises ConfigError for a file that others may read or that holds no password."""
    place = Path(path)
    try:
        mode = place.stat().st_mode
        text = place.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigError(f"ble_password_file {path}: {cause}", path=path) from error
    if mode & 0o007:
        raise ConfigError(f"ble_password_file {path}: everybody may read it; chmod 640 it", path=path)
    if len(text) != _PASSWORD_CHARACTERS or not text.isascii():
        raise ConfigError(f"ble_password_file {path}: expected six ASCII characters and nothing else", path=path)
    return text


class Unlock:
    """The exchange with one module: the application's key, then, unless none is needed, the password."""

    def __init__(self, password: str) -> None:
        self._password = password.encode("ascii")
        self._address = ""
        self._heard = bytearray()

    def begin(self, address: str) -> bytes:
        """Return the first message."""
        self._address = address
        self._heard.clear()
        return encode(_APPLICATION_KEY, _KEY)

    def feed(self, data: bytes) -> bytes | None:
        """Take a notification; return the next message, empty while waiting, None when the module is open.

        Raises DriverError when the module refuses.
        """
        self._heard += data
        answer = self._answer()
        if answer is None:
            return b""
        command, value = answer
        if command == _APPLICATION_KEY:
            if value == _NOT_NEEDED:
                return None
            if value != _ACCEPTED:
                raise DriverError("the Bluetooth module refuses the application's key", status=f"{value:02x}")
            return encode(_RANDOM)
        if command == _RANDOM:
            return encode(_PASSWORD, mixed(self._password, self._address, value))
        if value != _ACCEPTED:
            raise DriverError("the Bluetooth module refuses the password in ble_password_file", status=f"{value:02x}")
        return None

    def _answer(self) -> tuple[int, int] | None:
        """Return command and first byte of the next whole answer, and drop everything before it."""
        while (at := self._heard.find(_MARK)) >= 0:
            del self._heard[:at]
            head = self._heard[2:4]
            if any(byte not in allowed for byte, allowed in zip(head, (_COMMANDS, _ANSWER_LENGTHS), strict=False)):
                del self._heard[: len(_MARK)]
                continue
            if len(head) < 2 or len(self._heard) < _OVERHEAD_BYTES + head[1]:
                return None
            frame = bytes(self._heard[: _OVERHEAD_BYTES + head[1]])
            del self._heard[: len(_MARK)]
            if sum(frame[2:-1]) & 0xFF == frame[-1]:
                del self._heard[: len(frame) - len(_MARK)]
                return frame[2], frame[4]
        del self._heard[:-1]
        return None
