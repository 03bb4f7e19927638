"""One file that brings a node or a person all it needs: key, certificate, the authority's certificate and the revocations."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from bosd.errors import ConfigError
from bosd.pki.files import read_key, write_file
from bosd.pki.identity import UNREADABLE
from bosd.pki.material import Places, revocations_in
from bosd.pki.revocation import read_revocations

REVOKED = "revoked.crl"
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\n.*?\n-----END \1-----\n", re.DOTALL)
_KINDS = [b"PRIVATE KEY", b"CERTIFICATE", b"CERTIFICATE", b"X509 CRL"]
_PRIVATE, _PUBLIC, _DIRECTORY_MODE = 0o600, 0o644, 0o700


def places_in(directory: Path) -> Places:
    """Return where `install` puts the files."""
    return Places(
        ca=directory / "ca.crt",
        certificate=directory / "bosd.crt",
        key=directory / "bosd.key",
        revoked=directory / REVOKED,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The parts in PEM form. The key is shown nowhere."""

    ca_pem: bytes = field(repr=False)
    certificate_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    revoked_pem: bytes = field(repr=False)

    def write(self, path: Path) -> None:
        """Write it for its owner alone. Raises OSError."""
        write_file(path, self.key_pem + self.certificate_pem + self.ca_pem + self.revoked_pem, _PRIVATE)

    def install(self, directory: Path) -> Places:
        """Write the parts into a directory, as its owner; the key comes first, so that no new certificate waits for it.

        A newer list of the revoked of the same authority stays: one that was revoked since is not let in again.
        """
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        places = places_in(directory)
        owner = directory.stat()
        for path, data, mode in (
            (places.ca, self.ca_pem, _PUBLIC),
            (directory / REVOKED, self._newer_list(directory / REVOKED), _PUBLIC),
            (places.key, self.key_pem, _PRIVATE),
            (places.certificate, self.certificate_pem, _PUBLIC),
        ):
            write_file(path, data, mode)
            if os.geteuid() == 0:
                os.chown(path, owner.st_uid, owner.st_gid)
        return places

    def _newer_list(self, path: Path) -> bytes:
        """Return the newer one of the list that lies there and the one that is brought."""
        try:
            there = revocations_in(path, self.ca_pem)
            authorities = x509.load_pem_x509_certificates(self.ca_pem)
            brought = read_revocations(self.revoked_pem, authorities, "the bundle's list")
            return path.read_bytes() if there.number > brought.number else self.revoked_pem
        except (ConfigError, *UNREADABLE):
            return self.revoked_pem


def read_bundle(path: Path) -> Bundle:
    """Return the bundle in a file. Raises ConfigError when it is none, is not there, or others can read it."""
    if not path.exists():
        raise ConfigError(f"there is no {path}: bring it here, `bosctl ca issue` wrote it there", path=str(path))
    data = read_key(path)
    blocks = [(match[1], match[0]) for match in _BLOCK.finditer(data)]
    if [kind for kind, _ in blocks] != _KINDS:
        raise ConfigError(f"{path} is no bundle; `bosctl ca issue --out FILE` writes one", path=str(path))
    key_pem, certificate_pem, ca_pem, revoked_pem = (block for _, block in blocks)
    return Bundle(ca_pem=ca_pem, certificate_pem=certificate_pem, key_pem=key_pem, revoked_pem=revoked_pem)
