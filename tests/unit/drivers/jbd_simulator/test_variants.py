"""The variants seen in the wild, each as the driver's own decoder reads it, and several boards on one line."""

import asyncio

import pytest

from bosd.drivers.jbd.codec import decode_basic, decode_counters
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.errors import InvalidArgumentError
from tests.unit.drivers.jbd_simulator.bench_pack import BASIC, BYTE_S, Bench, read, write


def addressed(request: bytes, address: int) -> bytes:
    """Put the address after DD, outside the checksum."""
    return request[:1] + bytes((address,)) + request[1:]


@pytest.mark.parametrize(
    ("tail", "ntc_count", "length"),
    [
        ("none", 0, 0x17),
        ("none", 1, 0x19),
        ("none", 4, 0x1F),
        ("none", 6, 0x23),
        ("none", 8, 39),
        ("standard", 1, 0x22),
        ("standard", 2, 0x24),
        ("standard", 3, 0x26),
        ("clone", 4, 0x27),
        ("dh04", 4, 0x2F),
    ],
)
def test_every_observed_length(tail: str, ntc_count: int, length: int) -> None:
    """Payload lengths of register 03 as listed from captures."""
    payload = Bench(tail=tail, ntc_count=ntc_count).basic()
    info = decode_basic(payload)
    assert len(payload) == length
    assert info.temperatures_c == (25.0,) * ntc_count
    assert info.voltage_v == pytest.approx(13.2, abs=0.05)
    assert (info.remaining_ah, info.capacity_ah) == (50.0, 100.0)


@pytest.mark.parametrize("tail", ["standard", "dh04"])
def test_the_unit_flag_counts_in_tenths(tail: str) -> None:
    """1200 Ah and 96 A discharge, which words of 10 mA could not hold beside each other; function bit 12 says so, too."""
    bench = Bench(tail=tail, unit_flag=True, capacity_ah=1200.0, soc=0.8, load_current_a=96.0)
    info = decode_basic(bench.basic())
    assert (info.inflow_a, info.capacity_ah) == (-96.0, 1200.0)
    assert info.remaining_ah == pytest.approx(960.0, abs=0.1)
    assert info.tail is not None
    assert info.tail.full_charge_ah == 1200.0
    assert bench.plant.words[0x2D] >> 12 & 1
    bench.ask(write(0xE0, "0bb8"))
    assert decode_basic(bench.basic()).remaining_ah == pytest.approx(300.0, abs=0.1)


def test_no_date_no_name_and_old_counters() -> None:
    """Word 0, status 80 for register 05, 11 words in AA."""
    bench = Bench(undated=True, nameless=True, short_counters=True)
    assert decode_basic(bench.basic()).production == 0
    assert bench.ask(read(0x05)).hex() == "dd058000ff8077"
    counters = bench.ask(read(0xAA))
    assert len(counters) == 7 + 22
    assert "restart" not in decode_counters(counters[4:-3])


@pytest.mark.parametrize("cells", [1, 32])
def test_one_and_thirty_two_cells(cells: int) -> None:
    """As many words in 04 as 03 says."""
    bench = Bench(series=cells)
    assert bench.ask(read(0x04))[3] == 2 * cells
    assert bench.basic()[21] == cells


@pytest.mark.parametrize(("options", "status"), [({}, "80"), ({"any_password": True}, "00"), ({"password": "123456"}, "83")])
def test_what_becomes_of_a_password(options: dict[str, object], status: str) -> None:
    """Refused without the feature, taken when none is set, wrong when another one is."""
    bench = Bench(**options)
    assert bench.ask(write(0x06, "06000000000000"))[2:3].hex() == status
    assert bench.ask(write(0x00, "5678"))[2:3].hex() == ("81" if "password" in options else "00")


def test_an_ordinary_board_ignores_the_addressed_form_and_an_addressed_one_the_plain() -> None:
    """Each hears its own form; the reply carries the address, and the checksum leaves it out."""
    assert Bench().ask(addressed(BASIC, 5)) == b""
    bench = Bench(address=5)
    assert bench.ask(BASIC) == b""
    assert bench.ask(addressed(BASIC, 6)) == b""
    plain = Bench().ask(BASIC)
    assert bench.ask(addressed(BASIC, 5), after_s=0.5) == plain[:1] + b"\x05" + plain[1:]


def test_requests_for_others_do_not_confuse_an_addressed_board() -> None:
    """A payload for board 6 that looks like a request for board 5 is not one; what follows is heard."""
    bench = Bench(address=5)
    inner = addressed(BASIC, 5)
    bait = addressed(read(0xFA, inner), 6)
    assert bench.ask(bait) == b""
    assert bench.station.counts.requests == 0
    assert bench.ask(inner)[:4].hex() == "dd050300"


async def _ask(simulator: JbdSimulator, request: bytes, seconds: float = 0.2) -> bytes:
    heard = bytearray()
    simulator.memory.on_bytes = heard.extend
    simulator.memory.write(request)
    await asyncio.sleep(seconds)
    return bytes(heard)


@pytest.mark.jumping
async def test_ten_boards_share_a_line() -> None:
    """Each answers to its address with its own cells, one is another's silence, and one told to be stuck disturbs nobody."""
    async with JbdSimulator(SimulatorOptions(boards=10, load_current_a=50.0, capacity_spread=0.1)) as simulator:
        answers = {address: await _ask(simulator, addressed(read(0x04), address)) for address in range(1, 11)}
        assert [reply[1] for reply in answers.values()] == list(range(1, 11))
        assert len({reply[5:] for reply in answers.values()}) == 10
        assert await _ask(simulator, addressed(read(0x04), 11)) == b""
        simulator.unit(3).inject({"fault": "stuck", "seconds": 60.0})
        assert await _ask(simulator, addressed(read(0x04), 3)) == b""
        assert await _ask(simulator, addressed(read(0x04), 4)) == answers[4]
        simulator.unit(7).set({"load_current_a": 12.0})
        assert (simulator.get(7)["current_a"], simulator.get(6)["current_a"]) == (12.0, 50.0)
        with pytest.raises(InvalidArgumentError, match="board must be one of 1, 2"):
            simulator.unit(11)


@pytest.mark.jumping
async def test_boards_on_one_line_answer_one_after_the_other() -> None:
    """Two requests in one write: the second board waits until the first has ended, and then its own turnaround."""
    async with JbdSimulator(SimulatorOptions(boards=2, turnaround_ms=(15.0, 15.0))) as simulator:
        heard = await _ask(simulator, addressed(BASIC, 1) + addressed(BASIC, 2), 0.5)
    assert (heard[1], heard[35 + 1], len(heard)) == (1, 2, 70)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"tail": "long"}, "tail"),
        ({"unit_flag": True}, "unit_flag"),
        ({"unit_flag": True, "tail": "clone"}, "unit_flag"),
        ({"capacity_ah": 700.0}, "capacity_ah"),
        ({"address": 256}, "address"),
        ({"address": 0x5A}, "address"),
        ({"address": 250, "boards": 7}, "address"),
        ({"link": "/tmp/x", "tcp": "127.0.0.1:0"}, "tcp"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, object], key: str) -> None:
    """Refused with the key at fault."""
    with pytest.raises(InvalidArgumentError) as caught:
        SimulatorOptions(**options)  # type: ignore[arg-type]
    assert caught.value.metadata["key"] == key


def test_the_time_in_factory_mode_and_every_write_are_counted() -> None:
    """In at one request, out at another 3 s later; the statistics name each register written."""
    bench = Bench()
    bench.ask(write(0x00, "5678"))
    started_s = bench.now_s
    bench.ask(write(0x01, "0000"), after_s=3.0)
    counts = bench.board.counts
    assert (counts.factory_enters, counts.factory_exits, bench.board.factory_mode) == (1, 1, False)
    assert counts.factory_longest_s == pytest.approx(bench.now_s - started_s, abs=0.1)
    assert counts.writes_by_register == {"00": 1, "01": 1}
    assert BYTE_S == 10 / 9600
