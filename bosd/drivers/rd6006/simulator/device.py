"""The supply's end of Modbus RTU: requests in bytes to replies in bytes, with exceptions."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from bosd.drivers.rd6006.simulator.options import SimulatorOptions
from bosd.drivers.rd6006.simulator.plant import Plant

READ, WRITE_ONE, WRITE_MANY = 3, 6, 16
ILLEGAL_FUNCTION, ILLEGAL_REGISTER, ILLEGAL_VALUE = 1, 2, 3
REGISTERS = 120
MOST_WORDS = 42
"""Asked for more it says nothing, as the real one."""

V_SET, I_SET, OUTPUT, BOOT, OVP, OCP = 8, 9, 18, 68, 82, 83
_HEADER_BYTES = 7
_SHORT_BYTES = 8


def crc16(data: bytes) -> bytes:
    """Return the Modbus CRC (polynomial A001, begins at FFFF), low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


@dataclass(frozen=True, slots=True)
class Request:
    """One whole request; `intact` is whether its CRC is right."""

    data: bytes
    intact: bool

    @property
    def register(self) -> int:
        """The first register it names."""
        return int.from_bytes(self.data[2:4], "big")


def request_bytes(data: bytes) -> int:
    """Return how long the request that begins with `data` is; 0 while that is not known."""
    if len(data) < 2:
        return 0
    if data[1] != WRITE_MANY:
        return _SHORT_BYTES
    return _HEADER_BYTES + data[6] + 2 if len(data) >= _HEADER_BYTES else 0


class RegisterBank:
    """Answers requests from a plant's state, and changes it."""

    def __init__(self, options: SimulatorOptions, plant: Plant) -> None:
        self.plant = plant
        self.address = options.address
        self.writes = 0
        self._serial, self._firmware = options.serial, options.firmware
        self._kept: dict[int, int] = {66: 1, 69: 1, 72: 5}
        build = plant.build
        self._setters: dict[int, tuple[Callable[[int], None], int]] = {
            V_SET: (lambda word: setattr(plant, "set_voltage_v", word / build.per_v), 61 * build.per_v),
            I_SET: (
                lambda word: setattr(plant, "set_current_a", word / build.per_a),
                round(build.max_current_a * 1.02 * build.per_a),
            ),
            OUTPUT: (lambda word: plant.switch(on=bool(word)), 1),
            BOOT: (lambda word: setattr(plant, "boot_output", bool(word)), 1),
            OVP: (lambda word: setattr(plant, "ovp_v", word / build.per_v), 62 * build.per_v),
            OCP: (lambda word: setattr(plant, "ocp_a", word / build.per_a), round((build.max_current_a + 0.2) * build.per_a)),
        }

    def answer(self, request: Request) -> bytes:
        """Return the reply; nothing to what is damaged, for another address, or too much at once."""
        data = request.data
        if not request.intact or data[0] != self.address:
            return b""
        function = data[1]
        if function == READ:
            return self._read(request.register, int.from_bytes(data[4:6], "big"))
        if function == WRITE_ONE:
            refusal = self._write(request.register, int.from_bytes(data[4:6], "big"))
            return self.refuse(function, refusal) if refusal else data
        if function == WRITE_MANY:
            return self._write_many(data)
        return self.refuse(function, ILLEGAL_FUNCTION)

    def refuse(self, function: int, exception: int) -> bytes:
        """Return an exception reply."""
        return self._framed(bytes((function | 0x80, exception)))

    def words(self) -> list[int]:
        """Return all registers as they stand."""
        plant, words = self.plant, [0] * REGISTERS
        per_v, per_a = plant.build.per_v, plant.build.per_a
        words[0:4] = plant.build.word, self._serial >> 16, self._serial & 0xFFFF, self._firmware
        words[4:8] = self._signed(plant.temperature_c) + self._signed(plant.temperature_c * 1.8 + 32.0)
        words[8:12] = (
            round(plant.set_voltage_v * per_v),
            round(plant.set_current_a * per_a),
            round(plant.voltage_v * per_v),
            round(plant.current_a * per_a),
        )
        words[13:15] = round(plant.voltage_v * plant.current_a * 100) & 0xFFFF, round(plant.input_voltage_v * 100)
        words[16:19] = plant.protection, int(plant.constant_current), int(plant.output_on)
        words[80:84] = words[8], words[9], round(plant.ovp_v * per_v), round(plant.ocp_a * per_a)
        words[68] = int(plant.boot_output)
        for register, word in self._kept.items():
            words[register] = word
        return words

    @staticmethod
    def _signed(degrees: float) -> list[int]:
        return [int(degrees < 0), round(abs(degrees))]

    def _read(self, register: int, count: int) -> bytes:
        if not count >= 1 or register + count > REGISTERS:
            return self.refuse(READ, ILLEGAL_REGISTER)
        if count > MOST_WORDS:
            return b""
        words = self.words()[register : register + count]
        return self._framed(struct.pack(f">BB{count}H", READ, 2 * count, *words))

    def _write(self, register: int, word: int) -> int:
        if register not in self._setters:
            return ILLEGAL_REGISTER
        setter, most = self._setters[register]
        if word > most:
            return ILLEGAL_VALUE
        setter(word)
        self.writes += 1
        self.plant.update()
        return 0

    def _write_many(self, data: bytes) -> bytes:
        register, count = struct.unpack(">HH", data[2:6])
        words = struct.unpack(f">{(len(data) - 9) // 2}H", data[7:-2])
        if count != len(words):
            return self.refuse(WRITE_MANY, ILLEGAL_VALUE)
        for index, word in enumerate(words):
            if refusal := self._write(register + index, word):
                return self.refuse(WRITE_MANY, refusal)
        return self._framed(data[1:6])

    def _framed(self, pdu: bytes) -> bytes:
        body = bytes((self.address,)) + pdu
        return body + crc16(body)
