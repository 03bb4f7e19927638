"""The order in which addresses of a serial are tried (satellites.md 3.8): last that worked, announced, configured."""

from collections.abc import Sequence

import grpc.aio
import pytest

from bosd.errors import UnavailableError
from bosd.rpc.seeking import Seeker, serial_of

TARGET = "serial:hut"


class Knock:
    """Notes what is dialled; `127.` is reached without TLS."""

    def __init__(self) -> None:
        self.dialled: list[tuple[str, str | None]] = []

    def is_plain(self, address: str) -> bool:
        return address.startswith("127.")

    def ended(self) -> str:
        return ""

    def dial(self, target: str, options: Sequence[tuple[str, int]], node: str | None = None) -> grpc.aio.Channel:
        self.dialled.append((target, node))
        return None  # type: ignore[return-value]  # nobody uses it


class Book:
    """Keeps addresses for the time of a test."""

    def __init__(self) -> None:
        self.worked: dict[str, str] = {}

    def find(self, serial: str) -> str:
        return self.worked.get(serial, "")

    def note(self, serial: str, address: str) -> None:
        self.worked[serial] = address


@pytest.fixture
def knock() -> Knock:
    """A keyring that dials nobody."""
    return Knock()


def attempt(seeker: Seeker, *, worked: bool) -> str:
    """Make one attempt; return where."""
    address = seeker.address(TARGET)
    seeker.dial(TARGET, ())
    seeker.attempted(TARGET, worked=worked)
    return address


def test_the_order(knock: Knock) -> None:
    """Each failure leads to the next; what worked stands first from then on, and a new announcement before the configured."""
    announced = ["192.0.2.2:1", "192.0.2.3:1"]
    seeker = Seeker(knock, book=Book(), configured={"hut": "192.0.2.9:1"}, announced=lambda _: announced)
    assert [attempt(seeker, worked=False) for _ in range(4)] == ["192.0.2.2:1", "192.0.2.3:1", "192.0.2.9:1", "192.0.2.2:1"]
    assert attempt(seeker, worked=True) == "192.0.2.3:1"
    announced[:] = ["192.0.2.5:1"]
    assert [attempt(seeker, worked=worked) for worked in (False, True)] == ["192.0.2.3:1", "192.0.2.5:1"]
    assert seeker.candidates("hut") == ["192.0.2.5:1", "192.0.2.9:1"]


def test_the_serial_is_demanded_of_whoever_answers(knock: Knock) -> None:
    """An address passes as it is; a serial always goes with its address."""
    seeker = Seeker(knock, book=Book(), configured={"hut": "192.0.2.9:1"})
    seeker.dial(TARGET, ())
    seeker.dial("192.0.2.1:4004", ())
    assert knock.dialled == [("192.0.2.9:1", "hut"), ("192.0.2.1:4004", None)]


def test_an_attempt_stays_at_one_address(knock: Knock) -> None:
    """The beats' connection of an attempt goes where its first one went, whatever is announced meanwhile."""
    announced = ["192.0.2.2:1"]
    seeker = Seeker(knock, book=Book(), configured={}, announced=lambda _: announced)
    seeker.dial(TARGET, ())
    announced[:] = ["192.0.2.3:1"]
    seeker.dial(TARGET, ())
    assert [address for address, _node in knock.dialled] == ["192.0.2.2:1", "192.0.2.2:1"]


def test_an_announcement_counts_only_where_certificates_decide(knock: Knock) -> None:
    """Without [security], and where a link would have no TLS, what is announced is nothing, or was once."""
    heard = ["127.0.0.1:1", "192.0.2.2:1"]
    assert Seeker(knock, book=Book(), configured={}, announced=lambda _: heard).candidates("hut") == ["192.0.2.2:1"]
    book = Book()
    book.note("hut", "192.0.2.2:1")
    plain = Seeker(None, book=book, configured={"hut": "127.0.0.1:9"}, announced=lambda _: heard)
    assert plain.candidates("hut") == ["127.0.0.1:9"]


def test_a_node_that_nothing_is_known_of() -> None:
    """Said, with what would help; an address is no serial."""
    with pytest.raises(UnavailableError, match=r"fleet\.addresses"):
        Seeker(None, book=Book(), configured={}).dial(TARGET, ())
    assert (serial_of(TARGET), serial_of("hut:4004")) == ("hut", "")
