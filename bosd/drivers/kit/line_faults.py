"""Faults of a line, put between a driver and any transport: loss, flipped bits, noise, stalls and an unplugged cable."""

import asyncio
import random
from collections import Counter

from bosd.drivers.kit.bench import Fault
from bosd.drivers.transport import ByteReceiver, ByteTransport
from bosd.errors import UnavailableError

LINE_FAULTS = frozenset({Fault.UNPLUG, Fault.STALL, Fault.GARBAGE, Fault.LOSS, Fault.FLIPS, Fault.MESSAGES})
RATE = 0.05
_NOISE_EVERY_S = 0.03
_NOISE_BYTES = 20
_MESSAGE_BYTES = 40
"""Within the first so many bytes of an answer its flipped bit lies: the length of common answers."""


class LineFaults:
    """What happens on all lines of one trial. `counters` holds `opens`, `messages`, `bytes_out` and `bytes_in`."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.counters: Counter[str] = Counter()
        self.active: set[Fault] = set()
        self.transports: set[FaultyTransport] = set()

    def set(self, fault: Fault, *, active: bool) -> None:
        """Begin or end a fault."""
        (self.active.add if active else self.active.discard)(fault)
        if fault is Fault.UNPLUG and active:
            self.hang_up()
        if fault is Fault.STALL and not active:
            for transport in tuple(self.transports):
                transport.flush()
        if fault is Fault.GARBAGE and active:
            for transport in tuple(self.transports):
                transport.noise()

    def hang_up(self) -> None:
        """Break every connection."""
        for transport in tuple(self.transports):
            transport.lose()

    def wrap(self, inner: ByteTransport) -> "FaultyTransport":
        """Return a transport that suffers what happens here."""
        return FaultyTransport(inner, self)

    def mangled(self, data: bytes) -> bytes:
        """Return what is left of bytes on their way."""
        if Fault.GARBAGE in self.active:
            return self.chance.randbytes(len(data))
        if Fault.LOSS in self.active:
            data = bytes(byte for byte in data if self.chance.random() >= RATE)
        if Fault.FLIPS in self.active:
            data = bytes(byte ^ (1 << self.chance.randrange(8) if self.chance.random() < RATE else 0) for byte in data)
        return data


class FaultyTransport:
    """A transport with faults on the way; its times are those of the one it stands before."""

    def __init__(self, inner: ByteTransport, faults: LineFaults) -> None:
        self.port = inner.port
        self.reply_s, self.gap_s, self.byte_s = inner.reply_s, inner.gap_s, inner.byte_s
        self.reopen_on_silence = inner.reopen_on_silence
        self._inner = inner
        self._faults = faults
        self._receiver: ByteReceiver | None = None
        self._waiting_out: list[bytes] = []
        self._waiting_in: list[bytes] = []
        self._flip_in: int | None = None

    async def open(self, receiver: ByteReceiver) -> None:
        """Open; raises UnavailableError while the cable is out."""
        if Fault.UNPLUG in self._faults.active:
            raise UnavailableError(f"{self.port}: no such device", port=self.port)
        await self._inner.open(self)
        if Fault.UNPLUG in self._faults.active:
            self._inner.close()
            raise UnavailableError(f"{self.port}: no such device", port=self.port)
        self._receiver = receiver
        self._faults.counters["opens"] += 1
        self._faults.transports.add(self)
        if Fault.GARBAGE in self._faults.active:
            self.noise()

    def write(self, data: bytes) -> None:
        """Send what the faults leave of `data`; raises UnavailableError when it is closed or lost."""
        if self._receiver is None:
            raise UnavailableError(f"{self.port}: closed", port=self.port)
        faults = self._faults
        faults.counters["messages"] += 1
        faults.counters["bytes_out"] += len(data)
        data = faults.mangled(data)
        self._flip_in = None
        if Fault.MESSAGES in faults.active:
            if data and faults.chance.random() < RATE:
                data = _flipped(data, faults.chance.randrange(len(data)), faults.chance)
            if faults.chance.random() < RATE:
                self._flip_in = faults.chance.randrange(_MESSAGE_BYTES)
        if Fault.STALL in faults.active:
            self._waiting_out.append(data)
        elif data:
            self._inner.write(data)

    def discard_input(self) -> None:
        """Pass on."""
        self._inner.discard_input()

    def close(self) -> None:
        """Close; idempotent."""
        self._receiver = None
        self._faults.transports.discard(self)
        self._waiting_in.clear()
        self._waiting_out.clear()
        self._inner.close()

    def data_received(self, data: bytes) -> None:
        """Deliver what the faults leave of `data`."""
        self._faults.counters["bytes_in"] += len(data)
        data = self._faults.mangled(data)
        if self._flip_in is not None:
            if self._flip_in < len(data):
                data = _flipped(data, self._flip_in, self._faults.chance)
                self._flip_in = None
            else:
                self._flip_in -= len(data)
        if Fault.STALL in self._faults.active:
            self._waiting_in.append(data)
        elif data and self._receiver is not None:
            self._receiver.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Pass a loss on, once."""
        receiver, self._receiver = self._receiver, None
        self._faults.transports.discard(self)
        if receiver is not None:
            receiver.connection_lost(error)

    def lose(self) -> None:
        """Break the connection as a cable that is pulled does."""
        if self._receiver is not None:
            self._inner.close()
            self._waiting_in.clear()
            self._waiting_out.clear()
            self.connection_lost(OSError(5, "Input/output error"))

    def flush(self) -> None:
        """Deliver what a stall has kept, both ways."""
        waiting_in, self._waiting_in = self._waiting_in, []
        waiting_out, self._waiting_out = self._waiting_out, []
        for data in waiting_in:
            if self._receiver is not None and data:
                self._receiver.data_received(data)
        for data in waiting_out:
            if self._receiver is not None and data:
                self._inner.write(data)

    def noise(self) -> None:
        """Deliver bytes that nobody sent, for as long as there is noise."""
        if self._receiver is None or Fault.GARBAGE not in self._faults.active:
            return
        chance = self._faults.chance
        asyncio.get_running_loop().call_later(_NOISE_EVERY_S * (0.5 + chance.random()), self.noise)
        self._receiver.data_received(chance.randbytes(chance.randrange(1, _NOISE_BYTES)))


def _flipped(data: bytes, place: int, chance: random.Random) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)
