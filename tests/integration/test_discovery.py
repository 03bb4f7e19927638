"""Nodes found by serial over multicast DNS, between two network namespaces: the certificate decides, not the announcement."""

from tests.support.certificates import authority
from tests.support.lan import HERE, MOVED, PORT, THERE, Lan
from tests.support.processes import Node, battery, pseudo, until

FOUND_S = 15.0
"""satellites.md, 4.10: after a change of address, ready again within 15 s."""


def stub(name: str, serial: str) -> str:
    """Return a stub that names its node by serial."""
    return battery(name, "network", node=serial, remote_name="b")


def ready(node: Node, name: str) -> None:
    """Wait until a stub may be commanded."""
    until(lambda: node.status(name)["commandable"], timeout_s=FOUND_S, because=f"{name} is found")


def test_a_node_is_found_by_serial_and_again_after_it_moved(lan: Lan) -> None:
    """Announced, resolved, commanded; after a move its last address fails and the announcement leads to the new one."""
    topology = stub("far", "hut") + stub("liar", "barn")
    foreign = authority(lan.directory / "foreign")
    with (
        lan.node("home", lan.here, f"{HERE}:{PORT}", topology) as home,
        lan.node("barn", lan.there, f"{THERE}:{PORT + 1}", pseudo("b"), by=foreign),
    ):
        assert "not announced" in until(lambda: home.status("far")["reason"])
        with lan.node("hut", lan.there, f"{THERE}:{PORT}", pseudo("b")):
            ready(home, "far")
            rows = {row["node"] or row["target"]: row for row in home.bosctl("fleet", "ls").document["nodes"]}
            assert rows["hut"]["address"] == f"{THERE}:{PORT}"
            assert rows["hut"]["target"] == "serial:hut"
            assert 364.0 < rows["hut"]["certificate_days_left"] <= 366.0  # issued for a year
            found = lan.discovered(home)
            assert {name: (row["verified"], row["known"]) for name, row in found.items()} == {
                "home": (True, "itself"),
                "hut": (True, "adopted"),
                "barn": (False, "adopted"),
            }
            assert found["barn"]["status"] == "UNTRUSTED"
        assert not home.status("liar")["commandable"]  # a certificate of a foreign CA: never past the handshake
        lan.there.remove(THERE)
        lan.there.add(MOVED)
        with lan.node("hut", lan.there, f"{MOVED}:{PORT}", pseudo("b")):
            ready(home, "far")
            rows = {row["node"] or row["target"]: row for row in home.bosctl("fleet", "ls").document["nodes"]}
            assert rows["hut"]["address"] == f"{MOVED}:{PORT}"


def test_a_node_is_adopted_by_hand(lan: Lan) -> None:
    """Stubs for its free batteries, in one edit; again is nothing; what is not announced is not reached."""
    with (
        lan.node("home", lan.here, f"{HERE}:{PORT}", pseudo("b")) as home,
        lan.node("hut", lan.there, f"{THERE}:{PORT}", pseudo("b") + pseudo("secret")),
    ):
        status, refused = lan.bosctl(home, "fleet", "adopt", "hut")
        assert (status, refused["error"]["reason"]) == (2, "INVALID_ARGUMENT")
        status, done = lan.bosctl(home, "fleet", "adopt", "hut", "--battery", "b", "--yes")
        assert (status, done["changes"][0]["name"]) == (0, "hut-b"), done
        ready(home, "hut-b")
        assert 'node = "hut"' in home.ask("topology", "export")["toml"]
        status, again = lan.bosctl(home, "fleet", "adopt", "hut", "--battery", "b", "--yes")
        assert (status, again["changes"]) == (0, [])
        assert lan.bosctl(home, "fleet", "adopt", "hut", "--battery", "x", "--yes")[0] == 1
        status, denied = lan.bosctl(home, "fleet", "adopt", "hut", "--battery", "secret", "--yes")
        assert (status, denied["error"]["reason"], denied["error"]["metadata"]["names"]) == (1, "NOT_ALLOWED", "secret"), denied
        assert "secret" not in home.ask("topology", "export")["toml"]
        assert lan.bosctl(home, "fleet", "adopt", "nobody", "--yes", "--for", "500ms")[0] == 3


def test_a_name_that_is_taken_is_not_changed(lan: Lan) -> None:
    """The second host of a name is not announced, and says so: the name is the identity (satellites.md 3.8)."""
    with lan.node("hut", lan.there, f"{THERE}:{PORT}", pseudo("b")) as hut:
        until(lambda: hut.events("announced"))
        with lan.node("hut", lan.here, f"{HERE}:{PORT}", pseudo("b")) as twin:
            until(lambda: [each for each in twin.ask("errors") if each["type"] == "CONFLICT"], because="the name is taken")
            assert not twin.events("announced")


def test_nothing_is_announced_unless_it_is_to_be(lan: Lan) -> None:
    """A node that is told not to, and one on loopback, stay unheard."""
    with (
        lan.node("mute", lan.there, f"{THERE}:{PORT}", pseudo("b"), announce=False),
        lan.node("near", lan.there, f"127.0.0.1:{PORT + 1}", pseudo("b")),
        lan.node("loud", lan.there, f"{THERE}:{PORT + 2}", pseudo("b")) as loud,
    ):
        assert lan.discovered(loud).keys() == {"loud"}
