"""A key and its certificate exchanged as one: two files, and a pair that fits after a crash at any point.

The new certificate is written beside the old one, then the key is replaced, then the certificate. A crash before the key was
replaced leaves the old pair, and a file that `settle` removes; one after it leaves a key that belongs to the file beside, and
`settle` puts that in place.
"""

import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bosd.pki.files import write_file
from bosd.pki.identity import UNREADABLE
from bosd.pki.material import Places

_PRIVATE, _PUBLIC = 0o600, 0o644


def beside(certificate: Path) -> Path:
    """Return where the new certificate waits for its key."""
    return certificate.with_name(f"{certificate.name}.next")


def exchange_pair(places: Places, key_pem: bytes, certificate_pem: bytes) -> None:
    """Replace key and certificate. Raises OSError; then the old pair is in place, or `settle` puts the new one there."""
    waiting = beside(places.certificate)
    write_file(waiting, certificate_pem, _PUBLIC)
    try:
        _flush(waiting.parent)
        write_file(places.key, key_pem, _PRIVATE)
    except OSError:
        settle(places)
        raise
    _flush(places.key.parent)
    waiting.replace(places.certificate)
    _flush(waiting.parent)


def settle(places: Places) -> None:
    """Finish or undo an exchange that was cut short; what cannot be read or written stays as it is."""
    waiting = beside(places.certificate)
    try:
        if not waiting.exists():
            return
        fresh = x509.load_pem_x509_certificate(waiting.read_bytes())
        key = load_pem_private_key(places.key.read_bytes(), None)
        if key.public_key() == fresh.public_key():
            waiting.replace(places.certificate)
        else:
            waiting.unlink()
    except (OSError, *UNREADABLE):
        return


def _flush(directory: Path) -> None:
    """Have the directory's own entries on the disk, in this order."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
