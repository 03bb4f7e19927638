"""How a command fails: one exception, four exit statuses, and what gRPC said turned into it."""

import enum
from collections.abc import Mapping

import grpc


class ExitStatus(enum.IntEnum):
    """What the shell sees."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


class Failure(Exception):  # noqa: N818 (it ends a command, it is no programming error)
    """A command that could not be done; `reason` is a word of the daemon's error table."""

    def __init__(self, status: ExitStatus, reason: str, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})


_NOT_REACHED = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})
_PASSING = frozenset({"UNAVAILABLE", "SHUTTING_DOWN", "STORE_FAILED", "DRIVER_ERROR"})


def from_rpc(error: grpc.RpcError, target: str, deadline_s: float | None = None) -> Failure:
    """Return the failure a call ended with: the daemon's own refusal where it sent one, else what gRPC's code says."""
    from bosd.rpc.status import from_rpc_error  # noqa: PLC0415 (only a refused call needs it)

    told = from_rpc_error(error)  # type: ignore[arg-type]  # it reads what both kinds of call have
    code = told.metadata.pop("grpc_code", None)
    if code is None:
        return Failure(ExitStatus.REFUSED, told.reason, told.message, told.metadata)
    if code == "DEADLINE_EXCEEDED":
        waited = f" within {deadline_s:g} s" if deadline_s else " in time"
        return Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", f"{target} did not answer{waited}", {"target": target})
    if code in _NOT_REACHED:
        message = f"cannot reach {target}: {_first_cause(told.message)}"
        return Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", message, {"target": target})
    if code == "UNIMPLEMENTED":
        message = f"the daemon at {target} does not know this call: {told.message}"
        return Failure(ExitStatus.REFUSED, "UNSUPPORTED", message, {"target": target})
    return Failure(ExitStatus.REFUSED, told.reason, told.message, {"code": code})


def is_passing(failure: Failure) -> bool:
    """Tell whether trying again later may work without anyone changing the request."""
    return failure.status is ExitStatus.UNREACHABLE or failure.reason in _PASSING


def _first_cause(details: str) -> str:
    """Return the useful end of gRPC's message, such as `Connection refused`."""
    text = details.rstrip(". ")
    for marker in (
        "Connection refused",
        "Connection reset by peer",
        "No such file or directory",
        "Permission denied",
        "No route to host",
    ):
        if marker.lower() in text.lower():
            return marker.lower()
    if "DNS" in text or "name resolution" in text.lower():
        return "the name does not resolve"
    return text or "no connection"
