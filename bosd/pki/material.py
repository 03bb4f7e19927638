"""What a node or a person has of the authority: its certificate, an own certificate with its key, and the revocations."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bosd.errors import ConfigError, UnauthenticatedError
from bosd.pki.files import read_file, read_key
from bosd.pki.identity import UNREADABLE, Identity, Role, identity_of
from bosd.pki.revocation import Revocations, read_revocations


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the files are; without a revocation list nothing is revoked."""

    ca: Path
    certificate: Path
    key: Path
    revoked: Path | None = None

    def stamps(self) -> tuple[tuple[int, int, int], ...]:
        """Return what changes when a file is replaced; a file that is not there has a stamp too."""
        found = []
        for path in (self.ca, self.certificate, self.key, self.revoked):
            stamp = (0, 0, 0)
            if path is not None:
                with contextlib.suppress(OSError):
                    stat = path.stat()
                    stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            found.append(stamp)
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The files' content, found to fit together. The key is shown nowhere."""

    identity: Identity
    ca_pem: bytes = field(repr=False)
    certificate_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    revocations: Revocations = field(default_factory=Revocations)


def load_material(places: Places) -> Material:
    """Return what the files hold.

    Raises ConfigError with the file and the remedy: missing, not readable, a key that others can read or that belongs to another
    certificate, a certificate or list that our authority did not sign. Dates are not judged: clocks are.
    """
    key_pem = read_key(places.key)
    ca_pem = read_file(places.ca, "certificate of the CA")
    certificate_pem = read_file(places.certificate, "certificate")
    authorities = _certificates(ca_pem, places.ca)
    own = _certificates(certificate_pem, places.certificate)[0]
    if not any(is_issued_by(own, authority) for authority in authorities):
        raise ConfigError(f"{places.certificate} was not issued by the CA in {places.ca}", path=str(places.certificate))
    if _public_of(key_pem, places.key) != own.public_key():
        raise ConfigError(f"{places.key} is not the key of {places.certificate}; install both anew", path=str(places.key))
    try:
        identity = identity_of(own)
    except UnauthenticatedError as error:
        raise ConfigError(f"{places.certificate}: {error.message}", path=str(places.certificate)) from None
    return Material(
        identity=identity,
        ca_pem=ca_pem,
        certificate_pem=certificate_pem,
        key_pem=key_pem,
        revocations=revocations_in(places.revoked, ca_pem),
    )


def doubts(places: Places, node: str) -> tuple[str, ...]:
    """Return why a node could not start with these files, as far as they are on this machine."""
    try:
        load_node_material(places, node)
    except ConfigError as error:
        return (f"security: {error.message}; the daemon does not start with it",)
    return ()


def load_node_material(places: Places, node: str) -> Material:
    """Return what the files of a node hold. Raises ConfigError as `load_material`, and where they are somebody else's."""
    material = load_material(places)
    identity = material.identity
    if identity.role is not Role.NODE or identity.name != node:
        raise ConfigError(
            f"{places.certificate} is {identity.holder}'s, this is node {node}: issue one with "
            f"`bosctl ca issue --node {node}`, or change [node] name",
            path=str(places.certificate),
        )
    return material


def revocations_in(path: Path | None, ca_pem: bytes) -> Revocations:
    """Return what a file revokes, nothing where none is named. Raises ConfigError unless one of these authorities signed it."""
    if path is None:
        return Revocations()
    return read_revocations(read_file(path, "revocation list"), x509.load_pem_x509_certificates(ca_pem), str(path))


def _certificates(data: bytes, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except UNREADABLE:
        raise ConfigError(f"{path} holds no certificate in PEM form", path=str(path)) from None


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Tell whether an authority signed a certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except UNREADABLE:
        return False
    return True


def _public_of(key_pem: bytes, path: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_private_key(key_pem, None)
    except UNREADABLE:
        raise ConfigError(f"{path} holds no private key in PEM form without a password", path=str(path)) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path} is no key of an elliptic curve; issue the certificate with `bosctl ca issue`", path=str(path))
    return key.public_key()
