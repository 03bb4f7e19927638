"""Requests and replies of Modbus RTU as a supply speaks it: sans-io, with pymodbus's frames and checksum."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from bosd.drivers.rd6006.registers import (
    CONSTANT_CURRENT,
    CONSTANT_VOLTAGE,
    INPUT_VOLTAGE,
    INPUT_VOLTAGE_SCALE_V,
    MODE,
    OUTPUT,
    OUTPUT_CURRENT,
    OUTPUT_VOLTAGE,
    PROTECTION,
    SET_CURRENT,
    SET_VOLTAGE,
    STATUS,
    TEMPERATURE,
    TEMPERATURE_SIGN,
    TRIPS,
    Model,
)
from bosd.errors import DriverError

READ, WRITE, REFUSED = 3, 6, 0x80
EXCEPTIONS = MappingProxyType(
    {
        1: "illegal function",
        2: "illegal register",
        3: "illegal value",
        4: "device failure",
        5: "acknowledged, not done yet",
        6: "device busy",
    }
)
_LONGEST_BUFFER_BYTES = 128
"""Nearly three of the longest replies."""
_EXCEPTION_BYTES = 5
_WRITE_BYTES = 8
_decoder = DecodePDU(is_server=False)
_framer = FramerRTU(_decoder)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a device said: the words of a read, none for a write, or the number of its refusal (0: none)."""

    words: tuple[int, ...] = ()
    exception: int = 0


class ReplyReader:
    """Finds the reply to one request among bytes; `rejects` counts what it passed over.

    RTU frames carry no number of their request, so that only what fits it in address, function and length counts, of a write
    also register and value. Bytes before it, of a reply cut short or noise, are passed over.
    """

    def __init__(self, address: int, function: int, reply_bytes: int, echo: tuple[int, int] | None = None) -> None:
        self.rejects: Counter[str] = Counter()
        self.reply_bytes = reply_bytes
        self._address = address
        self._function = function
        self._echo = echo
        self._buffer = bytearray()

    def begin(self) -> None:
        """Forget earlier bytes."""
        self._buffer.clear()

    def feed(self, data: bytes) -> Answer | None:
        """Take bytes; return the reply once it is whole."""
        self._buffer += data
        del self._buffer[:-_LONGEST_BUFFER_BYTES]
        for start, size in self._starts():
            frame = bytes(self._buffer[start : start + size])
            if len(frame) == size and _intact(frame) and (answer := self._answer(frame[1:-2])) is not None:
                return answer
        return None

    def expire(self) -> Answer | None:
        """Count why what came is no reply; there is none that stands behind it, as `feed` looks everywhere."""
        if not self._buffer:
            return None
        starts = list(self._starts())
        whole = [bytes(self._buffer[start : start + size]) for start, size in starts if start + size <= len(self._buffer)]
        if any(map(_intact, whole)):
            self.rejects["echo"] += 1
        elif whole:
            self.rejects["crc"] += 1
        else:
            self.rejects["truncated" if starts else "other_frame"] += 1
        self._buffer.clear()
        return None

    def _starts(self) -> Iterator[tuple[int, int]]:
        """Yield where a reply may begin, and how long it would be."""
        buffer, start = self._buffer, -1
        while (start := buffer.find(self._address, start + 1, len(buffer) - 1)) >= 0:
            function = buffer[start + 1]
            if function == self._function | REFUSED:
                yield start, _EXCEPTION_BYTES
            elif function == self._function and (function == WRITE or self._counts(start)):
                yield start, self.reply_bytes

    def _counts(self, start: int) -> bool:
        """Return whether a read's reply that may begin at `start` has as many bytes as were asked for, as far as it is there."""
        return start + 2 >= len(self._buffer) or self._buffer[start + 2] == self.reply_bytes - _EXCEPTION_BYTES

    def _answer(self, pdu: bytes) -> Answer | None:
        if pdu[0] & REFUSED:
            return Answer(exception=pdu[1] or 0xFF)
        found = _decoder.decode(pdu)
        if isinstance(found, WriteSingleRegisterResponse):
            return Answer() if (found.address, found.registers[0]) == self._echo else None
        return Answer(tuple(found.registers)) if isinstance(found, ReadHoldingRegistersResponse) else None


@dataclass(frozen=True, slots=True)
class Request:
    """A frame to send, and what finds its reply; `what` names it to people."""

    frame: bytes
    reader: ReplyReader
    what: str


def read_request(address: int, register: int, count: int) -> Request:
    """Return the request for `count` registers from `register` on."""
    pdu = ReadHoldingRegistersRequest(address=register, count=count, dev_id=address)
    return Request(_frame(pdu), ReplyReader(address, READ, _EXCEPTION_BYTES + 2 * count), f"reading register {register}")


def write_request(address: int, register: int, word: int) -> Request:
    """Return the request that writes one register."""
    pdu = WriteSingleRegisterRequest(address=register, registers=[word], dev_id=address)
    return Request(
        _frame(pdu), ReplyReader(address, WRITE, _WRITE_BYTES, (register, word)), f"writing {word} to register {register}"
    )


def _frame(pdu: ModbusPDU) -> bytes:
    return bytes(_framer.buildFrame(pdu))


def _intact(frame: bytes) -> bool:
    return bool(FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a supply does: its set points and what it measures, in V, A (never negative) and degC; `trip` names a protection."""

    set_voltage_v: float
    set_current_a: float
    output_voltage_v: float
    output_current_a: float
    input_voltage_v: float
    temperature_c: int
    output_on: bool
    constant_current: bool
    trip: str


def decode_status(words: Sequence[int], model: Model) -> Status:
    """Return the status in the words of registers 4 to 18 (and more). Raises DriverError for what cannot be."""
    if len(words) < len(STATUS):
        raise DriverError(f"status: {len(words)} words instead of {len(STATUS)}")

    def word(register: int) -> int:
        return words[register - STATUS.start]

    if word(OUTPUT) not in (0, 1):
        raise DriverError(f"status: register {OUTPUT} (output) holds {word(OUTPUT)}, neither 0 nor 1")
    if word(MODE) not in (CONSTANT_VOLTAGE, CONSTANT_CURRENT):
        raise DriverError(f"status: register {MODE} (CV, CC) holds {word(MODE)}, neither 0 nor 1")
    trip = word(PROTECTION)
    degrees = word(TEMPERATURE)
    return Status(
        set_voltage_v=word(SET_VOLTAGE) * model.voltage_scale_v,
        set_current_a=word(SET_CURRENT) * model.current_scale_a,
        output_voltage_v=word(OUTPUT_VOLTAGE) * model.voltage_scale_v,
        output_current_a=word(OUTPUT_CURRENT) * model.current_scale_a,
        input_voltage_v=word(INPUT_VOLTAGE) * INPUT_VOLTAGE_SCALE_V,
        temperature_c=-degrees if word(TEMPERATURE_SIGN) else degrees,
        output_on=word(OUTPUT) == 1,
        constant_current=word(MODE) == CONSTANT_CURRENT,
        trip=TRIPS.get(trip, f"protection {trip}") if trip else "",
    )
