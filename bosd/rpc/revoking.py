"""The node that holds the authority brings the list of the revoked to the nodes it has links to, and takes it itself.

The list is signed and has a number, so a node takes none but a newer one of its own authority, whoever brings it.
"""

import asyncio

import structlog

from bosd.errors import BosError, UnavailableError
from bosd.node.faults import Faults
from bosd.pki.authority import Authority
from bosd.rpc.client import RemotePool
from bosd.rpc.node_errors import SELF, NodeErrors
from bosd.rpc.remote_node import RemoteNode
from bosd.rpc.tls import Keyring
from bosd.v1 import security_pb2 as pb
from bosd.v1.security_pb2_grpc import SecurityServiceStub

NOT_TAKEN = "REVOCATIONS_NOT_TAKEN"
LOOK_S = 1.0
RETRY_S = 60.0
"""How soon a node is asked again that refused the list."""

_log = structlog.get_logger(__name__)


class Revoker:
    """Looks at the authority's list each second, and at who has it not."""

    def __init__(self, authority: Authority, keyring: Keyring, pool: RemotePool, faults: Faults) -> None:
        self._authority = authority
        self._keyring = keyring
        self._pool = pool
        self._errors = NodeErrors(faults, NOT_TAKEN)
        self._has: dict[str, tuple[str, bytes]] = {}
        self._again_s: dict[str, float] = {}

    async def run(self) -> None:
        """Bring it, until cancelled."""
        revoked_pem = b""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                revoked_pem = await asyncio.to_thread(lambda: self._authority.revoked_pem)
                if self._has.get("") != ("", revoked_pem):
                    await asyncio.to_thread(self._keyring.install_revocations, revoked_pem)
                    self._has[""] = ("", revoked_pem)
                self._errors.clear(SELF)
            except BosError as error:
                self._errors.raise_(SELF, self._pool.node, error.message)
            self._errors.clear_gone(self._pool.remotes)
            async with asyncio.TaskGroup() as group:
                for target, remote in dict(self._pool.remotes).items():
                    if self._is_due(target, remote, revoked_pem):
                        group.create_task(self._bring(target, remote, revoked_pem), name=f"revocations {target}")

    def _is_due(self, target: str, remote: RemoteNode, revoked_pem: bytes) -> bool:
        state, now_s = remote.session.state, self._pool.session_clock.now_s()
        known = self._has.get(target) == (state.boot_id, revoked_pem)
        return bool(revoked_pem) and state.ready and not known and now_s >= self._again_s.get(target, 0.0)

    async def _bring(self, target: str, remote: RemoteNode, revoked_pem: bytes) -> None:
        boot_id, call_s = remote.session.state.boot_id, self._pool.timers.call_s
        brought = pb.InstallRevocationsRequest(revoked_pem=revoked_pem)
        try:
            taken = await remote.over(
                lambda channel: SecurityServiceStub(channel).InstallRevocations(brought, timeout=call_s, metadata=remote.metadata)
            )
        except UnavailableError:
            return  # that it is away is an error of its own
        except BosError as error:
            self._again_s[target] = self._pool.session_clock.now_s() + RETRY_S
            if error.metadata.get("grpc_code") != "UNIMPLEMENTED":  # it has no [security]
                self._errors.raise_(target, remote.node or target, error.message)
            return
        self._has[target] = (boot_id, revoked_pem)
        self._again_s.pop(target, None)
        self._errors.clear(target)
        _log.info("revocations_brought", node=remote.node, number=taken.number)
