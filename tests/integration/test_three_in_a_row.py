"""main -> relay -> owner, and both others die one after the other (satellites.md 3.4 over two hops); all timers a fifth.

At no moment do main's own battery and the owner's together run more than the larger of the old and the new request, by what
each node says of its own battery, with its own stamps.
"""

import time
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import pytest

from tests.support.fifth import FIFTH, applied, asked, fleet, owner, ready, shares, stub
from tests.support.processes import Node, Pack, Recording, aggregator, pseudo, recording, until

APART_S = 3.0 / 5.0
OLD_A, NEW_A = 20.0, 26.0
NOISE_A = 0.1
"""Shares move by a hundredth at the most before they are told anew."""
TOLD_S = 0.1
"""Two nodes' stamps of one change may lie so far apart: a status is computed when it is read."""


def steps(record: Recording, name: str, until_s: float) -> list[tuple[float, float]]:
    """Return when a battery ran what, by its node's stamps; nothing any more from `until_s` on, when its process had ended."""
    told = [(each.status.sampled_to, each.status.current_a) for each in record.of(name) if each.status.HasField("current_a")]
    return [*told, (until_s, 0.0)]


def above(own: list[tuple[float, float]], far: list[tuple[float, float]], most_a: float) -> list[tuple[float, float, float]]:
    """Return when, and for how long, both together ran more than `most_a`, and how much."""
    found: list[tuple[float, float, float]] = []
    own_a = far_a = 0.0
    changes = sorted(chain(((at_s, 0, run_a) for at_s, run_a in own), ((at_s, 1, run_a) for at_s, run_a in far)))
    for (at_s, which, run_a), following in zip(changes, [*changes[1:], (time.time(), 0, 0.0)], strict=True):
        own_a, far_a = (run_a, far_a) if which == 0 else (own_a, run_a)
        if own_a + far_a > most_a + NOISE_A and (lasts_s := following[0] - at_s) > TOLD_S:
            found.append((at_s, lasts_s, own_a + far_a))
    return found


@pytest.mark.parametrize(("first", "second"), [("relay", "owner"), ("owner", "relay")])
def test_both_die(tmp_path: Path, first: str, second: str) -> None:
    """More is asked for between the two deaths; when both are back, all share again."""
    far = owner(tmp_path / "owner", "owner")
    relay = Node(tmp_path / "relay", FIFTH + stub("mid", far), name="relay")
    topology = FIFTH + pseudo("b") + stub("s", relay, "mid") + aggregator("all", "b", "s")
    nodes = {"relay": relay, "owner": far}
    with far, relay, Node(tmp_path / "main", topology, name="main") as main, ExitStack() as stack:
        ready(main, "s", "all")
        own = stack.enter_context(recording(main.target, "b"))
        run = stack.enter_context(recording(far.target, "b"))
        asked(main, "all", OLD_A)
        assert shares(main, far) == pytest.approx([OLD_A / 2.0, OLD_A / 2.0])

        nodes[first].kill()
        killed_s = time.monotonic()
        dead_s = time.time()
        assert asked(main, "all", NEW_A)["requested_current_a"] == NEW_A
        time.sleep(max(0.0, APART_S - (time.monotonic() - killed_s)))
        nodes[second].kill()
        dead_s = dead_s if first == "owner" else time.time()
        until(lambda: applied(main, "b") == pytest.approx(NEW_A), because="nothing else can run any more")

        relay.start()
        far.start()
        again = stack.enter_context(recording(far.target, "b"))
        ready(main, "s", "all")
        until(lambda: shares(main, far) == pytest.approx([NEW_A / 2.0, NEW_A / 2.0], rel=0.01), because="all share again")
        stack.close()
    far_steps = [*steps(run, "b", dead_s), *steps(again, "b", time.time())]
    own_steps = steps(own, "b", time.time())
    assert above(own_steps, far_steps, 0.9 * OLD_A)  # it sees what ran
    assert not above(own_steps, far_steps, max(OLD_A, NEW_A))


def test_what_is_below_is_counted_as_it_is_now(tmp_path: Path) -> None:
    """The owner comes after its users, then gets a device that holds: each time the bound reaches the node above the relay."""
    far = owner(tmp_path / "owner", "owner")
    relay = Node(tmp_path / "relay", FIFTH + stub("mid", far), name="relay")
    topology = FIFTH + pseudo("b") + stub("s", relay, "mid") + aggregator("all", "b", "s")
    with Pack(tmp_path, "pack") as pack, relay, Node(tmp_path / "main", topology, name="main") as main:

        def agreed() -> str:
            return str(fleet(main)["relay"]["agreed_digest"])

        first = until(agreed, because="main and relay know each other")
        with far:
            ready(main, "s", "all")
            until(lambda: agreed() != first, because="the relay has heard how soon the owner lets go")
            asked(main, "all", OLD_A)
            relay.kill()
            until(lambda: applied(main, "b") == pytest.approx(OLD_A), because="what is below has let go by itself")
            relay.start()
            ready(main, "s", "all")
            until(lambda: shares(main, far) == pytest.approx([OLD_A / 2.0, OLD_A / 2.0], rel=0.01), because="both share again")

            before = agreed()
            (tmp_path / "holds.toml").write_text(pack.regulated("b", refresh_period_s=0.2))
            far.ask("replace", "b", str(tmp_path / "holds.toml"))
            until(lambda: agreed() != before, because="the relay has heard that it holds now")
            until(lambda: pack.load_a > 1.0, because="it has its share")
            relay.kill()
            until(lambda: "until contact" in main.status("s")["reason"], because="it holds what it was told")
            assert main.status("all")["reason"].startswith("may still run: s up to")
