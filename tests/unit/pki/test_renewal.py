"""When a certificate is renewed, for whom the authority signs, and what a node accepts (control.md, "Transport security")."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from bosd.errors import BosError, ConfigError, InvalidArgumentError, NotAllowedError, UnauthenticatedError
from bosd.pki.authority import Authority
from bosd.pki.bundle import Bundle
from bosd.pki.identity import ANY_NODE, Role, identity_of, server_name
from bosd.pki.material import Material, load_material
from bosd.pki.renewal import Approved, Pending, Request, accept, approve, is_overdue, is_urgent, period_s, told_identity
from bosd.pki.revocation import read_revocations
from tests.support.certificates import authority, issue
from tests.support.malformed import list_with_x400_name, of_version_10, on_no_curve, with_x400_name

DAY_S = 86400.0
NONCE = bytes(range(32))


@pytest.fixture
def by(tmp_path: Path) -> Authority:
    """Our authority."""
    return authority(tmp_path / "ca")


def material_of(bundle: Bundle, directory: Path) -> Material:
    """Return what a node has of a bundle."""
    return load_material(bundle.install(directory))


@pytest.fixture
def hut(by: Authority, tmp_path: Path) -> Material:
    """Node hut with two thirds of 30 days behind it."""
    return material_of(issue(by, "node:hut", life_s=30.0 * DAY_S, ago_s=21.0 * DAY_S), tmp_path / "hut")


def approved(by: Authority, material: Material, pending: Pending, nonce: bytes = NONCE) -> Approved:
    """Return what the authority may sign for a node that asks."""
    return approve(pending.request(material, nonce), NONCE, by.certificate, by.revocations, time.time())


def key_of(material: Material) -> ec.EllipticCurvePrivateKey:
    """Return a node's present key."""
    key = load_pem_private_key(material.key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


# --- when


@pytest.mark.parametrize(
    ("life_s", "wanted_s"), [(365.0 * DAY_S, 3600.0), (10.0 * 3600.0, 3600.0), (5.0, 0.5), (1.0, 0.25), (0.0, 0.25)]
)
def test_each_hour_or_each_tenth_of_a_life(life_s: float, wanted_s: float) -> None:
    """A certificate of 5 s is looked at each half second, and none more often than four times a second."""
    assert period_s(life_s) == wanted_s


def test_due_overdue_and_urgent(by: Authority, tmp_path: Path) -> None:
    """Of 30 s: due from 20 s on, overdue one look (3 s) later, urgent in the last 3 s; the 300 s before it do not count."""
    identity = material_of(issue(by, "node:hut", life_s=30.0), tmp_path / "n").identity
    begun = identity.ends_utc_s - 30.0
    found = {
        after_s: (identity.is_late(begun + after_s), is_overdue(identity, begun + after_s), is_urgent(identity, begun + after_s))
        for after_s in (0.0, 19.0, 21.0, 22.5, 23.5, 26.5, 27.5, 31.0)
    }
    assert identity.life_s == pytest.approx(30.0, abs=1.0)
    assert found == {
        0.0: (False, False, False),
        19.0: (False, False, False),
        21.0: (True, False, False),
        22.5: (True, False, False),
        23.5: (True, True, False),
        26.5: (True, True, False),
        27.5: (True, True, True),
        31.0: (True, True, True),
    }


# --- what the authority signs


def test_the_next_certificate_has_the_name_role_life_and_hosts_of_the_present_one(by: Authority, tmp_path: Path) -> None:
    """And a key that only the node has; it is kept among those that can be revoked."""
    bundle = by.issue(Role.NODE, "hut", time.time() - 21.0 * DAY_S, life_s=30.0 * DAY_S, hosts=["hut.local"])
    material, pending = material_of(bundle, tmp_path / "hut"), Pending.make()
    pem = by.renew(approved(by, material, pending), time.time())
    fresh = accept(pem, pending, material, time.time())
    assert fresh.holder == "node:hut"
    assert fresh.life_s == pytest.approx(30.0 * DAY_S, abs=1.0)
    assert fresh.serial in {each.identity.serial for each in by.issued(time.time())}
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {ANY_NODE, server_name("hut"), "hut.local"}
    assert certificate.public_key() != key_of(material).public_key()


def test_what_a_request_says_of_itself_counts_for_nothing(by: Authority, hut: Material) -> None:
    """A request in the name of an admin: the certificate is the node's."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "admin:root")])
    claimed = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("bosd:admin/root")])
    asked = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(claimed, critical=False)
    pending = Pending(key_pem=b"", signing_request_der=asked.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))
    pem = by.renew(approved(by, hut, pending), time.time())
    assert identity_of(x509.load_pem_x509_certificate(pem)).holder == "node:hut"


def test_a_request_that_another_key_signed_is_refused(by: Authority, hut: Material, tmp_path: Path) -> None:
    """Another node shows hut's certificate (it is public), but it has not hut's key."""
    barn = material_of(issue(by, "node:barn"), tmp_path / "barn")
    with pytest.raises(NotAllowedError, match="not signed with the key of the certificate of node:hut"):
        approved(by, replace(hut, key_pem=barn.key_pem), Pending.make())


def test_a_request_for_another_nonce_is_refused(by: Authority, hut: Material) -> None:
    """A request that was overheard is of no use."""
    with pytest.raises(NotAllowedError, match="not signed with the key"):
        approved(by, hut, Pending.make(), nonce=bytes(32))


def test_who_gets_none(by: Authority, hut: Material, tmp_path: Path) -> None:
    """Those of a foreign authority, the revoked, the expired, and whoever is no node."""
    foreign = material_of(issue(authority(tmp_path / "foreign"), "node:hut"), tmp_path / "f")
    person = material_of(issue(by, "admin:root"), tmp_path / "p")
    late = material_of(issue(by, "node:late", life_s=5.0, ago_s=6.0), tmp_path / "l")
    by.revoke(f"{hut.identity.serial:x}", time.time())
    for material, why in (
        (foreign, "foreign CA"),
        (person, "admin:root is no node"),
        (late, "of node:late has expired"),
        (hut, f"certificate {hut.identity.serial:x} of node:hut is revoked"),
    ):
        with pytest.raises(NotAllowedError, match=why):
            approved(by, material, Pending.make())


def test_the_present_key_again_and_junk_are_refused(by: Authority, hut: Material) -> None:
    """A renewal is for a new key; what is no request is none."""
    empty = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    same = empty.sign(key_of(hut), hashes.SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(NotAllowedError, match="present key again"):
        approved(by, hut, Pending(key_pem=b"", signing_request_der=same))
    other = empty.sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(NotAllowedError, match="P-256"):
        approved(by, hut, Pending(key_pem=b"", signing_request_der=other))
    for junk in (b"x", b"x" * 20_000, same[:-4] + b"\0\0\0\0"):
        with pytest.raises(InvalidArgumentError, match="no signing request"):
            approved(by, hut, Pending(key_pem=b"", signing_request_der=junk))
    for junk in (b"", b"x", hut.certificate_pem * 2, hut.certificate_pem + b"\n" * 20_000):
        with pytest.raises(InvalidArgumentError, match="one certificate"):
            approved(by, replace(hut, certificate_pem=junk), Pending.make())


def test_what_the_library_cannot_look_into_is_refused_too(by: Authority, hut: Material) -> None:
    """It raises more than ValueError, and what escapes would end a daemon: a node of ours may send what it likes."""
    pending = Pending.make()
    unknown = on_no_curve(pending.signing_request_der)
    with pytest.raises(InvalidArgumentError, match="no signing request"):
        approved(by, hut, Pending(key_pem=b"", signing_request_der=unknown))
    version_10 = of_version_10(hut.certificate_pem)
    with pytest.raises(InvalidArgumentError, match="one certificate"):
        approved(by, replace(hut, certificate_pem=version_10), pending)
    with pytest.raises(InvalidArgumentError, match="one certificate"):
        accept(version_10, pending, hut, time.time())
    with pytest.raises(UnauthenticatedError, match="names no role"):
        told_identity(Request(certificate_pem=with_x400_name(by)))
    with pytest.raises(ConfigError, match="no revocation list"):
        read_revocations(list_with_x400_name(by), [by.certificate], "a list")


# --- what a node accepts

Change = Callable[[Approved], Approved]


def named(role: Role, name: str) -> Change:
    """Have the authority sign for another identity."""

    def change(of: Approved) -> Approved:
        return replace(of, identity=replace(of.identity, role=role, name=name))

    return change


def lived(life_s: float) -> Change:
    """Have the authority sign for another life."""

    def change(of: Approved) -> Approved:
        begins = of.identity.begins_utc_s
        return replace(of, identity=replace(of.identity, ends_utc_s=begins + 300.0 + life_s))

    return change


@pytest.mark.parametrize(
    ("change", "ago_s", "why"),
    [
        (named(Role.NODE, "barn"), 0.0, "the certificate is node:barn's, this is node:hut"),
        (named(Role.ADMIN, "hut"), 0.0, "the certificate is admin:hut's, this is node:hut"),
        (lived(1.0), 2.0, "has expired"),
        (lived(DAY_S), 0.0, "ends no later than the one in use"),
        (lived(30.0 * DAY_S), -3600.0, "not valid yet"),
    ],
)
def test_even_our_authority_changes_nobody_into_something_else(
    by: Authority, hut: Material, change: Change, ago_s: float, why: str
) -> None:
    """Another name, another role, one that is over, an older one, one of a clock that is ahead: each refused with its reason."""
    pending = Pending.make()
    pem = by.renew(change(approved(by, hut, pending)), time.time() - ago_s)
    with pytest.raises(NotAllowedError, match=why):
        accept(pem, pending, hut, time.time())


def test_a_foreign_authority_and_another_key_are_refused(by: Authority, hut: Material, tmp_path: Path) -> None:
    """What anybody can make is worth nothing; nor is a good certificate of ours for a key that this node did not make."""
    pending, foreign = Pending.make(), authority(tmp_path / "foreign")
    request = approved(by, hut, pending)
    for pem, waiting, why in (
        (foreign.renew(request, time.time()), pending, "not issued by the CA that node:hut trusts"),
        (by.renew(request, time.time()), Pending.make(), "for another key"),
        (by.renew(request, time.time()), None, "asked for no certificate"),
        (hut.certificate_pem, pending, "for another key"),
        (b"x", pending, "one certificate in PEM form"),
    ):
        with pytest.raises(BosError, match=why):
            accept(pem, waiting, hut, time.time())


def test_what_is_revoked_already_is_not_taken(by: Authority, hut: Material) -> None:
    """By the list that this node has."""
    pending = Pending.make()
    pem = by.renew(approved(by, hut, pending), time.time())
    serial = identity_of(x509.load_pem_x509_certificate(pem)).serial
    by.revoke(f"{serial:x}", time.time())
    with pytest.raises(NotAllowedError, match="is revoked"):
        accept(pem, pending, replace(hut, revocations=by.revocations), time.time())


def test_no_key_is_shown(by: Authority, hut: Material) -> None:
    """Neither the one that waits nor the one in use, by whatever prints these values."""
    pending = Pending.make()
    request = pending.request(hut, NONCE)
    shown = repr(pending) + repr(request) + repr(approved(by, hut, pending)) + repr(hut)
    for key_pem in (pending.key_pem, hut.key_pem):
        assert key_pem.decode().splitlines()[1] not in shown
