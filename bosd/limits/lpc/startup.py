"""The service's configuration, call by call: each once, in this order, one at a time (eebus.md 3)."""

import math
from collections.abc import Sequence
from typing import Any

import structlog

from bosd.config.eebus import EebusConfig
from bosd.limits.lpc.calls import CallFailed, Lost, call
from bosd.limits.lpc.judging import WrittenLimit
from bosd.limits.lpc.lpc import Lpc
from bosd.limits.lpc.use_case import UseCase
from bosd.limits.pb import common_types_pb2 as common
from bosd.limits.pb import control_service_messages_pb2 as pb
from bosd.limits.pb import control_service_types_pb2 as types
from bosd.limits.pb import cs_lpc_pb2 as lpc_pb

NOT_IN_SETUP = "setup state"
"""What a service that was configured already says (eebus.md 6.1, item 2); plain errors have no code of their own."""

_log = structlog.get_logger("eebus")


def entity() -> common.EntityAddress:
    """Return our entity: always the first."""
    return common.EntityAddress(entity_address=[1])


def use_case_message(use_case: UseCase) -> types.UseCase:
    """Return a use case as the wire has it, with us as the controllable system."""
    found = types.UseCase(actor=types.UseCase.ActorType.Enum.ControllableSystem)
    found.name = use_case.number  # type: ignore[assignment]  # a number of the enumeration
    return found


def load_limit(limit: WrittenLimit) -> common.LoadLimit:
    """Return a limit as the wire has it; the peer may change it."""
    return common.LoadLimit(
        duration_nanoseconds=limit.duration_ns, is_changeable=True, is_active=limit.active, value=limit.value_w
    )


def written_limit(message: common.LoadLimit) -> WrittenLimit:
    """Return a limit as it was written."""
    return WrittenLimit(
        active=message.is_active,
        value_w=message.value,
        duration_ns=message.duration_nanoseconds,
        delete_duration=message.delete_duration,
    )


class NotInSetup(Lost):
    """The service is alive, and configured already."""


async def configure(control: Any, config: EebusConfig) -> None:  # noqa: ANN401 (generated stubs ship no types)
    """Tell the service who we are. Raises NotInSetup or CallFailed."""
    keys = config.keys
    request = pb.SetConfigRequest(
        port=keys.eebus_service_port,
        vendor_code=keys.vendor_code,
        device_brand=keys.device_brand,
        device_model=keys.device_model,
        serial_number=keys.serial_number,
        heartbeat_timeout_seconds=max(1, math.ceil(keys.announced_heartbeat_s)),
    )
    request.device_categories.extend(keys.eebus_device_categories)  # type: ignore[arg-type]  # numbers of the enumeration
    request.device_type = keys.eebus_device_type  # type: ignore[assignment]
    request.entity_types.extend(keys.eebus_entity_types)  # type: ignore[arg-type]
    try:
        await call(control.SetConfig, request, keys.call_deadline_s)
    except CallFailed as error:
        if NOT_IN_SETUP in error.details.lower():
            raise NotInSetup(error.details) from None
        raise


async def set_up(control: Any, deadline_s: float) -> None:  # noqa: ANN401
    """Set the service up; a failure is said, and shows itself in what follows."""
    await tolerated(control.StartSetup, pb.EmptyRequest(), deadline_s, "StartSetup")


async def add_use_case(control: Any, skis: Sequence[str], use_case: UseCase, deadline_s: float) -> str:  # noqa: ANN401
    """Let the peers in, and return where the service, set up, serves the use case. Raises Lost."""
    for ski in skis:
        await tolerated(control.RegisterRemoteSki, pb.RegisterRemoteSkiRequest(remote_ski=ski), deadline_s)
    request = pb.AddUseCaseRequest(entity_address=entity(), use_case=use_case_message(use_case))
    answer = await call(control.AddUseCase, request, deadline_s)
    if not answer.endpoint:
        raise Lost("AddUseCase: the service names no endpoint")
    return str(answer.endpoint)


async def push(service: Any, lpc: Lpc, deadline_s: float) -> None:  # noqa: ANN401
    """Show the peer the values in force; what fails is said, and the rest goes on."""
    limit, failsafe_w, duration_ns = lpc.values()
    nominal_w = lpc.config.keys.max_nominal_power_W
    await tolerated(service.SetConsumptionNominalMax, lpc_pb.SetConsumptionNominalMaxRequest(value=nominal_w), deadline_s)
    request = lpc_pb.SetConsumptionLimitRequest(load_limit=load_limit(limit))
    await tolerated(service.SetConsumptionLimit, request, deadline_s)
    power = lpc_pb.SetFailsafeConsumptionActivePowerLimitRequest(value=failsafe_w, is_changeable=True)
    await tolerated(service.SetFailsafeConsumptionActivePowerLimit, power, deadline_s)
    duration = lpc_pb.SetFailsafeDurationMinimumRequest(duration_nanoseconds=duration_ns, is_changeable=True)
    await tolerated(service.SetFailsafeDurationMinimum, duration, deadline_s)


async def tolerated(method: Any, request: Any, deadline_s: float, name: str = "") -> bool:  # noqa: ANN401
    """Call; a failure is said, and nothing else follows from it. Return whether it was done."""
    try:
        await call(method, request, deadline_s, name)
    except CallFailed as error:
        _log.warning("eebus_call_failed", detail=error.message)
        return False
    return True
