"""The guard's end of the pipe: when it stops waiting, and with which devices."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from bosd.bal.spec import JbdSpec
from bosd.clock import SystemClock
from bosd.safeguard import guard
from bosd.safeguard.device_list import TICK, Devices, End, encode
from bosd.safeguard.guard import Listener, Why


def commanded(**keys: Any) -> JbdSpec:
    """Return a pack with limits."""
    return JbdSpec(max_discharge_current_a=60.0, max_charge_current_a=30.0, **keys)


ONE = commanded(name="one", port="/dev/ttyUSB0", current_control="gate", safe="open")
TWO = commanded(name="two", port="/dev/ttyUSB1", current_control="gate")


class Pipe:
    """A pipe with what a daemon would have written, and the echo."""

    def __init__(self) -> None:
        self.theirs, self.ours = os.pipe()
        self.echo, their_echo = os.pipe()
        self.listener = Listener(self.theirs, their_echo, SystemClock())
        self._open = [self.theirs, self.ours, self.echo, their_echo]

    def close(self, *descriptors: int) -> None:
        """Close these, or all that is open."""
        for descriptor in descriptors or tuple(self._open):
            self._open.remove(descriptor)
            os.close(descriptor)

    def hears(self, data: bytes, *, end: bool = True) -> Why:
        """Return why the listener stops after these bytes, and, with `end`, the end of the pipe."""
        os.write(self.ours, data)
        if end:
            self.close(self.ours)
        return self.listener.listen()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe."""
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_the_end_of_the_pipe(pipe: Pipe) -> None:
    """Without a word before it, the newest list is to be made safe; what was read was answered."""
    assert pipe.hears(encode(Devices((ONE, TWO))) + TICK + TICK + encode(Devices((TWO,))) + TICK) is Why.ENDED
    assert pipe.listener.specs == (TWO,)
    assert os.read(pipe.echo, 10)


def test_an_orderly_end(pipe: Pipe) -> None:
    """Nothing is left to do, whatever comes after."""
    assert pipe.hears(encode(Devices((ONE,))) + encode(End()) + TICK, end=False) is Why.ORDERLY
    assert pipe.listener.specs == ()


def test_an_end_with_something_left(pipe: Pipe) -> None:
    """Those that the daemon could not make safe are left, and no others; names that are no device of the list are nobody's."""
    assert pipe.hears(encode(Devices((ONE, TWO))) + encode(End(("two", "stub"))), end=False) is Why.LEFT
    assert pipe.listener.specs == (TWO,)


def test_silence(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four slices without a byte: the daemon hangs."""
    monkeypatch.setattr(guard, "SLICE_S", 0.001)
    assert pipe.hears(encode(Devices((ONE,))), end=False) is Why.SILENT
    assert pipe.listener.specs == (ONE,)


def test_a_bad_list_does_not_replace_a_good_one(pipe: Pipe) -> None:
    """It is told in the log with what is wrong and what is kept."""
    with capture_logs() as logs:
        assert pipe.hears(encode(Devices((ONE,))) + b'{"devices": "x"}\n') is Why.ENDED
    assert pipe.listener.specs == (ONE,)
    (entry,) = logs
    assert (entry["event"], entry["kept"]) == ("guard_list_refused", ["one"])
    assert "not TOML" in entry["detail"]


def test_a_list_cut_by_death_does_not_count(pipe: Pipe) -> None:
    """The last one that came whole is in force."""
    assert pipe.hears(encode(Devices((ONE,))) + encode(Devices((TWO,)))[:-5]) is Why.ENDED
    assert pipe.listener.specs == (ONE,)


def test_a_line_without_end_is_bounded(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound its bytes are dropped up to its end; the next line counts."""
    monkeypatch.setattr(guard, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(guard, "_CHUNK_BYTES", 300)
    with capture_logs() as logs:
        assert pipe.hears(b"x" * 5000 + b"\n" + encode(Devices((ONE,)))) is Why.ENDED
    assert pipe.listener.specs == (ONE,)
    assert {entry["event"] for entry in logs} == {"guard_list_refused"}
