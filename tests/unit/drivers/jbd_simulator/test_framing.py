"""Requests found among bytes, replies laid out, checked against captured frames."""

from bosd.drivers.jbd.simulator.framing import Request, RequestScanner, encode_reply


def scan(data: bytes) -> list[Request]:
    """Return every request in `data`, fed one byte at a time."""
    scanner = RequestScanner()
    return [request for byte in data for request in scanner.feed(byte)]


def test_the_common_reads() -> None:
    """The three requests the protocol document spells out."""
    data = bytes.fromhex("dda50300fffd77 dda50400fffc77 dda50500fffb77")
    assert scan(data) == [Request(False, register, b"") for register in (3, 4, 5)]


def test_a_write_carries_its_payload() -> None:
    """Entering factory mode as captured."""
    assert scan(bytes.fromhex("dd5a00025678ff3077")) == [Request(True, 0, b"\x56\x78")]


def test_rubbish_and_false_starts_are_skipped_and_counted() -> None:
    """DD that begins nothing must not swallow the request behind it."""
    scanner = RequestScanner()
    found = [request for byte in bytes.fromhex("00ffdddd03 dda50300fffd77") for request in scanner.feed(byte)]
    assert found == [Request(False, 3, b"")]
    assert scanner.discarded == 5


def test_a_wrong_checksum_is_told_apart_from_silence() -> None:
    """The request is complete but not intact."""
    assert scan(bytes.fromhex("dda50300fffc77")) == [Request(False, 3, b"", intact=False)]


def test_a_request_inside_a_broken_longer_one_is_found() -> None:
    """The end byte is missing where the length says: the search goes on behind the false start."""
    data = bytes.fromhex("dda50307") + bytes.fromhex("dda50400fffc77") + bytes.fromhex("dda50300fffd77")
    assert Request(False, 3, b"") in scan(data)


def test_an_empty_acknowledgement_has_checksum_zero() -> None:
    """Captured: the answer to entering factory mode."""
    assert encode_reply(0x00, 0x00).hex() == "dd000000000077"


def test_refusals_with_and_without_their_checksum() -> None:
    """Captured: 81 outside factory mode with FF7F, and from other firmware with 0000."""
    assert encode_reply(0x24, 0x81).hex() == "dd248100ff7f77"
    assert encode_reply(0x00, 0x81, zero_checksum=True).hex() == "dd008100000077"


def test_a_reply_with_payload_equals_the_captured_one() -> None:
    """Cells of a captured 4S board: 3909, 3901, 3895, 3901 mV."""
    payload = b"".join(cell_mv.to_bytes(2, "big") for cell_mv in (3909, 3901, 3895, 3901))
    assert encode_reply(0x04, 0x00, payload).hex() == "dd0400080f450f3d0f370f3dfec677"
