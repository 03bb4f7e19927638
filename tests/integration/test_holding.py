"""`bosctl set --hold` on real nodes: through a killed one, under a limit that moves, refused, and given back."""

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clients.bosctl.connection import COMMAND_TIMEOUT_S
from tests.support.processes import BOSCTL, REPOSITORY, Caller, Node, pseudo, until

TTL_S = 2.0


class Holding:
    """A running `bosctl set --hold`: what it printed, and what it said on stderr."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self._process = process
        self._out = out
        self._err = err

    @property
    def documents(self) -> list[Any]:
        """What it printed."""
        return [json.loads(line) for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]

    @property
    def applied(self) -> list[Any]:
        """The currents it printed."""
        return [each["applied_current_a"] for each in self.documents]

    @property
    def err(self) -> list[str]:
        """The lines on stderr."""
        return self._err.read_text().splitlines()

    @property
    def error(self) -> Any:
        """The error it ended with."""
        return json.loads(self.err[-1])["error"]

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def ends(self) -> int:
        """Wait for its end; return its exit status."""
        return self._process.wait(30.0)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end; return its exit status."""
        self.send(number)
        return self.ends()


@contextmanager
def holding(node: Node, *arguments: str) -> Iterator[Holding]:
    """Hold a current until the end of the block."""
    command = [*BOSCTL, "--target", node.target, "--json", "set", *arguments, "--hold", "--ttl", f"{TTL_S:g}s"]
    with (
        tempfile.TemporaryDirectory() as directory,
        Path(directory, "out").open("wb") as out,
        Path(directory, "err").open("wb") as err,
        subprocess.Popen(command, stdout=out, stderr=err, cwd=REPOSITORY) as process,
    ):
        try:
            yield Holding(process, Path(out.name), Path(err.name))
        finally:
            process.kill()


def test_a_hold_goes_through_a_killed_node(tmp_path: Path) -> None:
    """`kill -9` takes the set point along: it is in force again after the restart; one line a loss, and no document."""
    with Node(tmp_path, pseudo("b")) as node, holding(node, "b", "4") as held:
        until(lambda: held.applied == [4.0])
        for losses in (1, 2):
            node.kill()
            until(lambda: len(held.err) % 2 == 1, because="the loss is said")
            node.start()
            until(lambda: len(held.err) % 2 == 0, because="it is said to be held again")
            assert len(held.err) == 2 * losses
            status = node.status("b")
            assert (status["applied_current_a"], status["setpoint_source"]) == (4.0, "manual")
        assert held.interrupt(signal.SIGTERM) == 0
        assert held.applied == [4.0, 0.0]
        assert node.status("b")["setpoint_source"] == "safe"
        lost, again, *_ = held.err
        assert lost.startswith("cannot hold b now: ")
        assert "it ends by itself in" in lost
        assert again == "holding b again"
        assert len(held.err) == 4


def test_a_hold_shows_what_changes_and_nothing_else(tmp_path: Path) -> None:
    """Clamped to 3 A and back are a document each; renewals, of which the audit counts several, are none."""
    with Node(tmp_path, pseudo("b")) as node, holding(node, "b", "4") as held, Caller(node.target) as caller:
        until(lambda: held.applied == [4.0])
        caller.modify("b", max_discharge_current_a=3.0)
        until(lambda: held.applied == [4.0, 3.0], because="the clamp is shown")
        assert "clamped to the present discharge limit 3 A" in held.documents[-1]["reason"]
        assert held.documents[-1]["requested_current_a"] == 4.0
        caller.modify("b", max_discharge_current_a=50.0)
        until(lambda: held.applied == [4.0, 3.0, 4.0])

        def renewed() -> int:
            return sum(each["count"] for each in node.ask("audit", "--battery", "b") if each["action"] == "renew")

        until(lambda: renewed() >= 3, because="it is asked again")
        assert held.interrupt() == 0
        assert held.applied == [4.0, 3.0, 4.0, 0.0]
        assert held.err == []


def test_a_hold_that_is_refused_ends(tmp_path: Path) -> None:
    """Out of range and claimed at the start, stopped on the way: exit status 1, the reason and its numbers."""
    with Node(tmp_path, pseudo("b") + pseudo("c")) as node:
        with holding(node, "b", "60") as held:
            assert held.ends() == 1
            assert (held.error["reason"], held.error["metadata"]["upper_a"]) == ("CURRENT_OUT_OF_RANGE", "50.0")
        with Caller(node.target, "ann") as ann, holding(node, "b", "4") as held:
            until(lambda: held.applied == [4.0])
            node.ask("stop", "b")
            assert held.ends() == 1
            assert held.applied == [4.0, 0.0]
            assert held.error["reason"] == "STOPPED"
            ann.set("c", 5.0, 60.0)
            with holding(node, "c", "4") as claimed:
                assert claimed.ends() == 1
                assert claimed.error["metadata"]["holder"] == "ann"


def test_a_hold_that_cannot_be_given_back_says_when_it_ends(tmp_path: Path) -> None:
    """The node is gone: exit status 3, and how long it still runs at most."""
    with Node(tmp_path, pseudo("b")) as node, holding(node, "b", "4") as held:
        until(lambda: held.applied == [4.0])
        node.kill()
        until(lambda: held.err)
        assert held.interrupt() == 3
        error = held.error
        assert error["message"].startswith("b was not given back: ")
        assert "ends by itself in" in error["message"] or "time to live is over" in error["message"]
        assert 0.0 <= float(error["metadata"]["ends_in_s"]) <= TTL_S
        assert held.applied == [4.0]


def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    """A node that hangs answers nobody: who does not want to wait is told when it ends by itself."""
    with Node(tmp_path, pseudo("b")) as node, holding(node, "b", "4") as held:
        until(lambda: held.applied == [4.0])
        node.signal(signal.SIGSTOP)
        began_s = time.monotonic()
        while held.running:
            held.send(signal.SIGINT)
            time.sleep(0.3)
        assert time.monotonic() - began_s < COMMAND_TIMEOUT_S  # it waited for no deadline
        assert held.ends() == 130
        assert held.err[-1].startswith("b was not given back; it")


def test_a_hold_whose_claim_is_taken_ends(tmp_path: Path) -> None:
    """Taken over by force it is refused at once and names who holds it now; it forces nothing itself."""
    with Node(tmp_path, pseudo("b")) as node, Caller(node.target, "ann") as ann:
        ann.set("b", 5.0, 60.0)
        with holding(node, "b", "4", "--force") as held:
            until(lambda: held.applied == [4.0])
            assert held.documents[0]["taken_from"] == "ann"
            ann.force("b", 6.0, 60.0)
            assert held.ends() == 1
            assert (held.error["reason"], held.error["metadata"]["holder"]) == ("CLAIMED", "ann")
        assert node.status("b")["applied_current_a"] == 6.0
