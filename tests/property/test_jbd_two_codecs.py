"""The driver's codec and the simulated board's, written apart from one document, agree on every input.

`BOSD_FUZZ_INPUTS` says how many (50,000 without it; `make soak` takes 1,000,000).
"""

import os
import random

import pytest

from bosd.drivers.jbd import framing as ours
from bosd.drivers.jbd.codec import decode_basic, decode_cells
from bosd.drivers.jbd.registers import WRITABLE
from bosd.drivers.jbd.simulator import framing as boards
from bosd.drivers.jbd.simulator.options import TAILS
from tests.unit.drivers.jbd_simulator.bench_pack import BASIC, CELLS, Bench

INPUTS = int(os.environ.get("BOSD_FUZZ_INPUTS", "50000"))
SEED = int(os.environ.get("BOSD_FUZZ_SEED", "8"))
OPCODES = (0xA5, 0x5A)

pytestmark = pytest.mark.timeout(60 + INPUTS // 1000)


def damage(data: bytes, rng: random.Random) -> bytes:
    """Return `data` after what happens to bytes on a line: nothing, or flips, losses, repeats, rubbish before or between."""
    spoiled = bytearray(data)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
        at = rng.randrange(len(spoiled) + 1)
        match rng.randrange(6):
            case 0 if at < len(spoiled):
                spoiled[at] ^= 1 << rng.randrange(8)
            case 1:
                del spoiled[at : at + rng.randrange(1, 4)]
            case 2:
                spoiled[at:at] = rng.randbytes(rng.randrange(1, 12))
            case 3:
                spoiled[at:at] = spoiled[max(at - 8, 0) : at]
            case 4:
                spoiled[at:at] = rng.choice((b"\xdd", b"\xdd\x03\x00\x1b", b"\xdd\xa5\x03\x00", b"\x77", b"\xdd\x03\x80\x00"))
            case _:
                spoiled += rng.randbytes(rng.randrange(4))
    return bytes(spoiled)


def some_request(rng: random.Random) -> bytes:
    """Return a request as the driver makes it."""
    if rng.random() < 0.5:
        return ours.encode_read(rng.randrange(256))
    register = rng.choice(sorted(WRITABLE))
    return ours.encode_write(register, rng.randbytes(WRITABLE[register]))


def some_reply(rng: random.Random) -> tuple[bytes, ours.Frame]:
    """Return a reply as the board makes it, and what the driver should read from it."""
    register = rng.choice([number for number in (3, 4, 5, 0, 0xAA, 0xE1, 0xFF, 0xDD, 0x77) if number not in OPCODES])
    status = rng.choice((0, 0, 0, 0x80, 0x81, 0x83))
    payload = b"" if status else rng.randbytes(rng.choice((0, 2, 8, 27, 47, 255)))
    return boards.encode_reply(register, status, payload), ours.Frame(register, status, payload)


def test_the_board_hears_what_the_driver_says_and_nothing_else() -> None:
    """Undamaged requests are heard in order; what is taken as intact from any stream is what the driver would have sent."""
    rng = random.Random(SEED)
    for number in range(INPUTS // 2):
        sent = [some_request(rng) for _ in range(rng.randrange(1, 4))]
        clean = b"".join(sent)
        stream = clean if number % 4 == 0 else damage(clean, rng)
        scanner = boards.RequestScanner()
        heard = [request for byte in stream for request in scanner.feed(byte)]
        if stream == clean:
            assert [request.raw for request in heard] == sent, (SEED, number)
            assert all(request.intact for request in heard)
        at = 0
        for request in heard:
            if request.intact:
                said = ours._request(0x5A if request.write else 0xA5, request.register, request.payload)
                assert said == request.raw, (SEED, number)
            at = stream.index(request.raw, at) + len(request.raw)


def test_the_driver_reads_what_the_board_says_and_nothing_else() -> None:
    """Undamaged replies are read in order; a frame read from any stream is one the board would have sent, and stands in it."""
    rng = random.Random(SEED)
    for number in range(INPUTS // 2):
        replies = [some_reply(rng) for _ in range(rng.randrange(1, 4))]
        clean = b"".join(data for data, _ in replies)
        stream = clean if number % 4 == 0 else damage(clean, rng)
        parser, frames, at = ours.FrameParser(), list[ours.Frame](), 0
        while at < len(stream):
            step = rng.randrange(1, 40)
            frames += parser.feed(stream[at : at + step])
            at += step
        frames += parser.expire()
        if stream == clean:
            assert frames == [frame for _, frame in replies], (SEED, number)
        at = 0
        for frame in frames:
            forms = [boards.encode_reply(frame.register, frame.status, frame.payload)]
            if frame.status and not frame.payload:
                forms.append(boards.encode_reply(frame.register, frame.status, zero_checksum=True))
            places = [place for form in forms if (place := stream.find(form, at)) >= 0]
            assert places, (SEED, number, frame, stream.hex())
            at = min(places) + 1


def test_they_mean_the_same_by_every_word() -> None:
    """A board in 300 random states is decoded to what its model holds, within the words' rounding; charging is positive."""
    rng = random.Random(SEED)
    for number in range(300):
        flagged = rng.random() < 0.3
        tail = rng.choice(("standard", "dh04") if flagged else TAILS)
        series, sensors = rng.randrange(1, 33), rng.randrange(9)
        bench = Bench(
            seed=number,
            tail=tail,
            unit_flag=flagged,
            series=series,
            ntc_count=sensors,
            soc=rng.random(),
            capacity_ah=rng.uniform(5.0, 3000.0 if flagged else 655.0),
            capacity_spread=0.05,
            load_current_a=rng.uniform(-200.0, 200.0),
            ambient_c=round(rng.uniform(-5.0, 60.0), 1),
        )
        info, plant, per_unit = decode_basic(bench.basic()), bench.plant, 10 if flagged else 100
        assert info.voltage_v == pytest.approx(plant.voltage_v, abs=0.0051)
        assert info.inflow_a == pytest.approx(-plant.current_a, abs=0.51 / per_unit)
        assert info.remaining_ah == pytest.approx(plant.pack.remaining_ah, abs=0.51 / per_unit)
        assert info.capacity_ah == pytest.approx(plant.pack.capacity_ah, abs=0.51 / per_unit)
        assert (info.cell_count, len(info.temperatures_c)) == (series, sensors)
        assert all(read_c == pytest.approx(plant.pack.temperature_c, abs=0.051) for read_c in info.temperatures_c)
        assert (info.protection_bits, info.balance_bits) == (plant.protection_word, plant.balance_word)
        assert decode_basic(bench.ask(BASIC)[4:-3]) is not None
        cells_v = decode_cells(bench.ask(CELLS)[4:-3])
        assert cells_v == pytest.approx(plant.cell_voltages_v, abs=0.00051)
