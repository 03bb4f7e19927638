"""Mutual TLS with certificates of the own authority, exchanged without a restart.

A client checks that whoever answers is a node of ours by `grpc.ssl_target_name_override` and the DNS names that only nodes'
certificates carry; addresses are in no certificate. grpcio does not show a client the server's certificate, so a client cannot
look a server's serial up among the revoked: replace a stolen node by one of another name, and name it in `[security.peers]`.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import grpc
import grpc.aio
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bosd.clock import SystemClock
from bosd.config.security import SecurityConfig
from bosd.errors import BosError, ConfigError, InvalidArgumentError, StoreError, UnsupportedError
from bosd.pki.exchange import exchange_pair, settle
from bosd.pki.files import write_file
from bosd.pki.identity import ANY_NODE, Identity, server_name
from bosd.pki.material import Material, Places, load_node_material, revocations_in
from bosd.pki.renewal import Pending, Request, accept
from bosd.pki.revocation import read_revocations
from bosd.rpc.addresses import UNIX, is_loopback

_TELL_PERIOD_S = 86400.0
_log = structlog.get_logger(__name__)


class Keyring:
    """The files in use. `look` takes new ones into use when they fit together, and goes on with the old ones when not.

    The list of the revoked is taken by itself: a certificate that does not fit keeps nobody in.
    """

    def __init__(self, config: SecurityConfig, node: str) -> None:
        """Load them. Raises ConfigError with the file and the remedy."""
        self._config = config
        self._places = Places(ca=config.ca, certificate=config.certificate, key=config.key, revoked=config.revoked)
        self._node = node
        self._lock = threading.Lock()
        self._pending: Pending | None = None
        self._kept = True
        self.failure = ""
        """Why the last certificate that was brought was not taken; empty once one was."""
        settle(self._places)
        self._stamps = self._places.stamps()
        self.material = self._load(self._places)
        self._told_utc_s = 0.0
        self._tell_days_left()

    def _load(self, places: Places) -> Material:
        return load_node_material(places, self._node)

    def look(self) -> None:
        """Read the files again if one was replaced."""
        with self._lock:
            settle(self._places)
            self._read_again()
        self._tell_days_left()

    def _read_again(self) -> None:
        stamps = self._places.stamps()
        if stamps != self._stamps:
            self._stamps = stamps
            if (fresh := self._fresh()) != self.material:
                self._take(fresh)

    def _fresh(self) -> Material:
        """Return what is to be in use from now on; what cannot be taken of certificate and list does not keep the other out."""
        fresh = in_use = self.material
        try:
            fresh = self._load(replace(self._places, revoked=None))
        except ConfigError as error:
            _log.error("certificates_kept", detail=error.message)
        try:
            revocations = revocations_in(self._places.revoked, fresh.ca_pem)
        except ConfigError as error:
            _log.error("revocations_kept", detail=error.message)
            revocations = in_use.revocations
        if fresh.ca_pem == in_use.ca_pem and revocations.number < in_use.revocations.number:
            _log.error("revocations_kept", detail="the revocation list is older than the one in use")
            revocations = in_use.revocations
        return replace(fresh, revocations=revocations)

    def _take(self, fresh: Material) -> None:
        if fresh.certificate_pem != self.material.certificate_pem:
            self._pending, self.failure = None, ""
        self.material = fresh
        serial = f"{fresh.identity.serial:x}"
        _log.info("certificates_exchanged", serial=serial, revoked=len(fresh.revocations.serials))

    def request(self, nonce: bytes, asked_utc_s: float) -> Request:
        """Return the present certificate, and where it is late by one of two clocks what the authority has to sign.

        The key for it waits in memory, the same one until a certificate is taken.
        """
        material = self.material
        if not any(map(material.identity.is_late, (SystemClock().utc_s(), asked_utc_s))):
            return Request(certificate_pem=material.certificate_pem)
        self._pending = pending = self._pending or Pending.make()
        return pending.request(material, nonce)

    def install(self, certificate_pem: bytes) -> tuple[Identity, Identity]:
        """Take the certificate for the key that waits; return the one before and the new one.

        Raises InvalidArgumentError and NotAllowedError for one that is not to be taken, StoreError where it cannot be written;
        the one in use stays in use then.
        """
        with self._lock:
            before, pending = self.material.identity, self._pending
            try:
                accept(certificate_pem, pending, self.material, SystemClock().utc_s())
                assert pending is not None  # noqa: S101 (accept looked)
                self._write(pending.key_pem, certificate_pem)
            except BosError as error:
                self.failure = error.message
                raise
            fresh = self._load(replace(self._places, revoked=None))
            self._take(replace(fresh, revocations=self.material.revocations))
            return before, self.material.identity

    def install_revocations(self, revoked_pem: bytes) -> tuple[int, int]:
        """Take a list of the revoked that is newer than the one in use; return the number of the one before and of that in use.

        Raises InvalidArgumentError for one that our authority did not sign or that is older, UnsupportedError where none is
        configured, StoreError where it cannot be written: it is in use all the same, and is written when it is brought again.
        """
        path = self._places.revoked
        if path is None:
            raise UnsupportedError("[security] revoked names no file, so no certificate is looked up: name one", field="revoked")
        with self._lock:
            before = self.material.revocations.number
            authorities = x509.load_pem_x509_certificates(self.material.ca_pem)
            brought = read_revocations(revoked_pem, authorities, "the list that was brought")
            if brought.number < before:
                raise InvalidArgumentError(f"list {brought.number} is older than {before}, which is in use", number=before)
            if brought.number > before:
                self._take(replace(self.material, revocations=brought))  # whatever the files are by now
                self._kept = False
            if not self._kept:
                try:
                    write_file(path, revoked_pem, 0o644)
                except OSError as error:
                    message = f"{path} cannot be written: {error.strerror}; list {brought.number} is in use until the next start"
                    raise StoreError(message, path=path) from None
                self._kept = True
            return before, brought.number

    def _write(self, key_pem: bytes, certificate_pem: bytes) -> None:
        try:
            exchange_pair(self._places, key_pem, certificate_pem)
        except OSError as error:
            raise StoreError(
                f"the new certificate cannot be written: {error.strerror} ({error.filename or self._places.certificate.parent}); "
                "the one in use stays",
                path=str(self._places.certificate),
            ) from None

    def _tell_days_left(self) -> None:
        utc_s, identity = SystemClock().utc_s(), self.material.identity
        if utc_s < identity.begins_utc_s:
            why = "not valid yet: is this machine's clock right?"
        elif identity.is_late(utc_s):
            why = f"renew it: `bosctl ca renew {identity.holder}`"
        else:
            return
        if abs(utc_s - self._told_utc_s) >= _TELL_PERIOD_S:
            self._told_utc_s = utc_s
            _log.warning("certificate_ends", who=identity.holder, days_left=round(identity.days_left(utc_s), 1), detail=why)

    def days_left(self) -> float:
        """Return the days until the own certificate ends, negative when it has."""
        return self.material.identity.days_left(SystemClock().utc_s())

    def ended(self) -> str:
        """Return that the own certificate has ended, and the remedy; empty while it lasts."""
        identity = self.material.identity
        if self.days_left() > 0.0:
            return ""
        ends = datetime.fromtimestamp(identity.ends_utc_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return f"this node's own certificate {identity.serial:x} ended at {ends}: `bosctl ca renew {identity.holder}`"

    def hashes(self) -> tuple[str, str]:
        """Return the start of the hashes of the authority's certificate and of the own key, for the local network: hints."""
        authority, own = (x509.load_pem_x509_certificate(pem) for pem in (self.material.ca_pem, self.material.certificate_pem))
        key = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return authority.fingerprint(SHA256()).hex()[:8], hashlib.sha256(key).hexdigest()[:16]

    def is_plain(self, address: str) -> bool:
        """Tell whether an address is listened on, or reached, without TLS."""
        if address.startswith(UNIX):
            return True
        return self._config.loopback_plain and is_loopback(address.rpartition(":")[0])

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials that demand a certificate of our authority, and follow what `look` finds."""
        news = Shown(self)
        fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", news)  # None is documented: unchanged
        return grpc.dynamic_ssl_server_credentials(news.configuration(), fetch, require_client_authentication=True)

    def dial(self, target: str, options: Sequence[tuple[str, int]], node: str | None = None) -> grpc.aio.Channel:
        """Return a channel to a node: `node`, or the one named in `peers`, else any of our authority."""
        if self.is_plain(target):
            return grpc.aio.insecure_channel(target, options=options)
        node = node or self._config.peers.get(target)
        return grpc.aio.secure_channel(
            target, channel_credentials(self.material), options=(*options, named(ANY_NODE if node is None else server_name(node)))
        )


class Shown:
    """What one listener shows; asked by threads of gRPC's at every new connection.

    It is told of another certificate once. gRPC takes whatever it is told into use and frees what it had, also while other new
    connections begin with that: told at each of them, a few hundred at the same time end the process.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._lock = threading.Lock()
        self._shown = keyring.material

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """Return what is shown."""
        return _configuration(self._shown)

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what is shown from now on; None where that is what was shown before."""
        with self._lock:
            material = self._keyring.material
            if _pems(material) == _pems(self._shown):
                return None
            self._shown = material
            return self.configuration()


def named(name: str) -> tuple[str, str]:
    """Return the option by which a channel demands a DNS name in the server's certificate."""
    return ("grpc.ssl_target_name_override", name)


def channel_credentials(material: Material) -> grpc.ChannelCredentials:
    """Return what a client shows and trusts."""
    return grpc.ssl_channel_credentials(material.ca_pem, material.key_pem, material.certificate_pem)


def _pems(material: Material) -> tuple[bytes, bytes, bytes]:
    return material.ca_pem, material.certificate_pem, material.key_pem


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(material.key_pem, material.certificate_pem)], material.ca_pem)
