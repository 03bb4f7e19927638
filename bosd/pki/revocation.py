"""Which certificates are revoked: a certificate revocation list (RFC 5280) signed by the authority."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bosd.errors import ConfigError
from bosd.pki.identity import UNREADABLE


@dataclass(frozen=True, slots=True)
class Revocations:
    """The serials that are revoked, and the number of the list: later ones have higher numbers."""

    number: int = 0
    serials: frozenset[int] = frozenset()


def read_revocations(data: bytes, authorities: Sequence[x509.Certificate], place: str) -> Revocations:
    """Return the revocations in a list. Raises ConfigError when it is none, or none of our authority."""
    try:
        crl = x509.load_pem_x509_crl(data)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except UNREADABLE:
        raise ConfigError(f"{place} is no revocation list; copy `revoked.crl` from the directory of the CA", path=place) from None
    if not any(_is_signed(crl, authority) for authority in authorities):
        raise ConfigError(f"{place} is not signed by our CA; copy `revoked.crl` from the directory of the CA", path=place)
    return Revocations(number, frozenset(entry.serial_number for entry in crl))


def _is_signed(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    try:
        return isinstance(key, ec.EllipticCurvePublicKey) and crl.is_signature_valid(key)
    except UNREADABLE:
        return False
