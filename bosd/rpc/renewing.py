"""The node that holds the authority renews certificates: its own, and those of the nodes that it has links to.

A certificate is looked at once in `period_s` of its life, and at each new session. Nothing of it is in a session's path: a node
that does not answer costs its own deadline, and nobody else's.
"""

import asyncio
import secrets
from collections.abc import Awaitable

import structlog
from cryptography import x509

from bosd.clock import SystemClock
from bosd.errors import BosError, ConfigError, NotAllowedError, StoreError, UnavailableError
from bosd.node.audit import NODE as SELF
from bosd.node.audit import AuditLog
from bosd.node.faults import Faults
from bosd.pki.authority import Authority
from bosd.pki.identity import Identity
from bosd.pki.renewal import LONGEST_PERIOD_S, NONCE_BYTES, Approved, Request, approve, period_s, told_identity
from bosd.rpc.client import RemotePool
from bosd.rpc.node_errors import NodeErrors
from bosd.rpc.remote_node import RemoteNode
from bosd.rpc.revoking import LOOK_S, Revoker
from bosd.rpc.security_service import ACTION, told
from bosd.rpc.tls import Keyring
from bosd.v1 import security_pb2 as pb
from bosd.v1.security_pb2_grpc import SecurityServiceStub

NOT_RENEWED = "CERTIFICATE_NOT_RENEWED"
RETRY_S = 60.0
"""How soon a node is asked again that did not answer, or did not take its certificate; sooner where its life is short."""
_NODE = "node:"
_MOST_HANDED = 1024

_log = structlog.get_logger(__name__)


def open_authority(keyring: Keyring, authority: Authority) -> Authority:
    """Return an authority that this node trusts itself. Raises ConfigError for another one."""
    trusted = x509.load_pem_x509_certificates(keyring.material.ca_pem)
    if authority.certificate not in trusted:
        raise ConfigError(
            f"security.authority: the CA in {authority.directory} is not in security.ca: nobody here trusts what it signs",
            path=str(authority.directory),
        )
    return authority


class Renewer:
    """Asks, signs and brings; refusals are audited and raised as errors of the node they are of."""

    def __init__(self, authority: Authority, keyring: Keyring, pool: RemotePool, faults: Faults, audit: AuditLog) -> None:
        self._authority = authority
        self._keyring = keyring
        self._pool = pool
        self._errors = NodeErrors(faults, NOT_RENEWED)
        self._audit = audit
        self._clock = SystemClock()
        self._due_s: dict[str, float] = {}
        self._life_s: dict[str, float] = {}
        self._handed: dict[int, tuple[bytes, bytes]] = {}
        self._wake = asyncio.Event()
        self._revoker = Revoker(authority, keyring, pool, faults)

    def on_remote(self, event: str, remote: RemoteNode) -> None:
        """Hear of a node; one whose session is new is asked at once."""
        if event == "peer_ready":
            self._due_s.pop(remote.target, None)
            self._wake.set()

    async def run(self) -> None:
        """Renew what is due and bring what is revoked, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._revoker.run(), name="revocations")
            group.create_task(self._forget_gone(), name="forget nodes")
            await self._renew_due()

    async def _forget_gone(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._errors.clear_gone(self._pool.remotes)

    async def _renew_due(self) -> None:
        while True:
            self._wake.clear()
            await self._look()
            due_s = min(self._due_s.values(), default=self._clock.now_s() + LONGEST_PERIOD_S)
            try:
                async with asyncio.timeout(max(0.0, due_s - self._clock.now_s())):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _look(self) -> None:
        """Look at all that is due, each at the same time."""
        now_s, remotes = self._clock.now_s(), dict(self._pool.remotes)
        for gone in self._due_s.keys() - remotes.keys() - {""}:
            self._due_s.pop(gone)
            self._life_s.pop(gone, None)
        async with asyncio.TaskGroup() as group:
            if self._due_s.get("", 0.0) <= now_s:
                group.create_task(self._attend("", self._pool.node, self._renew_own()), name="renew own certificate")
            for target, remote in remotes.items():
                if self._due_s.get(target, 0.0) <= now_s:
                    asking = self._attend(target, remote.node or target, self._renew(remote))
                    group.create_task(asking, name=f"renew {target}")

    async def _attend(self, key: str, node: str, renewing: Awaitable[float]) -> None:
        """Run one renewal, and say when the next one is due."""
        try:
            life_s = await renewing
        except UnavailableError:
            wait_s = self._retry_s(key)  # that it is away is an error of its own
        except BosError as error:
            wait_s = self._retry_s(key)
            if error.metadata.get("grpc_code") == "UNIMPLEMENTED":
                wait_s = LONGEST_PERIOD_S  # it has no [security], or is older than this
            else:
                self._failed(key, node, error)
        else:
            self._errors.clear(key)
            wait_s = period_s(life_s)
        self._due_s[key] = self._clock.now_s() + wait_s

    def _retry_s(self, key: str) -> float:
        return min(RETRY_S, period_s(self._life_s.get(key, self._keyring.material.identity.life_s)))

    def _failed(self, key: str, node: str, error: BosError) -> None:
        self._errors.raise_(key, node, error.message)
        self._audit.refused(ACTION, error, who=f"{_NODE}{node}")

    async def _renew_own(self) -> float:
        nonce = secrets.token_bytes(NONCE_BYTES)
        certificate_pem = await self._signed(self._keyring.request(nonce, self._clock.utc_s()), nonce, self._pool.node)
        if certificate_pem:
            before, after = await asyncio.to_thread(self._keyring.install, certificate_pem)
            self._audit.note(ACTION, who=SELF, comment="renewed", before=told(before), after=told(after))
        return self._keyring.material.identity.life_s

    async def _renew(self, remote: RemoteNode) -> float:
        """Renew the certificate of a node if it is due; return its life."""
        nonce, call_s = secrets.token_bytes(NONCE_BYTES), self._pool.timers.call_s
        asked = pb.CertificateRequestRequest(nonce=nonce, asked_at=self._clock.utc_s())
        answer = await remote.over(
            lambda channel: SecurityServiceStub(channel).CertificateRequest(asked, timeout=call_s, metadata=remote.metadata)
        )
        request = Request(
            certificate_pem=answer.certificate_pem,
            signing_request_der=answer.signing_request_der,
            signature=answer.signature,
        )
        self._life_s[remote.target] = life_s = told_identity(request).life_s
        if certificate_pem := await self._signed(request, nonce, remote.node):
            brought = pb.InstallCertificateRequest(certificate_pem=certificate_pem)
            taken = await remote.over(
                lambda channel: SecurityServiceStub(channel).InstallCertificate(brought, timeout=call_s, metadata=remote.metadata)
            )
            _log.info("certificate_renewed", node=remote.node, serial=taken.serial)
        return life_s

    async def _signed(self, request: Request, nonce: bytes, node: str) -> bytes:
        """Return the certificate for a request; empty where none is due. Raises BosError leaves."""
        if not request.signing_request_der:
            return b""
        revoked = await asyncio.to_thread(lambda: self._authority.revocations)
        utc_s = self._clock.utc_s()
        approved = approve(request, nonce, self._authority.certificate, revoked, utc_s)
        identity = approved.identity
        if identity.name != node:
            raise NotAllowedError(f"{node} shows the certificate of {identity.holder}", who=identity.holder)
        if not identity.is_late(utc_s):
            return b""  # its clock is ahead of this one
        return await self._handed_out(identity, approved, utc_s)

    async def _handed_out(self, identity: Identity, approved: Approved, utc_s: float) -> bytes:
        """Sign, or return what was signed for the same request: an answer that is lost makes no second certificate."""
        known = self._handed.get(identity.serial)
        if known is not None and known[0] == approved.signing_request_der:
            return known[1]
        try:
            certificate_pem = await asyncio.to_thread(self._authority.renew, approved, utc_s)
        except OSError as error:
            raise StoreError(
                f"the certificate of {identity.holder} cannot be kept in {self._authority.directory}: {error.strerror}"
            ) from None
        while len(self._handed) >= _MOST_HANDED:
            self._handed.pop(next(iter(self._handed)))
        self._handed[identity.serial] = (approved.signing_request_der, certificate_pem)
        fresh = told_identity(Request(certificate_pem=certificate_pem))
        self._audit.note(ACTION, who=SELF, comment="issued", before=told(identity), after=told(fresh))
        return certificate_pem
