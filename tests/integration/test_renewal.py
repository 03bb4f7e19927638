"""Certificates that renew themselves between real nodes (control.md, "Transport security"): lives of some seconds."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from bosd.pki.authority import Authority
from bosd.pki.bundle import Bundle, places_in
from bosd.pki.identity import ANY_NODE, Identity, Role, identity_of
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from tests.support.certificates import authority
from tests.support.forked import run_process
from tests.support.processes import REPOSITORY, Node, battery, free_port, pseudo, recording, table, until
from tests.support.small_disk import fill, small_disk

LIFE_S = 12.0
"""Renewed at 8 s, over at 12 s; streams of what is over end at the next look, 1 s."""
LOOK_S = 1.0
WITHIN_S = 20.0
LONG_S = 3600.0
DAY_S = 86400.0
EXPIRES, NOT_RENEWED = "CERTIFICATE_EXPIRES", "CERTIFICATE_NOT_RENEWED"


@dataclass
class Pair:
    """Node home follows node hut, whose battery b it is granted."""

    directory: Path
    by: Authority
    port: int

    def node(self, name: str, topology: str, *listen: str, tls: Path, **security: str) -> Node:
        """Return a node whose certificate lies in `tls`, asked over its socket."""
        directory = self.directory / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        places = places_in(tls)
        files = {key: str(getattr(places, key)) for key in ("ca", "certificate", "key", "revoked")}
        socket = f"unix:{directory}/s"
        section = table("[security]", {**files, **security}) + table("[security.grants]", {'"node:home"': ["b"]})
        node = Node(directory, section + topology, name=name, listen=[socket, *listen])
        node.target = socket
        return node

    def hut(self, tls: Path) -> Node:
        """Return the node that is followed."""
        return self.node("hut", pseudo("b"), f"127.0.0.1:{self.port}", tls=tls)

    def home(self, tls: Path, **security: str) -> Node:
        """Return the node that follows."""
        stub = battery("far", "network", target=f"127.0.0.1:{self.port}", remote_name="b")
        return self.node("home", stub, tls=tls, **security)

    def certified(self, name: str, life_s: float, *, ago_s: float = 0.0, within: Path | None = None) -> tuple[Path, Bundle]:
        """Issue and install; return where, and what."""
        known = any(each.identity.name == name for each in self.by.issued(0.0))
        bundle = self.by.issue(Role.NODE, name, time.time() - ago_s, life_s=life_s, again=known)
        place = (within or self.directory) / f"tls-{name}"
        bundle.install(place)
        return place, bundle

    def is_let_in(self, bundle: Bundle) -> bool:
        """Tell whether hut answers who shows this certificate."""
        credentials = grpc.ssl_channel_credentials(bundle.ca_pem, bundle.key_pem, bundle.certificate_pem)
        options = (("grpc.ssl_target_name_override", ANY_NODE), ("grpc.use_local_subchannel_pool", 1))
        with grpc.secure_channel(f"127.0.0.1:{self.port}", credentials, options=options) as channel:
            try:
                BatteryServiceStub(channel).GetStatus(pb.GetStatusRequest(name="b"), timeout=5.0)
            except grpc.RpcError:
                return False
        return True

    @property
    def authority(self) -> dict[str, str]:
        """What the section of the node that renews says."""
        return {"authority": str(self.by.directory)}


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """An authority, and where hut listens."""
    return Pair(tmp_path, authority(tmp_path / "ca"), free_port())


def identity(tls: Path) -> Identity:
    """Return whose certificate is in place, and which."""
    return identity_of(x509.load_pem_x509_certificate(places_in(tls).certificate.read_bytes()))


def fault(node: Node, kind: str, of: str) -> dict[str, Any] | None:
    """Return an error that is active, by type and by the node it arose at."""
    return next((each for each in node.ask("errors") if (each["type"], each["node"]) == (kind, of)), None)


def raised(node: Node, kind: str, of: str) -> dict[str, Any]:
    """Wait for an error and return it."""
    error = until(lambda: fault(node, kind, of), because=f"{kind} of {of} is raised")
    assert error is not None
    return error


def steps(node: Node, who: str) -> list[str]:
    """Return what the audit says was done about certificates, oldest first."""
    return [each["comment"] for each in reversed(node.ask("audit")) if (each["who"], each["action"]) == (who, "certificate")]


def test_both_ends_renew_while_the_session_goes_on(pair: Pair) -> None:
    """The link stays ready and the set point in force past the end of both first certificates, in one session of one run."""
    hut_tls, home_tls = (pair.certified(name, LIFE_S)[0] for name in ("hut", "home"))
    ends_utc_s = {tls: identity(tls).ends_utc_s for tls in (hut_tls, home_tls)}
    with pair.hut(hut_tls) as hut, pair.home(home_tls, **pair.authority) as home:
        until(lambda: home.status("far")["commandable"], because="the session is ready")
        home.ask("set", "far", "3A", "--ttl", "300s")
        over_utc_s = max(ends_utc_s.values()) + 2.0 * LOOK_S
        with recording(home.target, "far") as record:
            until(lambda: time.time() > over_utc_s, timeout_s=LIFE_S + 5.0, because="both first ones are over")
            assert all(identity(tls).ends_utc_s > ends for tls, ends in ends_utc_s.items())
            links = {pb.Link.Name(each.status.link) for each in record.of("far")}
        assert links == {"LINK_READY"}
        status = hut.status("b")
        assert (status["requested_current_a"], status["setpoint_source"]) == (3.0, "manual")
        assert len(hut.events("session_ready")) == 1
        assert steps(hut, "node:home")[:2] == ["asked for the next one", "renewed"]
        assert sorted(steps(home, "bosd")[:3]) == ["issued", "issued", "renewed"]
        assert not any(fault(home, kind, of) for kind in (EXPIRES, NOT_RENEWED) for of in ("home", "hut"))
        keys = [places_in(tls).key.read_text().splitlines()[1] for tls in (hut_tls, home_tls)]
        for node in (hut, home):
            assert not [key for key in keys if key in node.log.read_text() + str(node.ask("audit"))]


def test_the_one_before_can_be_revoked(pair: Pair) -> None:
    """Renewed with nine days left, then its serial revoked: who shows it is refused, the session goes on with the next one."""
    hut_tls, _ = pair.certified("hut", LONG_S)
    home_tls, first = pair.certified("home", 30.0 * DAY_S, ago_s=21.0 * DAY_S)
    before = identity(home_tls)
    with pair.home(home_tls, **pair.authority) as home:
        until(lambda: home.events("certificates_exchanged"), because="home renews itself")
    with pair.hut(hut_tls) as hut, home:
        until(lambda: home.status("far")["commandable"], because="the session is ready")
        assert not home.events("certificates_exchanged")
        assert pair.is_let_in(first)
        pair.by.revoke(f"{before.serial:x}", time.time())
        until(lambda: home.events("revocations_brought", number=2), because="the node with the authority brings the list")
        until(lambda: not pair.is_let_in(first), because="the revocation is seen")
        time.sleep(2.0 * LOOK_S)  # streams that show what is revoked would have ended
        assert home.status("far")["link"] == "ready"
        assert len(home.events("remote_ready")) == 1
        assert not fault(hut, EXPIRES, "hut")
        listed = (pair.by.directory / "revoked.crl").read_bytes()
        assert all((tls / "revoked.crl").read_bytes() == listed for tls in (hut_tls, home_tls))
        assert steps(hut, "node:home")[-1] == "revocations"


def test_without_an_authority_in_reach_a_node_says_so(pair: Pair) -> None:
    """With two of thirty days left it is urgent, here and where the node is followed; an installed one clears it."""
    hut_tls, _ = pair.certified("hut", 30.0 * DAY_S, ago_s=28.0 * DAY_S)
    home_tls, _ = pair.certified("home", 30.0 * DAY_S, ago_s=21.0 * DAY_S)
    with pair.hut(hut_tls), pair.home(home_tls) as home:
        found = {of: raised(home, EXPIRES, of) for of in ("hut", "home")}
        assert {of: error["severity"] for of, error in found.items()} == {"hut": "HIGH", "home": "MEDIUM"}
        assert "no node with [security] authority renewed it" in found["hut"]["message"]
        assert "bosctl ca renew" in found["hut"]["remedy"]
        issued = pair.by.issue(Role.NODE, "hut", time.time(), again=True)
        issued.install(hut_tls)
        until(lambda: not fault(home, EXPIRES, "hut"), because="the new one is in use")
        assert fault(home, EXPIRES, "home")


def test_a_full_disk_and_a_revoked_node(pair: Pair) -> None:
    """The old pair stays in use and both ends say why; with room again it is renewed. Who is revoked is never renewed."""
    with small_disk(pair.directory / "disk", "256k") as disk:
        hut_tls, _ = pair.certified("hut", 60.0, ago_s=41.0, within=disk)
        home_tls, _ = pair.certified("home", LONG_S)
        before, filler = identity(hut_tls), fill(disk)
        with pair.hut(hut_tls) as hut, pair.home(home_tls, **pair.authority) as home:
            error = raised(home, NOT_RENEWED, "home")
            assert (error["module"], "No space left on device" in error["message"]) == ("node:hut", True)
            assert home.status("far")["link"] == "ready"
            assert identity(hut_tls) == before
            filler.unlink()
            until(lambda: identity(hut_tls) != before, timeout_s=WITHIN_S, because="it is tried again")
            until(lambda: not fault(home, NOT_RENEWED, "home"), because="the error is cleared")
            hut_files = [path.name for path in hut_tls.iterdir()]
            assert sorted(hut_files) == ["bosd.crt", "bosd.key", "ca.crt", "revoked.crl"]
            assert len(hut.events("session_ready")) == 1
    hut_tls, _ = pair.certified("hut", 30.0 * DAY_S, ago_s=21.0 * DAY_S)
    pair.by.revoke("node:hut", time.time())
    with pair.hut(hut_tls), pair.home(home_tls, **pair.authority) as home:
        error = raised(home, NOT_RENEWED, "home")
        assert "of node:hut is revoked, and is not renewed" in error["message"]
        refused = [each for each in home.ask("audit") if each["outcome"] == "refused"]
        assert (refused[0]["who"], refused[0]["action"]) == ("node:hut", "certificate")
        home.ask("rm", "far")
        until(lambda: not fault(home, NOT_RENEWED, "home"), because="no stub is of it any more")


def test_a_foreign_authority_is_refused_at_start(pair: Pair) -> None:
    """What it signed nobody would trust; and the right one is worth a warning."""
    tls, _ = pair.certified("home", LONG_S)
    foreign = authority(pair.directory / "foreign")
    node = pair.home(tls, authority=str(foreign.directory))
    node.launch()
    assert node.wait() == 1
    assert "is not in security.ca: nobody here trusts what it signs" in node.output()
    done = run_process("bosd", ["check", "--config", str(node.config)], REPOSITORY, 30.0)
    assert done.returncode == 0
    assert "on this node can issue every identity" in done.stderr
