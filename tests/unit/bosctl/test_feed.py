import gc
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.feed import Inbox
from clients.bosctl.watching import Heard, Lost
from tests.support.bosctl_node import physical


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """Return an empty inbox."""
    inbox = Inbox()
    yield inbox
    inbox.close()


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


def test_a_slow_reader_gets_the_latest_of_each_battery(inbox: Inbox) -> None:
    """A thousand unread messages are one item, with the time at which each status was heard."""
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


def test_a_loss_keeps_its_place(inbox: Inbox) -> None:
    """Heard, then lost, then nothing: the reader learns of both, of the loss last."""
    inbox.put(heard(1.0, "b1"))
    inbox.put(lost("first"))
    inbox.put(lost("second"))
    first, second = taken(inbox)
    assert isinstance(first, Heard)
    assert isinstance(second, Lost)
    assert second.failure.message == "second"


def test_connections_that_come_and_go_unread_stay_bounded(inbox: Inbox) -> None:
    """What is over before it is read is forgotten; the end is what counts."""
    inbox.put(lost("before anything"))
    for second in range(1000):
        inbox.put(heard(float(second), "b1"))
        inbox.put(lost("again"))
    kinds = [type(item) for item in taken(inbox)]
    assert kinds == [Lost, Heard, Lost]


def test_a_battery_removed_and_added_again_is_there(inbox: Inbox) -> None:
    """The order of what was merged is kept."""
    inbox.put(heard(1.0, "b1", "b2"))
    inbox.put(heard(2.0, removed=("b1", "b2")))
    inbox.put(heard(3.0, "b1"))
    (item,) = taken(inbox)
    assert isinstance(item, Heard)
    assert (list(item.batteries), item.removed) == (["b1"], ["b2"])


def test_a_waiting_reader_wakes(inbox: Inbox) -> None:
    """What comes while someone waits is taken at once."""
    found: list[Heard | Lost | None] = []
    reader = threading.Thread(target=lambda: found.append(inbox.get(30.0)))
    reader.start()
    inbox.put(lost("now"))
    reader.join(30.0)
    assert [type(item) for item in found] == [Lost]


def test_an_interrupt_at_any_instant_is_nothing_else() -> None:
    """Ctrl-C is a KeyboardInterrupt wherever it meets the reader, which ends with it."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    gc.disable()  # what hangs on a collection would swallow the interrupt
    try:
        for round_number in range(500):
            inbox = Inbox()
            with pytest.raises(KeyboardInterrupt):  # noqa: PT012 (the alarm must not go off outside)
                again_s = 0.0
                while True:
                    if time.monotonic() >= again_s:  # also where a finalizer met the interrupt, and swallowed it
                        signal.setitimer(signal.ITIMER_REAL, 0.0005 + round_number * 1e-6)
                        again_s = time.monotonic() + 1.0
                    inbox.put(heard(1.0, "b1"))
                    inbox.get(0.0)
                    inbox.get(1e-5)
            inbox.close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
