"""The ways to go wrong: what each does to a reply on its way, and which numbers it takes."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bosd.drivers.jbd.simulator.outgoing import Held, Outgoing, Segment

Parameters = Mapping[str, float]

_CHECKSUM_AND_END_BYTES = 3
_NO_START = bytes(byte for byte in range(256) if byte != 0xDD)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number a fault takes: its value when not given, and its range."""

    default: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One way to go wrong; `strikes_board` marks those that need no reply to act.

    `apply` gets the reply, its parameters, a source of chance and the seconds since the start.
    """

    apply: Callable[[Outgoing, Parameters, random.Random, float], None]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    strikes_board: bool = False


def _drop(out: Outgoing, _parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    out.segments.clear()


def _delay(out: Outgoing, parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    if out.segments:
        out.segments[0].pause_s += parameters["delay_s"]


def _drop_byte(out: Outgoing, parameters: Parameters, rng: random.Random, _now_s: float) -> None:
    data = bytearray(out.data)
    for _ in range(min(int(parameters["bytes"]), len(data))):
        del data[rng.randrange(len(data))]
    out.replace(data)


def _lose_bytes(out: Outgoing, parameters: Parameters, rng: random.Random, _now_s: float) -> None:
    out.replace(bytes(byte for byte in out.data if rng.random() >= parameters["rate"]))


def _flip_bits(out: Outgoing, parameters: Parameters, rng: random.Random, _now_s: float) -> None:
    out.replace(bytes(byte ^ (1 << rng.randrange(8) if rng.random() < parameters["rate"] else 0) for byte in out.data))


def _flip_bit(out: Outgoing, _parameters: Parameters, rng: random.Random, _now_s: float) -> None:
    data = bytearray(out.data)
    if data:
        position = rng.randrange(len(data) * 8)
        data[position // 8] ^= 1 << position % 8
        out.replace(data)


def _corrupt_checksum(out: Outgoing, _parameters: Parameters, rng: random.Random, _now_s: float) -> None:
    data = bytearray(out.data)
    if len(data) > _CHECKSUM_AND_END_BYTES:
        data[-2] ^= rng.randrange(1, 256)
        out.replace(data)


def _wrong_end(out: Outgoing, _parameters: Parameters, rng: random.Random, _now_s: float) -> None:
    data = bytearray(out.data)
    if data:
        data[-1] ^= rng.randrange(1, 256)
        out.replace(data)


def _wrong_echo(out: Outgoing, _parameters: Parameters, rng: random.Random, _now_s: float) -> None:
    """Answer in the name of another register, which no checksum covers."""
    data = bytearray(out.data)
    if len(data) > 1:
        data[1] ^= rng.randrange(1, 256)
        out.replace(data)


def _truncate(out: Outgoing, parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    out.replace(out.data[: int(parameters["keep_bytes"])])


def _duplicate(out: Outgoing, parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    if out.segments:
        out.segments.append(Segment(out.data, parameters["gap_s"]))


def _split(out: Outgoing, parameters: Parameters, rng: random.Random, _now_s: float) -> None:
    data = out.data
    if len(data) > 1:
        at = int(parameters["after_bytes"]) or rng.randrange(1, len(data))
        out.replace(data[:at])
        if data[at:]:
            out.segments.append(Segment(data[at:], parameters["gap_s"]))


def _prefix(out: Outgoing, parameters: Parameters, rng: random.Random, _now_s: float) -> None:
    """Send rubbish ahead; with `header` 1 it ends in what looks like the start of a reply of 1 to 27 bytes."""
    rubbish = rng.randbytes(int(parameters["bytes"]))
    if parameters["header"]:
        rubbish += bytes((0xDD, rng.choice((0x03, 0x04, 0x05)), 0x00, rng.randrange(1, 28)))
    if out.segments:
        out.segments[0].data = rubbish + out.segments[0].data


def _echo(out: Outgoing, _parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    """Send the request back, as half-duplex adapters do that hear themselves."""
    out.lead += out.request


def _chatter(out: Outgoing, parameters: Parameters, rng: random.Random, _now_s: float) -> None:
    """Say something nobody asked for: bytes without a DD, as the heartbeat of other firmware."""
    out.segments.insert(0, Segment(bytes(rng.choice(_NO_START) for _ in range(int(parameters["bytes"])))))


def _late(out: Outgoing, parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    """Keep the reply until the next request, ahead of whose own reply it goes out."""
    if out.segments:
        out.held.append(Held(list(out.segments), parameters["gap_s"]))
        out.segments.clear()


def _coalesce(out: Outgoing, _parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    """Keep the reply and send it in one piece with the next one, as bridges do."""
    if out.segments:
        out.held.append(Held(list(out.segments), glued=True))
        out.segments.clear()


def _previous(out: Outgoing, _parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    """Answer with the reply to the request before, if there was one."""
    if out.previous:
        out.replace(out.previous)


def _pieces(out: Outgoing, parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    """Cut the reply into notifications, each of which arrives at once."""
    data, size = out.data, int(parameters["size_bytes"])
    pause_s = out.segments[0].pause_s if out.segments else 0.0
    pauses_s = [pause_s, *[parameters["gap_s"]] * len(data)]
    out.segments = [Segment(data[at : at + size], pauses_s[at // size], whole=True) for at in range(0, len(data), size)]


def _drift(out: Outgoing, parameters: Parameters, _rng: random.Random, now_s: float) -> None:
    """Let the board's clock run `percent` slow, or swing that far both ways once in `period_s`."""
    period_s = parameters["period_s"]
    out.slowness = parameters["percent"] / 100.0 * (math.sin(2.0 * math.pi * now_s / period_s) if period_s else 1.0)


def _sleep(out: Outgoing, _parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    out.sleep = True


def _stuck(out: Outgoing, parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    out.segments.clear()
    out.stuck_s = parameters["seconds"]


def _unplug(out: Outgoing, parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    out.segments.clear()
    out.unplug_s = parameters["seconds"]


def _reset(out: Outgoing, _parameters: Parameters, _rng: random.Random, _now_s: float) -> None:
    out.segments.clear()
    out.reset = True


_GAP = Parameter(0.1, 0.0, 60.0)
_RATE = Parameter(0.05, 0.0, 1.0)

FAULTS: dict[str, FaultKind] = {
    "drop": FaultKind(_drop),
    "delay": FaultKind(_delay, {"delay_s": Parameter(0.5, 0.0, 3600.0)}),
    "drop_byte": FaultKind(_drop_byte, {"bytes": Parameter(1, 1, 262)}),
    "lose_bytes": FaultKind(_lose_bytes, {"rate": _RATE}),
    "corrupt": FaultKind(_corrupt_checksum),
    "flip_bit": FaultKind(_flip_bit),
    "flip_bits": FaultKind(_flip_bits, {"rate": _RATE}),
    "wrong_end": FaultKind(_wrong_end),
    "wrong_echo": FaultKind(_wrong_echo),
    "truncate": FaultKind(_truncate, {"keep_bytes": Parameter(7.0, 0.0, 262.0)}),
    "duplicate": FaultKind(_duplicate, {"gap_s": Parameter(0.0, 0.0, 60.0)}),
    "split": FaultKind(_split, {"after_bytes": Parameter(0, 0, 262), "gap_s": _GAP}),
    "prefix": FaultKind(_prefix, {"bytes": Parameter(2, 0, 262), "header": Parameter(0, 0, 1)}),
    "echo": FaultKind(_echo),
    "late": FaultKind(_late, {"gap_s": Parameter(0.015, 0.0, 60.0)}),
    "coalesce": FaultKind(_coalesce),
    "previous": FaultKind(_previous),
    "pieces": FaultKind(_pieces, {"size_bytes": Parameter(20, 1, 262), "gap_s": Parameter(0.0075, 0.0, 60.0)}),
    "drift": FaultKind(_drift, {"percent": Parameter(3.0, -10.0, 10.0), "period_s": Parameter(0.0, 0.0, 1e6)}),
    "chatter": FaultKind(_chatter, {"bytes": Parameter(5, 1, 262)}, strikes_board=True),
    "sleep": FaultKind(_sleep, strikes_board=True),
    "stuck": FaultKind(_stuck, {"seconds": Parameter(5.0, 0.0, 86400.0)}, strikes_board=True),
    "unplug": FaultKind(_unplug, {"seconds": Parameter(1.0, 0.0, 86400.0)}, strikes_board=True),
    "reset": FaultKind(_reset, strikes_board=True),
}
"""By name. `late`, `coalesce` and `previous` make a reply meet the wrong request; `unplug` is the end of the file (EIO at a
terminal, a refused connection over TCP), `reset` the end of the connection alone (RST). Twenty bytes a piece, 7.5 ms apart,
are Bluetooth LE's notifications at its shortest connection interval.
"""
