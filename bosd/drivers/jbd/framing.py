"""JBD framing without I/O: requests to bytes, bytes to frames, and which frame answers a request.

A frame is DD, register, status, length, payload, checksum, 77 (a request has A5 or 5A, then the register, in place of
register and status). The checksum is the two's complement of the 16-bit sum of status, length and payload; the echoed
register is not covered, so it is compared. Only the length frames: DD and 77 are legal in a payload.

Boards on a shared line have an address each (JBD protocol V13): a byte behind DD in both directions, outside the checksum,
so it is compared too. Not verified on hardware; ordinary boards do not answer this form.
"""

from collections import Counter
from dataclasses import dataclass, field

from bosd.drivers.jbd.registers import WRITABLE
from bosd.errors import UnsupportedError

_START = 0xDD
_END = 0x77
_READ = 0xA5
_WRITE = 0x5A
_ECHOES = (_READ, _WRITE)
_OVERHEAD_BYTES = 7
MAX_FRAME_BYTES = 255 + _OVERHEAD_BYTES

OK = 0x00
_ONE_BIT_FROM_OK = 0x80
SAW_BAD_CHECKSUM = 0x82
REFUSALS = {0x80: "unknown register", 0x81: "not in factory mode or locked by a password", 0x83: "wrong password"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame with a true checksum; any status but 0 is a refusal. `address` is None in the form without one.

    `unsummed` is a bare refusal with 0000 for a checksum, as some firmware sends it.
    """

    register: int
    status: int
    payload: bytes
    address: int | None = None
    unsummed: bool = field(default=False, compare=False)


def _request(opcode: int, register: int, payload: bytes, address: int | None = None) -> bytes:
    body = bytes((register, len(payload))) + payload
    head = bytes((_START, opcode) if address is None else (_START, address, opcode))
    return head + body + (-sum(body) & 0xFFFF).to_bytes(2, "big") + bytes((_END,))


def encode_read(register: int, address: int | None = None) -> bytes:
    """Return the request that reads `register` (0..255)."""
    return _request(_READ, register, b"", address)


def encode_write(register: int, payload: bytes, address: int | None = None) -> bytes:
    """Return the request that writes `payload` to `register`.

    Raises UnsupportedError for a register that must not be written (registers.WRITABLE) or a payload of another length.
    """
    if WRITABLE.get(register) != len(payload):
        raise UnsupportedError(f"register 0x{register:02X} is not written with {len(payload)} bytes", register=register)
    return _request(_WRITE, register, payload, address)


class FrameParser:
    """Turns a stream of bytes, cut anywhere, into frames; resynchronises at the next plausible header after rubbish.

    Holds at most one unfinished frame (262 bytes). `rejects` counts by reason: `bad_start`, `bad_end`, `bad_checksum`,
    `truncated`; rubbish in one piece is one `bad_start`. With `addressed` each frame has an address behind its start.
    """

    def __init__(self, *, addressed: bool = False) -> None:
        self._lead = 1 if addressed else 0
        self.rejects: Counter[str] = Counter()
        self._buffer = bytearray()
        self._in_step = True

    @property
    def pending_bytes(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def clear(self) -> None:
        """Forget what is unfinished."""
        self._buffer.clear()
        self._in_step = True

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes, return the frames they complete."""
        self._buffer += data
        return self._scan(silent=False)

    def expire(self) -> list[Frame]:
        """The line fell silent: give up the unfinished frame and return whole ones that stood behind its start."""
        return self._scan(silent=True)

    def _scan(self, *, silent: bool) -> list[Frame]:
        buffer, size, at = self._buffer, len(self._buffer), 0
        frames: list[Frame] = []
        while at < size:
            start = buffer.find(_START, at)
            if start != at:
                self._lose_step("bad_start")
            if start < 0:
                at = size
                break
            at = start
            verdict = self._judge(at, size)
            if isinstance(verdict, Frame):
                frames.append(verdict)
                at += len(verdict.payload) + _OVERHEAD_BYTES + self._lead
                self._in_step = True
            elif verdict == "truncated" and not silent:
                break
            else:
                self._lose_step(verdict)
                at += 1
        del buffer[:at]
        return frames

    def _judge(self, at: int, size: int) -> Frame | str:
        """Return the frame at `at`, or why there is none."""
        buffer, lead = self._buffer, self._lead
        available, at = size - at - lead, at + lead
        if available >= 3 and 0 < buffer[at + 2] < 0x80 and buffer[at + 1] not in _ECHOES:
            return "bad_start"
        if available < 4 or available < buffer[at + 3] + _OVERHEAD_BYTES:
            return "truncated"
        end = at + buffer[at + 3] + _OVERHEAD_BYTES - 1
        if buffer[end] != _END:
            return "bad_end"
        if not _checksum_holds(buffer[at + 2 : end]):
            return "bad_checksum"
        status, payload = buffer[at + 2], bytes(buffer[at + 4 : end - 2])
        unsummed = status != OK and not payload and buffer[end - 2] == buffer[end - 1] == 0
        return Frame(buffer[at + 1], status, payload, buffer[at] if lead else None, unsummed)

    def _lose_step(self, reason: str) -> None:
        if self._in_step or reason not in ("bad_start", "truncated"):
            self.rejects[reason] += 1
        self._in_step = False


def _checksum_holds(body: bytes | bytearray) -> bool:
    """Judge status, length, payload and checksum; a bare refusal may carry 0000, as some firmware sends it."""
    total = sum(body[:-2]) + (body[-2] << 8) + body[-1]
    return not total & 0xFFFF or (body[0] != OK and body[1] == 0 and body[-2] == body[-1] == 0)


class FrameReader:
    """Finds the reply to a request for one register: everything else is counted in `rejects` and dropped.

    Beside the parser's reasons: `echo` (the request came back, as on half-duplex adapters), `register_mismatch`,
    `address_mismatch` (another board's reply), `status_80` and the like, `timeout` when nothing came. A board that saw a bad
    checksum (82) has not answered. To a write (`written`) a refusal with 80 and no checksum is `doubtful_80` and no answer:
    one flipped bit makes it of the acknowledgement DD xx 00 00 00 00 77, and the board has done what it was told.
    """

    def __init__(self, register: int, address: int | None = None, *, written: bool = False) -> None:
        self._register = register
        self._address = address
        self._written = written
        self._parser = FrameParser(addressed=address is not None)
        self._heard = False
        self.rejects = self._parser.rejects

    def begin(self) -> None:
        """Forget earlier bytes: a request is about to go out."""
        self._parser.clear()
        self._heard = False

    def feed(self, data: bytes) -> Frame | None:
        """Take bytes; return the reply or refusal once it is whole."""
        if not self._heard and self._address is None and len(data) >= _OVERHEAD_BYTES and self._is_reply(data):
            return Frame(self._register, OK, data[4:-3])
        self._heard = self._heard or bool(data)
        return self._pick(self._parser.feed(data))

    def expire(self) -> Frame | None:
        """The line fell silent: return a reply that stood behind an unfinished frame, if any."""
        if not self._heard:
            self.rejects["timeout"] += 1
            return None
        return self._pick(self._parser.expire())

    def _is_reply(self, data: bytes) -> bool:
        """Whether `data` is exactly the reply that is waited for: the usual case, without the parser's buffer."""
        return (
            data[0] == _START
            and data[1] == self._register
            and data[2] == OK
            and data[3] == len(data) - _OVERHEAD_BYTES
            and data[-1] == _END
            and not (sum(data[3:-3]) + (data[-3] << 8) + data[-2]) & 0xFFFF
        )

    def _pick(self, frames: list[Frame]) -> Frame | None:
        for frame in frames:
            if frame.register in _ECHOES and frame.register != self._register:
                self.rejects["echo"] += 1
            elif frame.address != self._address:
                self.rejects["address_mismatch"] += 1
            elif frame.register != self._register:
                self.rejects["register_mismatch"] += 1
            elif self._written and frame.unsummed and frame.status == _ONE_BIT_FROM_OK:
                self.rejects["doubtful_80"] += 1
            else:
                if frame.status != OK:
                    self.rejects[f"status_{frame.status:02x}"] += 1
                if frame.status != SAW_BAD_CHECKSUM:
                    return frame
        return None
