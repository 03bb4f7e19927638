"""Certificates that end while a session lives and its set point is in force (control.md, "Transport security"); a fifth."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import pytest

from bosd.pki.authority import Authority
from bosd.pki.bundle import Bundle, places_in
from bosd.pki.identity import ANY_NODE
from bosd.rpc.server import MAX_CONNECTIONS
from bosd.rpc.tls import named
from tests.support.certificates import authority, issue
from tests.support.fifth import FIFTH, LEASE_S, asked, errors, fleet, ready, records, stamp_s
from tests.support.processes import Node, Pack, battery, free_port, pseudo, until
from tests.support.raw_session import RawSession
from tests.support.secured import secured_node

END_WITHIN_S = 5.0
"""Revocation and expiry end running streams (control.md)."""
LIFE_S = 8.0
ROUNDS, CROWD = 3, 700
"""Below the 1024 files that a process may have open by default."""
REGULATOR_S = 1.0
"""What a command to the simulated regulator, and its entry in the log, may take on a busy machine."""


@dataclass
class Site:
    """A pack at `hut`, which grants it to node:home and node:other; `address` is where hut has TLS."""

    directory: Path
    by: Authority
    pack: Pack
    hut: Node
    address: str

    @contextmanager
    def home(self, life: Bundle | None = None) -> Iterator[Node]:
        """Run a node with a stub of the pack, have it ask for 10 A, and see the pack do it."""
        bundle = life or issue(self.by, "node:home")
        places = bundle.install(self.directory / "tls-home")
        stub = battery("far", "network", target=self.address, remote_name="b")
        node = secured_node(self.directory / "home", places, "home", f"127.0.0.1:{free_port()}", FIFTH + stub)
        with node:
            ready(node, "far")
            asked(node, "far", 10.0)
            assert self.pack.load_a == 10.0
            yield node

    def revoke(self, who: str) -> None:
        """Put a certificate on the list, and the list where the owner looks for it."""
        self.by.revoke(who, time.time())
        (self.directory / "tls-hut" / "revoked.crl").write_bytes((self.by.directory / "revoked.crl").read_bytes())

    def refused(self, who: str) -> dict[str, int]:
        """Return how often what was refused to a peer for its certificate, by what the audit calls it."""
        found = records(self.hut, who=who, outcome="refused", reason="UNAUTHENTICATED")
        assert all(len([each for each in found if each["action"] == one["action"]]) == 1 for one in found)
        return {each["action"]: each["count"] for each in found}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The owner's side, running."""
    by = authority(tmp_path / "ca")
    places = issue(by, "node:hut").install(tmp_path / "tls-hut")
    address = f"127.0.0.1:{free_port()}"
    grants = {"node:home": ["b"], "node:other": ["b"]}
    with Pack(tmp_path, "pack") as pack:
        topology = FIFTH + pack.regulated("b", refresh_period_s=0.2)
        with secured_node(tmp_path / "hut", places, "hut", address, topology, grants) as hut:
            yield Site(tmp_path, by, pack, hut, address)


def is_over(site: Site, home: Node, since_s: float) -> None:
    """Check that streams ended within 5 s of `since_s`, and the set point within the lease after that; by the nodes' stamps."""
    until(lambda: site.hut.events("setpoint_ended"), because="the lease is over")
    (ended,) = site.hut.events("setpoint_ended")
    assert (ended["why"], ended["holder"]) == ("the lease is over", "node:home")
    until(lambda: site.pack.load_a == 0.0, because="the device is at its safe value")
    until(lambda: home.events("remote_lost"), because="the controller knows")
    lost_s = stamp_s(home.events("remote_lost")[0])
    assert since_s <= lost_s <= since_s + END_WITHIN_S
    assert since_s <= stamp_s(ended) <= since_s + END_WITHIN_S + LEASE_S + REGULATOR_S
    assert not home.status("far")["commandable"]
    assert home.refusal("set", "far", "12")["reason"] == "UNAVAILABLE"
    assert site.pack.load_a == 0.0


def test_revoked_while_its_set_point_is_in_force(site: Site) -> None:
    """Streams end, the lease runs out, the device is safe, all of it audited; a new certificate brings it back, no restart."""
    with site.home() as home:
        site.revoke("node:home")
        until(lambda: site.hut.events("certificates_exchanged", revoked=1), because="the list is in use")
        is_over(site, home, stamp_s(site.hut.events("certificates_exchanged", revoked=1)[0]))
        assert "is revoked" in until(lambda: home.status("far")["reason"])
        assert errors(home) == [("MEDIUM", "LINK_REFUSED", "node:hut")]
        until(lambda: "is revoked" in fleet(home)["hut"]["message"])
        counts = until(lambda: site.refused("node:home"))
        assert {"read", "session"} <= counts.keys()
        issue(site.by, "node:home").install(site.directory / "tls-home")
        ready(home, "far")
        asked(home, "far", 4.0)
        until(lambda: home.status("far")["applied_current_a"] == 4.0, because="it is back, ramped from nothing")
        assert site.pack.load_a == 4.0


def test_expired_while_its_set_point_is_in_force(site: Site) -> None:
    """A certificate of 8 s: the same, from its own end on."""
    bundle = issue(site.by, "node:home", life_s=LIFE_S)
    ends_s = time.time() + LIFE_S
    with site.home(bundle) as home:
        until(lambda: time.time() > ends_s, because="the certificate has ended")
        is_over(site, home, ends_s - 1.0)  # X.509 counts whole seconds
        mine = "this node's own certificate"
        until(lambda: mine in fleet(home)["hut"]["message"], because="the other end only hangs up: the reason is known here")
        assert errors(home) == [("MEDIUM", "LINK_REFUSED", "node:hut")]
        assert [each["message"] for each in records(site.hut, who="node:home", reason="UNAUTHENTICATED", action="session")]


async def test_the_certificate_decides_who_it_is(site: Site) -> None:
    """Another node's numbers, and its name in the metadata: refused as who the certificate says, and audited so."""
    places = places_in(site.directory / "tls-hut")
    ca_pem = places.ca.read_bytes()

    def channel(bundle: Bundle) -> grpc.aio.Channel:
        credentials = grpc.ssl_channel_credentials(ca_pem, bundle.key_pem, bundle.certificate_pem)
        options = (named(ANY_NODE), ("grpc.use_local_subchannel_pool", 1))
        return grpc.aio.secure_channel(site.address, credentials, options=options)

    async with channel(issue(site.by, "node:home")) as one, channel(issue(site.by, "node:other")) as two:
        home, other = RawSession(one, "node:home"), RawSession(two, "node:home")
        await home.open()
        async with home.beating():
            assert (await home.set("b", 5.0, await home.fresh())).applied_current_a == 5.0
            code, error = await other.refused("b", 0.0, await home.fresh(), who="node:home")
            assert (code, error.reason, error.metadata["check"]) == (grpc.StatusCode.ABORTED, "FENCED", "SESSION")
            assert error.message == "node:other has no session here: say hello first"
            assert site.pack.load_a == 5.0
    (record,) = records(site.hut, action="set", outcome="refused")
    assert (record["who"], record["reason"]) == ("node:other", "FENCED")


def test_connections_that_say_nothing_end_no_node(tmp_path: Path) -> None:
    """Hundreds at once, closed before any handshake, by who has no certificate: the node goes on, with files left."""
    by = authority(tmp_path / "ca")
    places = issue(by, "node:hut").install(tmp_path / "tls-hut")
    port = free_port()
    with secured_node(tmp_path / "hut", places, "hut", f"127.0.0.1:{port}", FIFTH + pseudo("b")) as hut:
        for _ in range(ROUNDS):
            crowd = [socket.create_connection(("127.0.0.1", port), timeout=10.0) for _ in range(CROWD)]
            assert len(list(Path(f"/proc/{hut.pid}/fd").iterdir())) < MAX_CONNECTIONS + 100
            for each in crowd:
                each.close()
            assert hut.status("b")["commandable"]
        assert hut.running
