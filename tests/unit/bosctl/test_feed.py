import threading

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.feed import Inbox
from clients.bosctl.watching import Heard, Lost
from tests.support.bosctl_node import physical


def heard(at_s: float, *names: str, removed: tuple[str, ...] = ()) -> Heard:
    """Return a message with these batteries, heard at this time."""
    statuses = [physical(name, charge_ah=at_s) for name in names]
    return Heard.of(pb.WatchResponse(statuses=statuses, node="home", beat_s=1.0, removed=removed), at_s)


def lost(message: str) -> Lost:
    """Return a loss."""
    return Lost(failure=Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", message))


def taken(inbox: Inbox) -> list[Heard | Lost]:
    """Empty the inbox."""
    items = []
    while (item := inbox.get(0.0)) is not None:
        items.append(item)
    return items


def test_a_slow_reader_gets_the_latest_of_each_battery() -> None:
    """A thousand unread messages are one item, with the time at which each status was heard."""
    inbox = Inbox()
    inbox.put(heard(0.0, "b1", "b2"))
    for second in range(1, 1001):
        inbox.put(heard(float(second), "b1"))
    (item,) = taken(inbox)
    assert isinstance(item, Heard)
    assert {name: (known.heard_s, known.status.charge_ah) for name, known in item.batteries.items()} == {
        "b1": (1000.0, 1000.0),
        "b2": (0.0, 0.0),
    }
    assert item.heard_s == 1000.0


def test_a_loss_keeps_its_place() -> None:
    """Heard, then lost, then nothing: the reader learns of both, of the loss last."""
    inbox = Inbox()
    inbox.put(heard(1.0, "b1"))
    inbox.put(lost("first"))
    inbox.put(lost("second"))
    first, second = taken(inbox)
    assert isinstance(first, Heard)
    assert isinstance(second, Lost)
    assert second.failure.message == "second"


def test_connections_that_come_and_go_unread_stay_bounded() -> None:
    """What is over before it is read is forgotten; the end is what counts."""
    inbox = Inbox()
    inbox.put(lost("before anything"))
    for second in range(1000):
        inbox.put(heard(float(second), "b1"))
        inbox.put(lost("again"))
    kinds = [type(item) for item in taken(inbox)]
    assert kinds == [Lost, Heard, Lost]


def test_a_battery_removed_and_added_again_is_there() -> None:
    """The order of what was merged is kept."""
    inbox = Inbox()
    inbox.put(heard(1.0, "b1", "b2"))
    inbox.put(heard(2.0, removed=("b1", "b2")))
    inbox.put(heard(3.0, "b1"))
    (item,) = taken(inbox)
    assert isinstance(item, Heard)
    assert (list(item.batteries), item.removed) == (["b1"], ["b2"])


def test_a_waiting_reader_wakes() -> None:
    """What comes while someone waits is taken at once."""
    inbox = Inbox()
    found: list[Heard | Lost | None] = []
    reader = threading.Thread(target=lambda: found.append(inbox.get(30.0)))
    reader.start()
    inbox.put(lost("now"))
    reader.join(30.0)
    assert [type(item) for item in found] == [Lost]
