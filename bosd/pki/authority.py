"""The own authority: a directory with its key, what it issued, and what it revoked.

ca.crt ca.key       its certificate, and its key with mode 0600: whoever has it is every node and every admin
issued/SERIAL.crt   every certificate it issued, without keys
revoked.crl         the signed list of those that are revoked, for the nodes
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bosd.errors import BadNameError, ConfigError, InvalidArgumentError, NameTakenError
from bosd.pki.bundle import Bundle
from bosd.pki.files import read_file, read_key, write_file
from bosd.pki.identity import ANY_NODE, BACKDATED_S, Identity, Role, identity_of, parse_holder, server_name, uri_of
from bosd.pki.renewal import Approved
from bosd.pki.revocation import Revocations, read_revocations

State = Literal["good", "renew", "expired", "revoked"]

CA_LIFE_S = 3650 * 86400.0
DEFAULT_LIFE_S = 365 * 86400.0
_DIRECTORY_MODE, _PRIVATE, _PUBLIC = 0o700, 0o600, 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """One certificate that was issued, and how it stands."""

    identity: Identity
    state: State


class Authority:
    """An authority in a directory; instants are seconds since 1970-01-01 UTC."""

    def __init__(self, directory: Path) -> None:
        """Open it. Raises ConfigError where there is none, or where others can read its key."""
        self.directory = directory
        if not (directory / "ca.crt").exists():
            raise ConfigError(f"no CA in {directory}: make one with `bosctl ca init`, or name its place with --dir")
        key = load_pem_private_key(read_key(directory / "ca.key"), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigError(f"{directory / 'ca.key'} is no key of an elliptic curve")
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(read_file(directory / "ca.crt", "certificate of the CA"))

    @classmethod
    def create(cls, directory: Path, name: str, utc_s: float, life_s: float = CA_LIFE_S) -> "Authority":
        """Make a new one. Raises NameTakenError when the directory holds one."""
        if (directory / "ca.key").exists() or (directory / "ca.crt").exists():
            raise NameTakenError(f"{directory} holds a CA already; a new one would make all its certificates worthless")
        (directory / "issued").mkdir(parents=True, exist_ok=True)
        directory.chmod(_DIRECTORY_MODE)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _dated(x509.CertificateBuilder(), utc_s, life_s)
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_file(directory / "ca.key", _private(key), _PRIVATE)
        write_file(directory / "ca.crt", certificate.public_bytes(Encoding.PEM), _PUBLIC)
        made = cls(directory)
        made._write_revocations({}, 1, utc_s)
        return made

    @property
    def revocations(self) -> Revocations:
        """What is revoked."""
        path = self.directory / "revoked.crl"
        return read_revocations(read_file(path, "revocation list"), [self._certificate], str(path))

    @property
    def revoked_pem(self) -> bytes:
        """The signed list of what is revoked. Raises ConfigError."""
        return read_file(self.directory / "revoked.crl", "revocation list")

    def issue(
        self,
        role: Role,
        name: str,
        utc_s: float,
        *,
        life_s: float = DEFAULT_LIFE_S,
        hosts: Iterable[str] = (),
        again: bool = False,
    ) -> Bundle:
        """Return a new certificate with a new key; the old ones of the identity stay good until they end.

        `hosts` are further DNS names of a node. Raises InvalidArgumentError for a name that is none, NameTakenError when a good
        certificate of this identity exists and BadNameError when there is none to be issued `again`.
        """
        if parse_holder(f"{role}:{name}") is None:
            raise InvalidArgumentError(f"{name!r} is no name: 1 to 63 of A-Z a-z 0-9 _ . ' -, no dot or dash first")
        living = [each for each in self.issued(utc_s) if each.identity.holder == f"{role}:{name}" and each.state != "revoked"]
        if living and not again:
            raise NameTakenError(f"{role}:{name} has a certificate: `bosctl ca renew {role}:{name}` issues the next one")
        if again and not living:
            raise BadNameError(f"{role}:{name} has no certificate to be renewed: `bosctl ca issue --{role} {name}` issues one")
        key = ec.generate_private_key(ec.SECP256R1())
        return Bundle(
            ca_pem=self._certificate.public_bytes(Encoding.PEM),
            certificate_pem=self._signed(role, name, key.public_key(), utc_s, life_s, hosts),
            key_pem=_private(key),
            revoked_pem=self.revoked_pem,
        )

    @property
    def certificate(self) -> x509.Certificate:
        """Its own certificate."""
        return self._certificate

    def renew(self, approved: Approved, utc_s: float) -> bytes:
        """Return the next certificate (PEM) for what was approved: same name, role, life and host names, another key.

        It is on the disk before it is returned, so that it can be revoked. Raises OSError.
        """
        identity = approved.identity
        return self._signed(identity.role, identity.name, approved.key, utc_s, identity.life_s, approved.hosts)

    def _signed(
        self, role: Role, name: str, key: ec.EllipticCurvePublicKey, utc_s: float, life_s: float, hosts: Iterable[str]
    ) -> bytes:
        """Sign, keep and return a certificate, which ends no later than the authority does."""
        life_s = min(life_s, self._certificate.not_valid_after_utc.timestamp() - utc_s)
        certificate = self._built(role, name, key, utc_s, life_s, hosts)
        pem = certificate.public_bytes(Encoding.PEM)
        (self.directory / "issued").mkdir(exist_ok=True)
        write_file(self.directory / "issued" / f"{certificate.serial_number:x}.crt", pem, _PUBLIC)
        return pem

    def _built(
        self, role: Role, name: str, key: ec.EllipticCurvePublicKey, utc_s: float, life_s: float, hosts: Iterable[str]
    ) -> x509.Certificate:
        alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri_of(role, name))]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if role is Role.NODE:
            alternatives += [x509.DNSName(each) for each in (ANY_NODE, server_name(name), *hosts)]
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        return (
            _dated(x509.CertificateBuilder(), utc_s, life_s)
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{role}:{name}"[:64])]))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def issued(self, utc_s: float) -> list[Issued]:
        """Return every certificate with its state, by identity, the one that ends last first."""
        revoked = self.revocations.serials
        found = []
        for path in (self.directory / "issued").glob("*.crt"):
            identity = identity_of(x509.load_pem_x509_certificate(path.read_bytes()))
            state: State = "renew" if identity.is_late(utc_s) else "good"
            if identity.ends_utc_s <= utc_s:
                state = "expired"
            if identity.serial in revoked:
                state = "revoked"
            found.append(Issued(identity=identity, state=state))
        return sorted(found, key=lambda each: (each.identity.holder, -each.identity.ends_utc_s))

    def revoke(self, what: str, utc_s: float) -> list[Identity]:
        """Revoke all certificates of `ROLE:NAME`, or one by its serial in hexadecimal; return them. Raises BadNameError."""
        chosen = [each.identity for each in self.issued(utc_s) if what == each.identity.holder or what.lower() == _hex(each)]
        if not chosen:
            raise BadNameError(f"nothing was issued as {what!r}; `bosctl ca ls` shows identities and serials", name=what)
        path = self.directory / "revoked.crl"
        old = x509.load_pem_x509_crl(read_file(path, "revocation list"))
        entries = {entry.serial_number: entry.revocation_date_utc.timestamp() for entry in old}
        for identity in chosen:
            entries.setdefault(identity.serial, utc_s)
        self._write_revocations(entries, self.revocations.number + 1, utc_s)
        return chosen

    def _write_revocations(self, entries: dict[int, float], number: int, utc_s: float) -> None:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(_moment(utc_s))
            .next_update(max(self._certificate.not_valid_after_utc, _moment(utc_s) + timedelta(days=1)))
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        for serial, revoked_utc_s in entries.items():
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_moment(revoked_utc_s))
            builder = builder.add_revoked_certificate(revoked.build())
        crl = builder.sign(self._key, hashes.SHA256())
        write_file(self.directory / "revoked.crl", crl.public_bytes(Encoding.PEM), _PUBLIC)


def _hex(issued: Issued) -> str:
    return f"{issued.identity.serial:x}"


def _moment(utc_s: float) -> datetime:
    return datetime.fromtimestamp(utc_s, UTC)


def _dated(builder: x509.CertificateBuilder, utc_s: float, life_s: float) -> x509.CertificateBuilder:
    return builder.not_valid_before(_moment(utc_s - BACKDATED_S)).not_valid_after(_moment(utc_s + life_s))


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
