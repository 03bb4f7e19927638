"""Certificates, requests and lists that no honest program makes, and that the library does not refuse with a ValueError."""

import base64

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from bosd.pki.authority import Authority

_VERSION_3, _VERSION_10 = bytes.fromhex("a003020102"), bytes.fromhex("a003020109")
_P256, _NO_CURVE = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03010f")
_X400 = bytes.fromhex("3004a3020500")
"""A sequence of one x400Address (RFC 5280, 4.2.1.6), which is a general name."""
_SUBJECT_ALTERNATIVE, _ISSUER_ALTERNATIVE = x509.ObjectIdentifier("2.5.29.17"), x509.ObjectIdentifier("2.5.29.18")


def _pem(kind: str, der: bytes) -> bytes:
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(der).decode()}-----END {kind}-----\n".encode()


def of_version_10(certificate_pem: bytes) -> bytes:
    """Return a certificate with a version that there is not; it is refused when it is loaded."""
    der = x509.load_pem_x509_certificate(certificate_pem).public_bytes(Encoding.DER)
    return _pem("CERTIFICATE", der.replace(_VERSION_3, _VERSION_10, 1))


def with_x400_name(by: Authority) -> bytes:
    """Return a certificate, as if of an authority, whose alternative names cannot be looked into."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(by.certificate.not_valid_before_utc)
        .not_valid_after(by.certificate.not_valid_after_utc)
        .add_extension(x509.UnrecognizedExtension(_SUBJECT_ALTERNATIVE, _X400), critical=False)
    )
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def on_no_curve(signing_request_der: bytes) -> bytes:
    """Return a request for a key on a curve that the library does not have."""
    return signing_request_der.replace(_P256, _NO_CURVE)


def list_with_x400_name(by: Authority) -> bytes:
    """Return a list, as if of an authority, whose extensions cannot be looked into."""
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(by.certificate.not_valid_before_utc)
        .next_update(by.certificate.not_valid_after_utc)
        .add_extension(x509.CRLNumber(99), critical=False)
        .add_extension(x509.UnrecognizedExtension(_ISSUER_ALTERNATIVE, _X400), critical=False)
    )
    return made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)
