"""What the board answers, register by register, against the protocol's layout."""

import struct

import pytest

from tests.unit.drivers.jbd_simulator.bench_pack import CELLS, Bench, read, write

ENTER, DISCARD, KEEP = write(0x00, "5678"), write(0x01, "0000"), write(0x01, "2828")
SIX = "abcdef"


def test_basic_information_of_a_charging_pack() -> None:
    """4 x 3.30 V + 4 x 10 A x 0.5 mOhm = 13.22 V; +10.00 A while charging; 50 of 100 Ah; 25.0 degC is 2981."""
    payload = Bench(load_current_a=-10.0, ntc_count=3).basic()
    assert len(payload) == 0x1D
    head = struct.unpack(">HhHHHHHHHBBBBB", payload[:23])
    assert head == (1322, 1000, 5000, 10000, 0, 0x2C7C, 0, 0, 0, 0x80, 50, 3, 4, 3)
    assert struct.unpack(">3H", payload[23:]) == (2981,) * 3


def test_current_is_negative_on_the_wire_while_discharging() -> None:
    """The wire counts charging positive."""
    assert struct.unpack(">h", Bench(load_current_a=4.5).basic()[2:4]) == (-450,)


def test_the_tail_holds_full_and_remaining_capacity() -> None:
    """Nine more bytes: humidity, alarm, full-charge, remaining, balance current."""
    payload = Bench(tail="standard", ntc_count=1).basic()
    assert len(payload) == 0x22
    assert struct.unpack(">BHHHH", payload[25:]) == (0, 0, 10000, 5000, 0)


def test_cells_are_told_in_millivolts() -> None:
    """Half-full LFP cells at rest: 3300 mV each, one word a cell."""
    reply = Bench(series=8).ask(CELLS)
    assert reply[:4].hex() == "dd040010"
    assert struct.unpack(">8H", reply[4:-3]) == (3300,) * 8


def test_texts() -> None:
    """05 without a length byte, A0 to A2 with one."""
    bench = Bench(hardware_name="JBD-SP04S034-L4S-200A-B-U", seed=7)
    assert bench.ask(read(0x05)).hex() == "dd0500194a42442d53503034533033342d4c34532d323030412d422d55fa0877"
    assert bench.ask(read(0xA1))[4:5] == bytes([25])
    assert bench.ask(read(0xA2))[4:-3] == b"\x0bSIM00000007"


def test_counters_have_twelve_words_and_count_trips() -> None:
    """Cell over-voltage is the fourth word, charge over-temperature the sixth."""
    bench = Bench()
    bench.plant.pack.cells[0].override_v = 3.7
    bench.plant.advance(3.0)
    assert struct.unpack(">12H", bench.ask(read(0xAA))[4:-3]) == (0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "request_bytes", [read(0x66), read(0xE1), write(0x03, ""), read(0xFA, b"\0\0\1"), write(0x06, "06" + "00" * 6)]
)
def test_unknown_registers_are_refused_with_80(request_bytes: bytes) -> None:
    """Also reads of what can only be written, and the other way round."""
    assert Bench().ask(request_bytes)[2] == 0x80


def test_configuration_needs_factory_mode() -> None:
    """Captured: 24 answers 81 outside and 0E42 inside."""
    bench = Bench()
    assert bench.ask(read(0x24)).hex() == "dd248100ff7f77"
    assert bench.ask(write(0x24, "0e10"))[2] == 0x81
    assert bench.ask(ENTER).hex() == "dd000000000077"
    assert bench.ask(read(0x24)).hex() == "dd2400020e42ffae77"
    assert bench.ask(DISCARD).hex() == "dd010000000077"
    assert bench.ask(read(0x24))[2] == 0x81


def test_refusals_with_checksum_zero_on_request() -> None:
    """Firmware seen in the field refuses with 0000."""
    assert Bench(zero_checksum_refusals=True).ask(read(0x24)).hex() == "dd248100000077"


@pytest.mark.parametrize(("leave", "word"), [(DISCARD, 0x0E42), (KEEP, 0x0E10)])
def test_edits_count_only_when_kept(leave: bytes, word: int) -> None:
    """Leaving with 0000 drops them, with 2828 keeps them."""
    bench = Bench()
    bench.ask(ENTER)
    assert bench.ask(write(0x24, "0e10")).hex() == "dd240000000077"
    assert bench.ask(read(0x24))[4:6] == b"\x0e\x10"
    assert bench.plant.words[0x24] == 0x0E42
    bench.ask(leave)
    assert bench.plant.words[0x24] == word


def test_keeping_clears_the_counters() -> None:
    """2828 saves and clears AA."""
    bench = Bench()
    bench.plant.protections.counters[3] = 9
    bench.ask(ENTER)
    bench.ask(KEEP)
    assert bench.plant.protections.counters == [0] * 12


def test_factory_mode_ends_by_itself() -> None:
    """After 30 s without a request, edits dropped; time spent inside is measured."""
    bench = Bench()
    bench.ask(ENTER)
    bench.ask(write(0x24, "0e10"))
    bench.now_s += 29.0
    assert bench.ask(read(0x24))[2] == 0x00
    bench.now_s += 30.1
    assert bench.ask(read(0x24))[2] == 0x81
    assert bench.plant.words[0x24] == 0x0E42
    assert (bench.board.counts.factory_enters, bench.board.counts.factory_exits) == (1, 1)
    assert bench.board.counts.factory_longest_s > 59.0


def test_a_wrong_factory_word_and_a_wrong_password_are_refused_with_83() -> None:
    """83 is the status of a wrong secret."""
    assert Bench().ask(write(0x00, "5679"))[2] == 0x83
    assert Bench(password=SIX).ask(write(0x06, "06" + b"abcdeg".hex()))[2] == 0x83


def test_a_password_guards_writes_not_reads() -> None:
    """81 until it was presented."""
    bench = Bench(password=SIX)
    assert bench.ask(CELLS)[2] == 0x00
    assert bench.ask(write(0xE1, "0001"))[2] == 0x81
    assert bench.ask(write(0x06, "06" + SIX.encode().hex()))[2] == 0x00
    assert bench.ask(write(0xE1, "0001"))[2] == 0x00


@pytest.mark.parametrize(
    ("control", "status", "lock"), [("0000", 3, 0), ("0001", 2, 0x1000), ("0002", 1, 0x1000), ("0003", 0, 0x1000)]
)
def test_mosfet_control_has_the_opposite_sense_of_the_status(control: str, status: int, lock: int) -> None:
    """The table of both words; acknowledged without factory mode; bit 12 while anything is off."""
    bench = Bench()
    assert bench.ask(write(0xE1, control)).hex() == "dde10000000077"
    payload = bench.basic()
    assert payload[20] == status
    assert struct.unpack(">H", payload[16:18]) == (lock,)


def test_a_mosfet_disabled_against_four_amperes_comes_back() -> None:
    """Acknowledged, yet closed again: only reading back tells."""
    bench = Bench(load_current_a=4.0)
    assert bench.ask(write(0xE1, "0001"))[2] == 0x00
    assert bench.basic()[20] == 3


def test_remaining_capacity_can_be_set() -> None:
    """E0 with 7500 is 75.00 Ah, shown as 75 %; the cells do not change."""
    bench = Bench()
    bench.ask(write(0xE0, (7500).to_bytes(2, "big").hex()))
    payload = bench.basic()
    assert (struct.unpack(">H", payload[4:6])[0], payload[19]) == (7500, 75)
    assert bench.plant.pack.cells[0].charge_ah == 50.0


def test_the_balance_test_ends_with_factory_mode() -> None:
    """1 odd cells, 2 even cells, 3 off; leaving factory mode ends it."""
    bench = Bench(series=20)
    bench.ask(write(0xE2, "0001"))
    assert struct.unpack(">HH", bench.basic()[12:16]) == (0x5555, 0x0005)
    bench.ask(write(0xE2, "0002"))
    assert struct.unpack(">HH", bench.basic()[12:16]) == (0xAAAA, 0x000A)
    bench.ask(ENTER)
    bench.ask(DISCARD)
    assert struct.unpack(">HH", bench.basic()[12:16]) == (0, 0)


def test_reset_enables_the_mosfets_and_counts_a_restart() -> None:
    """E3: the twelfth counter."""
    bench = Bench()
    bench.ask(write(0xE1, "0003"))
    bench.ask(write(0xE3, ""))
    assert bench.basic()[20] == 3
    assert bench.plant.protections.counters[11] == 1


def test_block_parameters_on_a_switch() -> None:
    """FA: start word and count byte come back before the words; parameter 0 is register 10."""
    bench = Bench(block_parameters=True)
    bench.ask(ENTER)
    assert bench.ask(read(0xFA, b"\x00\x14\x02"))[4:-3] == bytes.fromhex("001402 0e42 0d7a")


def test_an_overfull_or_huge_pack_saturates_its_words() -> None:
    """No value may break the frame: currents beyond 327.67 A read as that."""
    bench = Bench(series=32, chemistry="nmc", capacity_ah=655.35, soc=1.0, load_current_a=-1000.0, ntc_count=8)
    assert struct.unpack(">h", bench.basic()[2:4]) == (0x7FFF,)
