"""Frames as the board sees them: requests in, replies out.

A request is DD, A5 or 5A, register, length, payload, checksum, 77; its checksum covers register, length and payload.
A reply is DD, register, status, length, payload, checksum, 77; its checksum covers status, length and payload
(JBD protocol V4).

The addressed form of protocol V13 has the board's address after DD, in both directions and outside the checksum: no board at
hand speaks it, so this is how the document reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

START, END, READ, WRITE = 0xDD, 0x77, 0xA5, 0x5A
OK, UNKNOWN, REFUSED, BAD_CHECKSUM, WRONG_PASSWORD = 0x00, 0x80, 0x81, 0x82, 0x83


@dataclass(frozen=True, slots=True)
class Request:
    """One complete request and its bytes as heard; `intact` is False when its checksum is wrong."""

    write: bool
    register: int
    payload: bytes
    intact: bool = True
    raw: bytes = field(default=b"", compare=False)


def checksum(covered: bytes) -> bytes:
    """Return the two's complement of the 16-bit sum, high byte first; nothing covered but zeros gives 0000."""
    return (-sum(covered) & 0xFFFF).to_bytes(2, "big")


def addressed(reply: bytes, address: int | None) -> bytes:
    """Return `reply` in the addressed form, or as it is without an address."""
    return reply if address is None else reply[:1] + bytes((address,)) + reply[1:]


def encode_reply(register: int, status: int, payload: bytes = b"", *, zero_checksum: bool = False) -> bytes:
    """Return the bytes of a reply; `zero_checksum` puts 0000 in the checksum field as some firmware does when it refuses."""
    covered = bytes((status, len(payload))) + payload
    tail = b"\x00\x00" if zero_checksum else checksum(covered)
    return bytes((START, register)) + covered + tail + bytes((END,))


class RequestScanner:
    """Collects bytes into requests; what cannot be one is dropped byte by byte and counted in `discarded`.

    With an address only requests in the addressed form count, and those for others are passed over.
    """

    def __init__(self, address: int | None = None) -> None:
        self._buffer = bytearray()
        self._address = address
        self._extra = 0 if address is None else 1
        self.discarded = 0

    @property
    def pending(self) -> bool:
        """Whether a request has begun and is not complete."""
        return bool(self._buffer)

    def reset(self) -> None:
        """Forget a request that was never finished."""
        self.discarded += len(self._buffer)
        self._buffer.clear()

    def feed(self, byte: int) -> Iterator[Request]:
        """Take one byte and yield every request it completes."""
        buffer, extra = self._buffer, self._extra
        buffer.append(byte)
        while buffer:
            size = 7 + extra + (buffer[3 + extra] if len(buffer) > 3 + extra else 0)
            plausible = buffer[0] == START and (len(buffer) < 2 + extra or buffer[1 + extra] in (READ, WRITE))
            if plausible and len(buffer) < size:
                return
            if not plausible or buffer[size - 1] != END:
                del buffer[0]
                self.discarded += 1
                continue
            raw = bytes(buffer[:size])
            del buffer[:size]
            if self._address is None or raw[1] == self._address:
                frame = raw[extra:]
                intact = checksum(frame[2:-3]) == frame[-3:-1]
                yield Request(frame[1] == WRITE, frame[2], frame[4:-3], intact=intact, raw=raw)
