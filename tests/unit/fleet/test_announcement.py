"""The TXT record (satellites.md 3.8): what is told, and garbage that others tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.fleet.announcement import MOST_BYTES, Announcement, decode, encode, instance_name
from bosd.fleet.mdns import announced_addresses

WHOLE = Announcement(
    serial="SN0012345",
    system="0a1b2c3d",
    role="sat",
    protocol="1",
    boot="deadbeef",
    version="2.4.1",
    batteries=4,
    key_hash="0123456789abcdef",
)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)

HINTS = ("system", "role", "protocol", "boot", "version", "key_hash")


def as_bytes(record: dict[str, str]) -> dict[bytes, bytes | None]:
    """Return a record as it arrives."""
    return {key.encode(): value.encode() for key, value in record.items()}


def test_the_keys_are_those_of_the_page() -> None:
    """At most nine characters each, the whole below 200 bytes as aimed at."""
    record = encode(WHOLE)
    assert list(record) == ["txtvers", "sn", "sys", "role", "proto", "boot", "fw", "fp", "nb"]
    assert all(len(key) <= 9 for key in record)
    assert sum(len(f"{key}={value}") + 1 for key, value in record.items()) < 200
    assert decode(as_bytes(record)) == WHOLE


def test_what_is_not_said_is_not_there() -> None:
    """Absent, not empty."""
    assert encode(Announcement(serial="a")) == {"txtvers": "1", "sn": "a"}


@given(st.builds(Announcement, serial=TEXT.filter(bool), **dict.fromkeys(HINTS, TEXT)))
def test_a_record_is_never_too_long(announcement: Announcement) -> None:
    """Below 400 bytes whatever a node is called."""
    record = encode(announcement)
    assert sum(len(f"{key}={value}".encode()) + 1 for key, value in record.items()) <= MOST_BYTES
    found = decode(as_bytes(record))
    assert found is not None
    assert found.serial == announcement.serial[:63]


@given(st.dictionaries(st.binary(max_size=12), st.none() | st.binary(max_size=300), max_size=12))
def test_garbage_is_no_announcement(record: dict[bytes, bytes | None]) -> None:
    """Nothing that others send raises; without our layout it is nobody."""
    assert decode(record) is None or record.get(b"txtvers") == b"1"


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        (b"nb", b"-4", "batteries"),
        (b"nb", b"9" * 10, "batteries"),
        (b"nb", "٣".encode(), "batteries"),
        (b"fw", b"\xff\xfe", "version"),
        (b"fw", b"\x1b[2J", "version"),
        (b"fw", b"x" * 64, "version"),
        (b"role", None, "role"),
    ],
)
def test_a_value_that_is_none_is_left_out(key: bytes, value: bytes | None, field: str) -> None:
    """The others stay: no count below 0, no text that moves a cursor, nothing long."""
    found = decode({**as_bytes(encode(WHOLE)), key: value})
    assert found is not None
    assert getattr(found, field) in ("", None)
    assert found.serial == WHOLE.serial


@pytest.mark.parametrize("record", [{}, {b"txtvers": b"2", b"sn": b"a"}, {b"txtvers": b"1"}, {b"txtvers": b"1", b"sn": b"\x00"}])
def test_who_names_nobody_is_nobody(record: dict[bytes, bytes | None]) -> None:
    """Another layout, no serial, or one that is no text."""
    assert decode(record) is None


def test_a_dot_stays_in_the_name() -> None:
    """The type follows the whole serial."""
    assert instance_name("hut.1") == "hut.1._bosd._tcp.local."


@pytest.mark.parametrize(
    ("listen", "port", "addresses"),
    [
        (["127.0.0.1:4004", "unix:/run/x"], 0, ()),
        (["[::1]:4004", "localhost:4004"], 0, ()),
        (["127.0.0.1:4004", "0.0.0.0:4005"], 4005, ("192.0.2.1", "192.0.2.9")),
        (["[::]:4004"], 4004, ("192.0.2.1", "192.0.2.9")),
        (["192.0.2.9:4004"], 4004, ("192.0.2.9",)),
        (["192.0.2.9:4004", "192.0.2.1:4004"], 4004, ("192.0.2.9", "192.0.2.1")),
        (["192.0.2.9:4004", "192.0.2.1:4005"], 4004, ("192.0.2.9",)),
    ],
)
def test_loopback_is_never_announced(listen: list[str], port: int, addresses: tuple[str, ...]) -> None:
    """Nor a socket; the first port off loopback is the one."""
    assert announced_addresses(listen, ("192.0.2.1", "192.0.2.9")) == (port, addresses)
