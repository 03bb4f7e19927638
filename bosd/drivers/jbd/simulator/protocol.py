"""What the board answers: registers read and written, factory mode, refusals. No I/O, no clock: `now_s` is an argument.

The wire counts current positive while charging; everything behind this module counts discharge positive.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from bosd.drivers.jbd.simulator import configuration
from bosd.drivers.jbd.simulator.encoding import basic_information, text_of, words_of
from bosd.drivers.jbd.simulator.framing import OK, REFUSED, UNKNOWN, WRONG_PASSWORD, Request, encode_reply
from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.plant import Plant

CHIP_TYPE = 1

_FACTORY_ENTER, _DISCARD, _KEEP = b"\x56\x78", b"\x00\x00", b"\x28\x28"
_CLEAR_HISTORY = b"\x18\x81"


class RefusedError(Exception):
    """The board refuses a request with a status byte."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status:02X}")
        self.status = status


@dataclass(slots=True)
class BoardCounts:
    """What was done to the board since start; times in seconds."""

    writes: int = 0
    writes_by_register: dict[str, int] = field(default_factory=dict)
    refusals: int = 0
    factory_enters: int = 0
    factory_exits: int = 0
    factory_longest_s: float = 0.0


class Board:
    """Answers intact requests from the plant's state; a configuration edit counts once factory mode is left with "keep"."""

    def __init__(self, options: SimulatorOptions, plant: Plant) -> None:
        self.options = options
        self.plant = plant
        self.zero_checksum_refusals = options.zero_checksum_refusals
        self.block_parameters = options.block_parameters
        self.counts = BoardCounts()
        self.factory_mode = False
        self._edits: dict[int, int] = {}
        self._authenticated = options.password is None  # without the feature, or without a password set
        self._factory_since_s = self._last_request_s = 0.0
        self._reads: dict[int, Callable[[], bytes]] = {
            0x00: lambda: bytes((CHIP_TYPE,)).rjust(2, b"\0"),
            0x03: lambda: basic_information(plant, options),
            0x04: lambda: words_of(round(cell_v * 1000.0) for cell_v in plant.cell_voltages_v),
            0x05: options.hardware_name.encode,
            0xA0: lambda: text_of("BOSD"),
            0xA1: lambda: text_of(options.hardware_name),
            0xA2: lambda: text_of(f"SIM{options.seed:08d}"),
            0xAA: lambda: words_of(plant.protections.counters[: 11 if options.short_counters else 12]),
        }
        if options.nameless:
            del self._reads[0x05]
        self._writes: dict[int, Callable[[bytes], None]] = {
            0x00: self._enter_factory,
            0x01: self._exit_factory,
            0x06: self._authenticate,
            0x0A: self._control,
            0x0B: self._clear_history,
            0xE0: self._set_remaining,
            0xE1: self._switch,
            0xE2: self._balance_test,
            0xE3: lambda _: self._restart(),
        }

    def answer(self, request: Request, now_s: float) -> bytes:
        """Return the reply to `request` heard at `now_s`."""
        self.pass_time(now_s)
        self._last_request_s = now_s
        try:
            payload = self._write(request) if request.write else self._read(request)
        except RefusedError as refusal:
            self.counts.refusals += 1
            return encode_reply(request.register, refusal.status, zero_checksum=self.zero_checksum_refusals)
        return encode_reply(request.register, OK, payload)

    def refuse(self, request: Request, status: int) -> bytes:
        """Return a refusal without looking at the request."""
        self.counts.refusals += 1
        return encode_reply(request.register, status, zero_checksum=self.zero_checksum_refusals)

    def pass_time(self, now_s: float) -> None:
        """Bring the plant to `now_s` and leave factory mode, dropping edits, once it has been idle for too long."""
        self.plant.update(now_s)
        timeout_s = self.options.factory_timeout_s
        if self.factory_mode:
            self.counts.factory_longest_s = max(self.counts.factory_longest_s, now_s - self._factory_since_s)
            if timeout_s is not None and now_s - self._last_request_s > timeout_s:
                self._leave_factory()

    def _read(self, request: Request) -> bytes:
        if request.register == 0xFA and self.block_parameters:
            return self._block(request.payload)
        if request.payload:
            raise RefusedError(UNKNOWN)
        if configuration.FIRST <= request.register <= configuration.LAST:
            if not self.factory_mode:
                raise RefusedError(REFUSED)
            return words_of([self._word(request.register)])
        if request.register not in self._reads:
            raise RefusedError(UNKNOWN)
        return self._reads[request.register]()

    def _write(self, request: Request) -> bytes:
        self.counts.writes += 1
        name = f"{request.register:02x}"
        self.counts.writes_by_register[name] = self.counts.writes_by_register.get(name, 0) + 1
        if not self._authenticated and request.register != 0x06:
            raise RefusedError(REFUSED)
        if configuration.FIRST <= request.register <= configuration.LAST:
            if not self.factory_mode:
                raise RefusedError(REFUSED)
            self._edits[request.register] = _word_of(request.payload)
        elif request.register in self._writes:
            self._writes[request.register](request.payload)
        else:
            raise RefusedError(UNKNOWN)
        return b""

    def _word(self, register: int) -> int:
        return self._edits.get(register, self.plant.words[register])

    def _block(self, payload: bytes) -> bytes:
        """Answer 0xFA: start word and count byte, where parameter 0 is configuration register 0x10."""
        if len(payload) != 3:
            raise RefusedError(UNKNOWN)
        if not self.factory_mode:
            raise RefusedError(REFUSED)
        first = configuration.FIRST + int.from_bytes(payload[:2], "big")
        if not payload[2] or first + payload[2] - 1 > configuration.LAST:
            raise RefusedError(UNKNOWN)
        return payload + words_of(self._word(register) for register in range(first, first + payload[2]))

    def _enter_factory(self, payload: bytes) -> None:
        if payload != _FACTORY_ENTER:
            raise RefusedError(WRONG_PASSWORD)
        if not self.factory_mode:
            self._factory_since_s = self._last_request_s
        self.factory_mode = True
        self.counts.factory_enters += 1

    def _exit_factory(self, payload: bytes) -> None:
        if payload not in (_DISCARD, _KEEP):
            raise RefusedError(UNKNOWN)
        if payload == _KEEP and self.factory_mode:
            self.plant.words |= self._edits
            self.plant.protections.counters[:] = [0] * 12
        self._leave_factory()

    def _leave_factory(self) -> None:
        self.counts.factory_exits += self.factory_mode
        self.factory_mode = False
        self._edits.clear()
        self.plant.balance_test = 0

    def _authenticate(self, payload: bytes) -> None:
        if self.options.password is None:
            if self.options.any_password and len(payload) == 7:
                return
            raise RefusedError(UNKNOWN)
        if payload != b"\x06" + self.options.password.encode():
            raise RefusedError(WRONG_PASSWORD)
        self._authenticated = True

    def _control(self, payload: bytes) -> None:
        """Obey 0x0A: 0100 sets the counter to full, 0400 clears alarms, 0700 returns balancing to automatic."""
        match payload:
            case b"\x01\x00":
                self.plant.pack.remaining_ah = self.plant.words[configuration.CYCLE_CAPACITY] / self.options.per_ah
            case b"\x04\x00":
                self.plant.protections.clear()
            case b"\x07\x00":
                self.plant.balance_test = 0
            case _:
                raise RefusedError(UNKNOWN)

    def _clear_history(self, payload: bytes) -> None:
        if payload != _CLEAR_HISTORY:
            raise RefusedError(UNKNOWN)
        self.plant.protections.counters[:] = [0] * 12

    def _set_remaining(self, payload: bytes) -> None:
        self.plant.pack.remaining_ah = _word_of(payload) / self.options.per_ah

    def _switch(self, payload: bytes) -> None:
        """Obey 0xE1: bit 0 switches charging off, bit 1 discharging (the opposite sense of the status byte)."""
        word = _word_of(payload)
        if word > 3:
            raise RefusedError(UNKNOWN)
        self.plant.switch(charge=not word & 1, discharge=not word & 2)

    def _balance_test(self, payload: bytes) -> None:
        word = _word_of(payload)
        if word not in (1, 2, 3):
            raise RefusedError(UNKNOWN)
        self.plant.balance_test = 0 if word == 3 else word

    def _restart(self) -> None:
        self._leave_factory()
        self.plant.restart()


def _word_of(payload: bytes) -> int:
    if len(payload) != 2:
        raise RefusedError(UNKNOWN)
    return int.from_bytes(payload, "big")
