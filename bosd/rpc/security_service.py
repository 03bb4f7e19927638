"""SecurityService: what the node with the authority asks and brings, to this node's keyring, and recorded."""

import asyncio

from bosd.errors import InvalidArgumentError
from bosd.node.audit import AuditLog
from bosd.pki.identity import Identity
from bosd.pki.renewal import MAX_BYTES, NONCE_BYTES
from bosd.rpc.edge import Context, Edge, holder_of, need_finite
from bosd.rpc.tls import Keyring
from bosd.v1 import security_pb2 as pb
from bosd.v1.security_pb2_grpc import SecurityServiceServicer

ACTION = "certificate"
MAX_LIST_BYTES = 512 * 1024
"""About ten thousand revoked certificates."""


def told(identity: Identity) -> dict[str, object]:
    """Return what the audit says of a certificate: whose, which and until when."""
    return {"who": identity.holder, "serial": f"{identity.serial:x}", "ends_utc_s": identity.ends_utc_s}


class SecurityService(SecurityServiceServicer):
    """The certificate of one node."""

    def __init__(self, keyring: Keyring, edge: Edge, audit: AuditLog | None) -> None:
        self._keyring = keyring
        self._edge = edge
        self._audit = audit
        self._asked = b""

    async def CertificateRequest(  # noqa: D102, N802
        self, request: pb.CertificateRequestRequest, context: Context
    ) -> pb.CertificateRequestResponse:
        return await self._edge.answer(context, self._certificate_request(request, context), (ACTION, ()))

    async def _certificate_request(
        self, request: pb.CertificateRequestRequest, context: Context
    ) -> pb.CertificateRequestResponse:
        if len(request.nonce) != NONCE_BYTES:
            raise InvalidArgumentError(f"nonce has {len(request.nonce)} bytes, expected {NONCE_BYTES}", field="nonce")
        identity = self._keyring.material.identity
        made = self._keyring.request(request.nonce, need_finite(request.asked_at, "asked_at"))
        if made.signing_request_der and made.signing_request_der != self._asked:
            self._asked = made.signing_request_der
            self._note(holder_of(context), "asked for the next one", before=told(identity))
        return pb.CertificateRequestResponse(
            certificate_pem=made.certificate_pem, signing_request_der=made.signing_request_der, signature=made.signature
        )

    async def InstallCertificate(  # noqa: D102, N802
        self, request: pb.InstallCertificateRequest, context: Context
    ) -> pb.InstallCertificateResponse:
        return await self._edge.answer(context, self._install(request, context), (ACTION, ()))

    async def _install(self, request: pb.InstallCertificateRequest, context: Context) -> pb.InstallCertificateResponse:
        who = holder_of(context)
        if len(request.certificate_pem) > MAX_BYTES:
            raise InvalidArgumentError(f"certificate_pem has more than {MAX_BYTES} bytes", field="certificate_pem")
        before, after = await asyncio.to_thread(self._keyring.install, request.certificate_pem)
        self._note(who, "renewed", before=told(before), after=told(after))
        return pb.InstallCertificateResponse(serial=f"{after.serial:x}", ends_at=after.ends_utc_s)

    async def InstallRevocations(  # noqa: D102, N802
        self, request: pb.InstallRevocationsRequest, context: Context
    ) -> pb.InstallRevocationsResponse:
        return await self._edge.answer(context, self._install_revocations(request, context), (ACTION, ()))

    async def _install_revocations(
        self, request: pb.InstallRevocationsRequest, context: Context
    ) -> pb.InstallRevocationsResponse:
        who = holder_of(context)
        if len(request.revoked_pem) > MAX_LIST_BYTES:
            raise InvalidArgumentError(f"revoked_pem has more than {MAX_LIST_BYTES} bytes", field="revoked_pem")
        before, number = await asyncio.to_thread(self._keyring.install_revocations, request.revoked_pem)
        if number != before:
            self._note(who, "revocations", before={"number": before}, after={"number": number})
        return pb.InstallRevocationsResponse(number=number)

    def _note(self, who: str, comment: str, **facts: dict[str, object]) -> None:
        if self._audit is not None:
            self._audit.note(ACTION, who=who, comment=comment, before=facts.get("before"), after=facts.get("after"))
