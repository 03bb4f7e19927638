"""Errors as gRPC statuses and back: one table, both ways.

A refused call ends with the code of the table and `google.rpc.ErrorInfo` (reason, domain, metadata) in a `google.rpc.Status`
under the trailing metadata key that grpcio-status reads.
"""

from collections.abc import Iterable
from typing import NoReturn

import grpc
import grpc.aio

from bosd import errors
from bosd.errors import BosError

DOMAIN = "bosd"
_DETAILS_KEY = "grpc-status-details-bin"
_MAX_MESSAGE = 1000
_MAX_METADATA = 2500
_NO_ANSWER = "no answer within the deadline"

CODES: dict[type[BosError], grpc.StatusCode] = {
    errors.BadNameError: grpc.StatusCode.NOT_FOUND,
    errors.NameTakenError: grpc.StatusCode.ALREADY_EXISTS,
    errors.InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ConfigError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.CurrentOutOfRangeError: grpc.StatusCode.OUT_OF_RANGE,
    errors.NoResourcesError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.BatteryInUseError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ClaimedError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StoppedError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.CycleError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.VoltageMismatchError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UnsupportedError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StaleRevisionError: grpc.StatusCode.ABORTED,
    errors.FencedError: grpc.StatusCode.ABORTED,
    errors.NotAllowedError: grpc.StatusCode.PERMISSION_DENIED,
    errors.UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    errors.UnavailableError: grpc.StatusCode.UNAVAILABLE,
    errors.ShuttingDownError: grpc.StatusCode.UNAVAILABLE,
    errors.StoreError: grpc.StatusCode.UNAVAILABLE,
    errors.InDoubtError: grpc.StatusCode.UNAVAILABLE,
    errors.DriverError: grpc.StatusCode.INTERNAL,
    errors.NotFollowedError: grpc.StatusCode.INTERNAL,
}

# The first class of a reason stands for it: a ConfigError comes back as the InvalidArgumentError that it is.
_BY_REASON: dict[str, type[BosError]] = {}
for _kind in CODES:
    _BY_REASON.setdefault(_kind.reason, _kind)

# What a status without ErrorInfo means: gRPC itself, a proxy or a stranger said it.
_BY_CODE: dict[grpc.StatusCode, type[BosError]] = {
    grpc.StatusCode.CANCELLED: errors.UnavailableError,
    grpc.StatusCode.UNAVAILABLE: errors.UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.UnavailableError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.NoResourcesError,
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgumentError,
    grpc.StatusCode.PERMISSION_DENIED: errors.NotAllowedError,
    grpc.StatusCode.UNAUTHENTICATED: errors.UnauthenticatedError,
}


def code_of(error: BosError) -> grpc.StatusCode:
    """Return the gRPC code of a refusal; INTERNAL for a class that is not a leaf of the tree."""
    return CODES.get(type(error), grpc.StatusCode.INTERNAL)


async def abort(
    context: grpc.aio.ServicerContext[object, object], error: BosError, code: grpc.StatusCode | None = None
) -> NoReturn:
    """End a call with the status of `error`. Messages and metadata are cut to what a header block carries."""
    from google.rpc import error_details_pb2, status_pb2  # noqa: PLC0415 (only refusals need it; a cold start does not pay)

    code = code or code_of(error)
    message = error.message[:_MAX_MESSAGE]
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=_bounded(error.metadata))
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.add().Pack(info)
    await context.abort(code, message, ((_DETAILS_KEY, status.SerializeToString()),))


def from_rpc_error(error: grpc.aio.AioRpcError) -> BosError:
    """Return the error a remote raised, or the one that fits what gRPC says where the remote says nothing."""
    trailing: Iterable[tuple[str, str | bytes]] = tuple(error.trailing_metadata() or ())
    for key, value in trailing:
        if key == _DETAILS_KEY and isinstance(value, bytes) and (told := _unpack(value)) is not None:
            return told
    kind = _BY_CODE.get(error.code(), errors.DriverError)
    details = error.details() or ""
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        details = _NO_ANSWER
    return kind(details or error.code().name, grpc_code=error.code().name)


def cause_in(details: str) -> str:
    """Return the useful end of gRPC's account of a failed connection, such as `connection refused`; else all of it."""
    return details.rpartition(": ")[2].lower() if "last error: " in details else details


def _unpack(value: bytes) -> BosError | None:
    from google.protobuf.message import DecodeError  # noqa: PLC0415 (see abort)
    from google.rpc import error_details_pb2, status_pb2  # noqa: PLC0415

    info = error_details_pb2.ErrorInfo()
    try:
        status = status_pb2.Status.FromString(value)
        if not any(detail.Unpack(info) for detail in status.details):
            return None
    except DecodeError:
        return None
    kind = _BY_REASON.get(info.reason) if info.domain == DOMAIN else None
    about = {key: text for key, text in info.metadata.items() if key != "grpc_code"}  # that is of a connection beyond the remote
    return None if kind is None else kind(status.message, **about)


def _bounded(metadata: dict[str, str]) -> dict[str, str]:
    """Cut values so that all together fit; a cut value ends with an ellipsis."""
    room = _MAX_METADATA
    kept: dict[str, str] = {}
    for key, value in metadata.items():
        room -= len(key)
        if room <= 0:
            break
        kept[key] = value if len(value) <= room else value[: room - 1] + "…"
        room -= len(kept[key])
    return kept
