"""The fleet as a person sees it, on real nodes: who is lost, who may be, what counts no more, what it costs to ask the dead."""

import signal
import time
from pathlib import Path

import pytest

from tests.support.fifth import FIFTH, LEASE_S, errors, fleet, state, stub
from tests.support.processes import Answer, Node, Pack, battery, bosctl, free_port, pseudo, until

START_OF_BOSCTL_S = 8.0
"""Of a Python process on a busy machine; what is judged is that nobody waits for ever."""


def commandable(node: Node, name: str) -> None:
    """Wait until it may be commanded."""
    until(lambda: node.status(name)["commandable"], because=f"{name} may be commanded")


def test_the_fleet_of_three(tmp_path: Path) -> None:
    """Ready, frozen, lost, in maintenance, back: link, errors and the state of the whole say so, and others are untouched."""
    with (
        Node(tmp_path, FIFTH + pseudo("b") + pseudo("c"), name="hut") as hut,
        Node(tmp_path, FIFTH + pseudo("b"), name="barn") as barn,
        Node(tmp_path, FIFTH + 'required = ["hut"]\n' + stub("h", hut) + stub("k", barn), name="home") as home,
    ):
        commandable(home, "h")
        commandable(home, "k")
        found = fleet(home)
        assert {name: row["state"] for name, row in found.items()} == {"home": "local", "hut": "ready", "barn": "ready"}
        row = found["hut"]
        assert (row["batteries"], row["stubs"], row["required"], row["status"]) == (2, ["h"], True, "DONE")
        assert (row["drift"], row["certificate_days_left"], row["version"]) == ([], None, found["home"]["version"])
        assert abs(row["clock_ahead_s"]) < 1.0  # one machine, one clock
        assert fleet(hut)["home"]["state"] == "session"
        assert state(home) == "OK"

        hut.signal(signal.SIGSTOP)
        asked_s = time.monotonic()
        answer = home.bosctl("fleet", "ls")
        assert time.monotonic() - asked_s < START_OF_BOSCTL_S
        assert answer.status == 3
        assert {row["node"]: row["status"] for row in answer.document["nodes"]} == {
            "home": "DONE",
            "hut": "UNAVAILABLE",
            "barn": "DONE",
        }
        until(lambda: errors(home) == [("HIGH", "LINK_LOST", "node:hut")], because="its loss is one error")
        assert state(home) == "BLOCKED"
        assert home.status("k")["commandable"]
        assert fleet(home, "-l", "state=lost").keys() == {"hut"}
        assert fleet(home)["hut"]["version"] is not None  # as it was heard last

        done = home.ask("fleet", "maintenance", "hut", "--for", "1h", "--reason", "new pack")
        assert [row["status"] for row in done["nodes"]] == ["DONE"]
        assert home.status("h")["link"] == "expected_down"
        until(lambda: not errors(home), because="its absence is expected")
        answer = home.bosctl("fleet", "ls")
        assert (answer.status, answer.document["system_state"]) == (0, "BLOCKED")  # the state says what is, not what is meant
        assert home.ask("fleet", "maintenance", "--selector", "state=expected_down", "--end")["nodes"][0]["was_expected"]
        until(lambda: errors(home) == [("HIGH", "LINK_LOST", "node:hut")], because="it is expected again")
        assert home.status("h")["link"] == "lost"

        hut.kill()
        hut.start()
        commandable(home, "h")
        until(lambda: not errors(home), because="it is back")
        assert ("LOW", "PEER_RESTARTED", "node:hut") in errors(home, "--all")
        assert state(home) == "OK"
        audited = {record["action"]: record for record in home.ask("audit")}
        assert audited["maintenance"]["who"].count("@") == 1


def test_how_long_ago_a_node_was_heard_that_keeps_a_session_here(tmp_path: Path) -> None:
    """Its age is that of its last beat, whether its session lives or is lost; no such row says both."""
    with Node(tmp_path, FIFTH + pseudo("b"), name="hut") as hut, Node(tmp_path, FIFTH + stub("h", hut), name="home") as home:
        commandable(home, "h")
        row = fleet(hut)["home"]
        assert row["state"] == "session"
        assert row["message"].startswith("it keeps a session here;")
        assert row["age_s"] + row["lease_left_s"] == pytest.approx(LEASE_S, abs=0.05)
        home.signal(signal.SIGSTOP)
        until(lambda: fleet(hut)["home"]["state"] == "lost", because="its lease is over")
        row = fleet(hut)["home"]
        assert row["message"].startswith("the session that it kept here is lost;")
        assert row["age_s"] >= LEASE_S
        home.signal(signal.SIGCONT)
        commandable(home, "h")


def test_a_window_ends_by_itself(tmp_path: Path) -> None:
    """A node that does not come back within its time is lost again, and an optional one only degrades."""
    with (
        Node(tmp_path, FIFTH + pseudo("b"), name="hut") as hut,
        Node(tmp_path, FIFTH + stub("h", hut), name="home") as home,
    ):
        commandable(home, "h")
        home.ask("fleet", "maintenance", hut.target, "--for", "2s")
        hut.kill()
        until(lambda: home.status("h")["link"] == "expected_down")
        until(lambda: home.status("h")["link"] == "lost", because="the time is over")
        until(lambda: errors(home) == [("MEDIUM", "LINK_LOST", "node:hut")])
        assert state(home) == "DEGRADED"


def test_a_person_says_that_it_is_safe(tmp_path: Path) -> None:
    """What holds counts for ever, until an admin says so, which is recorded; contact ends it."""
    with (
        Pack(tmp_path, "pack") as pack,
        Node(tmp_path, FIFTH + pack.regulated("b", refresh_period_s=0.2), name="hut") as hut,
        Node(tmp_path, FIFTH + stub("h", hut), name="home") as home,
    ):
        commandable(home, "h")
        refused = home.bosctl("fleet", "assume-safe", "hut")
        assert (refused.status, refused.document["nodes"][0]["status"]) == (1, "UNSUPPORTED")
        home.ask("limits", "set", "h", "discharge", "5000W")
        until(lambda: hut.ask("limits"), because="it is granted")
        home.ask("set", "h", "10", "--ttl", "60s")
        hut.kill()
        counted = until(lambda: home.status("h")["reason"].startswith("counted at 10 A"), because="it is counted")
        assert counted
        assert "assume-safe" in home.status("h")["reason"]
        done = home.ask("fleet", "assume-safe", "hut")
        assert done["nodes"][0]["counted_a"] == {"h": pytest.approx(10.0, abs=0.5)}
        assert done["nodes"][0]["grants"] == [f"5000 W discharge of b at {hut.target}"]
        assert "counted" not in home.status("h")["reason"]
        assert home.ask("fleet", "assume-safe", "hut")["nodes"][0]["counted_a"] == {}
        records = [record for record in home.ask("audit", "--battery", "h") if record["action"] == "assume-safe"]
        assert [record["before"]["grants"] for record in records] == [done["nodes"][0]["grants"]]
        hut.start()
        commandable(home, "h")
        assert home.bosctl("fleet", "assume-safe", "hut").status == 1


def test_a_battery_that_its_node_has_no_more_counts_until_a_person_says_it_is_safe(tmp_path: Path) -> None:
    """Its hardware holds, and its node is back without it: what its reason names as the way out is one."""
    port = free_port()
    at = f"127.0.0.1:{port}"
    stubs = battery("h", "network", target=at, remote_name="b") + battery("k", "network", target=at, remote_name="c")
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, FIFTH + stubs, name="home") as home:
        device = pack.regulated("b", refresh_period_s=0.2)
        with Node(tmp_path / "1", FIFTH + device + pseudo("c"), name="hut", listen=[at]) as hut:
            commandable(home, "h")
            home.ask("set", "h", "10", "--ttl", "60s")
            hut.kill()
        with Node(tmp_path / "2", FIFTH + pseudo("c"), name="hut", listen=[at]):
            commandable(home, "k")  # its node answers
            until(lambda: home.status("h")["link"] == "refused", because="it has no such battery")
            assert home.status("h")["reason"].startswith("counted at 10 A")
            assert 'or "bosctl fleet assume-safe' in home.status("h")["reason"]
            done = home.ask("fleet", "assume-safe", "hut")
            assert done["nodes"][0]["counted_a"] == {"h": pytest.approx(10.0, abs=0.5)}
            assert "counted" not in home.status("h")["reason"]
            assert home.bosctl("fleet", "assume-safe", "hut").status == 1


def test_what_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    """Each node has its own status; an unknown selector is a usage error."""
    with Node(tmp_path, pseudo("b"), name="home") as home:
        answer = home.bosctl("fleet", "assume-safe", "nobody", "none")
        assert answer.status == 1
        assert [row["status"] for row in answer.document["nodes"]] == ["BAD_NAME", "BAD_NAME"]
        assert home.bosctl("fleet", "ls", "--selector", "colour=red").status == 2
        assert home.bosctl("fleet", "maintenance", "home").status == 2
        assert home.bosctl("fleet", "assume-safe").status == 2
        answer = home.bosctl("fleet", "assume-safe", "home")
        assert "the node that is asked" in answer.document["nodes"][0]["message"]
        for command in (("assume-safe",), ("maintenance", "--for", "1h")):  # what was meant was not done
            answer = home.bosctl("fleet", *command, "--selector", "name=h*t")
            assert (answer.status, answer.document) == (1, {"nodes": []})
        assert home.bosctl("fleet", "ls", "--selector", "name=h*t").status == 0
        dead: Answer = bosctl("127.0.0.1:1", "fleet", "ls")
        assert dead.status == 3


def test_a_node_that_restarts_over_and_over(tmp_path: Path) -> None:
    """More than five starts within the minute: CRASH_LOOP at the owner, which names the peer."""
    with Node(tmp_path, FIFTH + pseudo("b"), name="hut") as hut, Node(tmp_path, FIFTH + stub("h", hut), name="home") as home:
        for count in range(6):
            if count < 5:
                commandable(home, "h")
            home.kill()
            home.start()
        until(lambda: ("HIGH", "CRASH_LOOP", "node:home") in errors(hut), because="the owner says so")
        assert not [each for each in errors(hut, "--all") if each[1] == "IDENTITY_MOVED"]  # one host, another port
        assert "CRASH_LOOP" in fleet(home)["hut"]["message"]
        assert not errors(home)  # it answers: it is not lost


def test_two_hosts_with_one_identity(tmp_path: Path) -> None:
    """The newest Hello wins; the owner names both addresses until a minute after the last move."""
    port = free_port()
    with Node(tmp_path, FIFTH + pseudo("b"), name="hut", listen=[f"127.0.0.1:{port}", f"[::1]:{port}"]) as hut:
        hut.target = f"127.0.0.1:{port}"
        first = battery("h", "network", target=f"127.0.0.1:{port}", remote_name="b")
        other = battery("h", "network", target=f"[::1]:{port}", remote_name="b")
        with Node(tmp_path / "1", FIFTH + first, name="home") as home, Node(tmp_path / "2", FIFTH + other, name="home"):
            until(lambda: ("HIGH", "IDENTITY_MOVED", "node:home") in errors(hut), because="it moves to and fro")
            (moved,) = [each for each in hut.ask("errors") if each["type"] == "IDENTITY_MOVED"]
            assert "127.0.0.1" in moved["message"]
            assert "::1" in moved["message"].replace("%3A", ":")
            assert not [each for each in errors(home) if each[1] == "IDENTITY_MOVED"]


def test_a_serial_at_the_address_of_another_node(tmp_path: Path) -> None:
    """Without certificates the node has to name itself so: who answers there instead is refused, and never commanded."""
    stubs = battery("right", "network", node="hut", remote_name="b") + battery("wrong", "network", node="shed", remote_name="b")
    with Node(tmp_path, FIFTH + pseudo("b"), name="hut") as hut:
        addresses = f'[fleet.addresses]\nhut = "{hut.target}"\nshed = "{hut.target}"\n'
        with Node(tmp_path, FIFTH + addresses + stubs, name="home") as home:
            commandable(home, "right")
            until(lambda: "'hut' answers there" in home.status("wrong")["reason"], because="it is a stranger")
            wrong = home.status("wrong")
            assert (wrong["commandable"], wrong["link"], wrong["current_a"]) == (False, "refused", None)
            assert fleet(home)["hut"]["target"] == "serial:hut"


def test_a_required_node_that_was_never_heard(tmp_path: Path) -> None:
    """It is one node, by the name its stubs look for: required in its row, missing once, and in maintenance by that name."""
    stubs = battery("h", "network", node="hut", remote_name="b")
    addresses = f'required = ["hut"]\n[fleet.addresses]\nhut = "127.0.0.1:{free_port()}"\n'
    with Node(tmp_path, FIFTH + addresses + stubs, name="home") as home:
        assert {row["target"]: row["required"] for row in fleet(home, "-l", "required=yes").values()} == {"serial:hut": True}
        assert home.bosctl("fleet", "ls").document["reason"].split() == ["waiting", "for", "hut"]
        assert [row["node"] for row in home.ask("fleet", "maintenance", "hut", "--for", "1h")["nodes"]] == ["hut"]
