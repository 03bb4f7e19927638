"""The next certificate of a node, asked for and handed over through a session: who may have it, and what is accepted.

A client of gRPC does not see the server's certificate. So a node's request carries its present certificate, and that
certificate's key signs the request together with a nonce of the authority's: the name, the role and the serial that count are
those of the certificate whose key signed, whatever the request says of itself. The new key is made by the node, and stays there.
"""

from dataclasses import dataclass, field
from typing import NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from bosd.errors import InvalidArgumentError, NotAllowedError, UnauthenticatedError
from bosd.pki.identity import ANY_NODE, UNREADABLE, Identity, Role, identity_of, server_name
from bosd.pki.material import Material, is_issued_by
from bosd.pki.revocation import Revocations

MAX_BYTES = 16 * 1024
"""More than any certificate or request of ours has."""
NONCE_BYTES = 32
LONGEST_PERIOD_S = 3600.0
SHORTEST_PERIOD_S = 0.25
_LOOKS = 10.0
_URGENT_FRACTION = 0.1
_PURPOSE = b"bosd certificate renewal 1\0"


def period_s(life_s: float) -> float:
    """Return how often a certificate of this life is looked at: each hour, or each tenth of a shorter life."""
    return max(SHORTEST_PERIOD_S, min(LONGEST_PERIOD_S, life_s / _LOOKS))


def is_overdue(identity: Identity, utc_s: float) -> bool:
    """Tell whether a certificate was due, and is not renewed one look later."""
    return identity.is_late(utc_s - period_s(identity.life_s))


def is_urgent(identity: Identity, utc_s: float) -> bool:
    """Tell whether less than a tenth of a certificate's life is left."""
    return identity.ends_utc_s - utc_s < _URGENT_FRACTION * identity.life_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a node says of its certificate; empty where it wants no other one."""

    certificate_pem: bytes
    signing_request_der: bytes = b""
    signature: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A key that waits in memory for its certificate. It is shown nowhere."""

    key_pem: bytes = field(repr=False)
    signing_request_der: bytes

    @classmethod
    def make(cls) -> "Pending":
        """Make a key, and the request for it: without a name, since none in it would count."""
        key = ec.generate_private_key(ec.SECP256R1())
        asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        return cls(
            key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            signing_request_der=asked.public_bytes(Encoding.DER),
        )

    def request(self, material: Material, nonce: bytes) -> Request:
        """Return it signed with the present key."""
        present = load_pem_private_key(material.key_pem, None)
        assert isinstance(present, ec.EllipticCurvePrivateKey)  # noqa: S101 (load_material looked)
        return Request(
            certificate_pem=material.certificate_pem,
            signing_request_der=self.signing_request_der,
            signature=present.sign(_signed(nonce, self.signing_request_der), ec.ECDSA(hashes.SHA256())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """What the authority may sign: the identity of the present certificate and its further DNS names, for a new key."""

    identity: Identity
    hosts: tuple[str, ...]
    key: ec.EllipticCurvePublicKey
    signing_request_der: bytes


def told_identity(request: Request) -> Identity:
    """Return what a node's certificate says, unproven. Raises InvalidArgumentError and UnauthenticatedError."""
    return identity_of(_certificate(request.certificate_pem))


def approve(request: Request, nonce: bytes, authority: x509.Certificate, revoked: Revocations, utc_s: float) -> Approved:
    """Return what may be signed.

    Raises InvalidArgumentError, UnauthenticatedError and NotAllowedError that say why it may not.
    """
    present = _certificate(request.certificate_pem)
    if not is_issued_by(present, authority):
        raise NotAllowedError("the certificate to be renewed is of a foreign CA")
    identity = identity_of(present)
    who = identity.holder
    if identity.role is not Role.NODE:
        _refuse(identity, f"{who} is no node: only nodes' certificates are renewed over a session")
    if identity.serial in revoked.serials:
        _refuse(identity, f"the certificate {identity.serial:x} of {who} is revoked, and is not renewed")
    if identity.ends_utc_s <= utc_s:
        _refuse(
            identity, f"the certificate {identity.serial:x} of {who} has expired: `bosctl ca renew {who}`, and install it there"
        )
    _check_signed(present, request, nonce, who)
    key = _requested_key(request.signing_request_der)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        _refuse(identity, f"the key that {who} asks for is not on the curve P-256")
    if key == present.public_key():
        _refuse(identity, f"{who} asks for its present key again: a new certificate needs a new key")
    own_names = {ANY_NODE, server_name(identity.name)}
    hosts = tuple(each for each in _dns_names(present) if each not in own_names)
    return Approved(identity=identity, hosts=hosts, key=key, signing_request_der=request.signing_request_der)


def accept(certificate_pem: bytes, pending: Pending | None, material: Material, utc_s: float) -> Identity:
    """Return the identity of a certificate that takes the place of the present one.

    Raises InvalidArgumentError and NotAllowedError that say why it does not.
    """
    fresh = _certificate(certificate_pem)
    mine = material.identity
    if not any(is_issued_by(fresh, each) for each in x509.load_pem_x509_certificates(material.ca_pem)):
        raise NotAllowedError(f"the certificate was not issued by the CA that {mine.holder} trusts")
    try:
        identity = identity_of(fresh)
    except UnauthenticatedError as error:
        raise NotAllowedError(error.message) from None
    if identity.holder != mine.holder:
        _refuse(identity, f"the certificate is {identity.holder}'s, this is {mine.holder}")
    if pending is None:
        _refuse(identity, f"{mine.holder} asked for no certificate, or has it already")
    if fresh.public_key() != _requested_key(pending.signing_request_der):
        _refuse(identity, f"the certificate is for another key than the one that {mine.holder} made")
    if identity.serial in material.revocations.serials:
        _refuse(identity, f"the certificate {identity.serial:x} is revoked")
    _check_dates(identity, mine, utc_s)
    if not {ANY_NODE, server_name(mine.name)} <= set(_dns_names(fresh)):
        _refuse(identity, "the certificate lacks the names by which clients know a node")
    return identity


def _check_dates(identity: Identity, mine: Identity, utc_s: float) -> None:
    if identity.ends_utc_s <= utc_s:
        _refuse(identity, "the certificate has expired, or this machine's clock is wrong")
    if identity.begins_utc_s > utc_s:
        _refuse(identity, "the certificate is not valid yet: one of the two clocks is wrong")
    if identity.ends_utc_s <= mine.ends_utc_s:
        _refuse(identity, "the certificate ends no later than the one in use")


def _refuse(identity: Identity, message: str) -> NoReturn:
    raise NotAllowedError(message, who=identity.holder, serial=f"{identity.serial:x}")


def _signed(nonce: bytes, signing_request_der: bytes) -> bytes:
    return _PURPOSE + len(nonce).to_bytes(2, "big") + nonce + signing_request_der


def _check_signed(present: x509.Certificate, request: Request, nonce: bytes, who: str) -> None:
    key = present.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise NotAllowedError(f"the certificate of {who} has no key of an elliptic curve", who=who)
    try:
        key.verify(request.signature, _signed(nonce, request.signing_request_der), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise NotAllowedError(f"the request is not signed with the key of the certificate of {who}", who=who) from None


def _certificate(data: bytes) -> x509.Certificate:
    try:
        found = x509.load_pem_x509_certificates(data) if len(data) <= MAX_BYTES else []
    except UNREADABLE:
        found = []
    if len(found) != 1:
        raise InvalidArgumentError("one certificate in PEM form is expected", field="certificate_pem")
    return found[0]


def _requested_key(data: bytes) -> CertificatePublicKeyTypes:
    """Return the key that a signing request is for, and that signed it."""
    try:
        asked = x509.load_der_x509_csr(data) if len(data) <= MAX_BYTES else None
        key = asked.public_key() if asked is not None and asked.is_signature_valid else None
    except UNREADABLE:
        key = None
    if key is None:
        raise InvalidArgumentError("no signing request (PKCS 10) that its own key signed", field="signing_request_der")
    return key


def _dns_names(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)
