"""The client of the external EEBUS service: configures it, hears it, and comes back whenever it was lost."""

import asyncio
import contextlib
from typing import Any

import grpc
import structlog

from bosd.limits.lpc.binary import Binary
from bosd.limits.lpc.calls import CallFailed, Lost, call, connected
from bosd.limits.lpc.events import Events
from bosd.limits.lpc.lpc import Lpc
from bosd.limits.lpc.startup import NotInSetup, add_use_case, configure, entity, push, set_up, tolerated, use_case_message
from bosd.limits.pb import control_service_messages_pb2 as pb
from bosd.limits.pb import cs_lpc_pb2 as lpc_pb
from bosd.limits.pb.control_service_pb2_grpc import ControlServiceStub
from bosd.limits.pb.cs_lpc_pb2_grpc import ControllableSystemLPCControlStub

_log = structlog.get_logger("eebus")


class Client:
    """Keeps one connection; `binary` is the service's process where this daemon runs it."""

    def __init__(self, lpc: Lpc, binary: Binary | None = None) -> None:
        self._lpc = lpc
        self._keys = lpc.config.keys
        self._deadline_s = lpc.config.keys.call_deadline_s
        self._binary = binary
        self._target = f"localhost:{self._keys.grpc_port}"
        self._added = ""
        self._asked = ""
        self._failure = ""

    async def run(self) -> None:
        """Connect, and again `reconnect_delay_s` after each loss, for ever. The machine goes on all the time."""
        while True:
            try:
                await self._connection()
            except* Lost as losses:
                self._lost(_first(losses))
            await asyncio.sleep(self._keys.reconnect_delay_s)

    def _lost(self, loss: Lost) -> None:
        why = loss.message
        if self._lpc.connected:
            self._lpc.count("losses")
            _log.warning("eebus_lost", detail=why)
        elif why != self._failure:
            _log.warning("eebus_not_connected", detail=why, again_in_s=self._keys.reconnect_delay_s)
        self._failure = why
        self._lpc.set_connection(connected=False, why=why)

    async def _connection(self) -> None:
        """Configure the service and hear it to its end, which is a Lost, alone or in a group."""
        async with connected(self._target, self._deadline_s, patient=self._binary is not None) as channel:
            control = ControlServiceStub(channel)
            endpoint, starts = await self._set_up(control)
            async with connected(endpoint, self._deadline_s, patient=False) as its_channel:
                service = ControllableSystemLPCControlStub(its_channel)
                await push(service, self._lpc, self._deadline_s)
                async with asyncio.TaskGroup() as group:
                    await self._hear(control, service, group, endpoint if starts else "")

    async def _hear(self, control: Any, service: Any, group: asyncio.TaskGroup, starts_at: str) -> None:  # noqa: ANN401
        """Subscribe, then start the service (at `starts_at`, empty where it runs already), so that no event is missed."""
        lpc = self._lpc
        events = Events(control, service, lpc, group)
        request = pb.SubscribeUseCaseEventsRequest(entity_address=entity(), use_case=use_case_message(lpc.use_case))
        use_cases = control.SubscribeUseCaseEvents(request)
        events.begin(use_cases, control.SubscribeDiscoveryEvents(pb.SubscribeDiscoveryEventsRequest()))
        if starts_at:
            await self._start(control, starts_at)
            lpc.remember(starts_at)
        await tolerated(service.StartHeartbeat, lpc_pb.StartHeartbeatRequest(), self._deadline_s)
        events.started.set()
        lpc.count("connections")
        _log.info("eebus_connected", target=self._target)
        self._failure = ""
        lpc.set_connection(connected=True, why="")

    async def _start(self, control: Any, endpoint: str) -> None:  # noqa: ANN401
        """Start the service. Raises CallFailed; not where one that was asked before, and did not answer, refuses: it runs."""
        asked_before, self._asked = self._asked == endpoint, endpoint
        try:
            await call(control.StartService, pb.EmptyRequest(), self._deadline_s, "StartService")
        except CallFailed as error:
            if not asked_before or error.code is not grpc.StatusCode.UNKNOWN:
                raise
            _log.info("eebus_started_before", detail=error.message)

    async def _set_up(self, control: Any) -> tuple[str, bool]:  # noqa: ANN401 (generated stubs ship no types)
        """Return where the use case is served, and whether the service still has to be started. Raises Lost."""
        try:
            await configure(control, self._lpc.config)
        except NotInSetup as error:
            if not await self._reset(control):
                return await self._join(control, error)
            await configure(control, self._lpc.config)
        self._added = self._asked = ""
        self._lpc.remember("")
        await set_up(control, self._deadline_s)
        self._added = await add_use_case(control, self._lpc.config.skis, self._lpc.use_case, self._deadline_s)
        return self._added, True

    async def _reset(self, control: Any) -> bool:  # noqa: ANN401
        """Ask a service that was configured already to begin anew; return whether it does."""
        try:
            await call(control.ResetService, pb.EmptyRequest(), self._deadline_s, "ResetService")
        except CallFailed as error:
            _log.info("eebus_no_reset", detail=error.message)
            return False
        _log.info("eebus_reset")
        return True

    async def _join(self, control: Any, error: NotInSetup) -> tuple[str, bool]:  # noqa: ANN401
        """Go on with a service that cannot be configured again. Raises Lost."""
        if self._binary is not None:
            await self._binary.restart()
            raise Lost("the service would not be configured again, and was restarted")
        if endpoint := self._lpc.endpoint:
            _log.info("eebus_joined", endpoint=endpoint)
            return endpoint, False
        if not self._added:
            with contextlib.suppress(CallFailed):  # one that was set up and has no use case yet takes it
                self._added = await add_use_case(control, self._lpc.config.skis, self._lpc.use_case, self._deadline_s)
        if self._added:
            return self._added, True
        raise Lost(
            f"the service at {self._target} was configured by somebody else, and where it serves the use case is not known: "
            f"restart it ({error.message})"
        )


def _first(losses: BaseExceptionGroup[Lost]) -> Lost:
    """Return one loss of a group of groups."""
    found: BaseException = losses
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, Lost)  # noqa: S101 (nothing else is in it)
    return found
