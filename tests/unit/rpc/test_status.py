"""The error table."""

from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from bosd import errors
from bosd.errors import BosError
from bosd.rpc.status import CODES, abort, code_of, from_rpc_error

ABSTRACT = (errors.RequestError, errors.TransientError)

# bal.md, "Errors and their gRPC status codes"; STORE_FAILED is a daemon that cannot do it now.
TABLE = {
    "BAD_NAME": "NOT_FOUND",
    "NAME_TAKEN": "ALREADY_EXISTS",
    "INVALID_ARGUMENT": "INVALID_ARGUMENT",
    "CURRENT_OUT_OF_RANGE": "OUT_OF_RANGE",
    "NO_RESOURCES": "RESOURCE_EXHAUSTED",
    "BATTERY_IN_USE": "FAILED_PRECONDITION",
    "CLAIMED": "FAILED_PRECONDITION",
    "STOPPED": "FAILED_PRECONDITION",
    "CYCLE": "FAILED_PRECONDITION",
    "VOLTAGE_MISMATCH": "FAILED_PRECONDITION",
    "UNSUPPORTED": "FAILED_PRECONDITION",
    "STALE_REVISION": "ABORTED",
    "FENCED": "ABORTED",
    "UNAVAILABLE": "UNAVAILABLE",
    "SHUTTING_DOWN": "UNAVAILABLE",
    "STORE_FAILED": "UNAVAILABLE",
    "DRIVER_ERROR": "INTERNAL",
    "NOT_FOLLOWED": "INTERNAL",
    "NOT_ALLOWED": "PERMISSION_DENIED",
    "UNAUTHENTICATED": "UNAUTHENTICATED",
}


def tree(kind: type[BosError]) -> Iterator[type[BosError]]:
    """Yield all classes below `kind` that the error tree itself defines."""
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from tree(child)


LEAVES = [kind for kind in tree(BosError) if kind not in ABSTRACT]


class _Aborted(Exception):  # noqa: N818 (what a context raises)
    pass


class _Context:
    """Records how a call was ended, as grpc.aio's context would send it."""

    def __init__(self) -> None:
        self.error: grpc.aio.AioRpcError | None = None

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: tuple[tuple[str, bytes], ...] = ()
    ) -> None:
        trailing = grpc.aio.Metadata(*trailing_metadata)
        self.error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details, None)
        raise _Aborted


async def sent(error: BosError) -> grpc.aio.AioRpcError:
    """Return what a client sees of `error`."""
    context = _Context()
    with pytest.raises(_Aborted):
        await abort(context, error)  # type: ignore[arg-type]
    assert context.error is not None
    return context.error


@pytest.mark.parametrize("kind", LEAVES)
def test_every_leaf_has_the_code_of_the_table(kind: type[BosError]) -> None:
    """The table is total, and says what the page says."""
    assert kind in CODES
    assert code_of(kind("x")).name == TABLE[kind.reason]


@pytest.mark.parametrize("kind", LEAVES)
async def test_reversible(kind: type[BosError]) -> None:
    """What one node raises another one raises: class, message and data (a ConfigError as the InvalidArgumentError it is)."""
    back = from_rpc_error(await sent(kind("too much", asked_a=3.5, names="a,b")))
    assert issubclass(kind, type(back))
    assert back.reason == kind.reason
    assert back.message == "too much"
    assert back.metadata == {"asked_a": "3.5", "names": "a,b"}


async def test_what_a_node_beyond_could_not_reach_is_no_lost_connection_to_the_node() -> None:
    """A relay passes on that its own call did not arrive: who asked the relay was answered, and is told so."""
    broken = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "refused", None)
    at_relay = from_rpc_error(broken)
    assert at_relay.metadata == {"grpc_code": "UNAVAILABLE"}
    assert from_rpc_error(await sent(at_relay)).metadata == {}


async def test_details_that_do_not_fit_a_header_are_cut() -> None:
    """A thousand names do not turn a refusal into a broken call: gRPC peers take 8 KiB of headers by default."""
    error = await sent(errors.UnsupportedError("x" * 5000, members="m" * 50_000, more="y" * 100))
    trailing: Any = error.trailing_metadata()
    size = len(trailing["grpc-status-details-bin"])
    assert size * 4 / 3 + len(error.details() or "") < 8192  # base64 in HTTP/2
    back = from_rpc_error(error)
    assert back.metadata["members"].endswith("…")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.UnavailableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.UnavailableError),
        (grpc.StatusCode.CANCELLED, errors.UnavailableError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.NoResourcesError),
        (grpc.StatusCode.UNIMPLEMENTED, errors.DriverError),
        (grpc.StatusCode.UNKNOWN, errors.DriverError),
        (grpc.StatusCode.INTERNAL, errors.DriverError),
    ],
)
def test_a_status_without_our_details(code: grpc.StatusCode, kind: type[BosError]) -> None:
    """What gRPC itself or a stranger says becomes an error of ours too."""
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "said so", None)
    assert type(from_rpc_error(error)) is kind


@pytest.mark.parametrize("garbage", [b"", b"\xff\xff\xff", b"\x08\x05\x12\x01x"])
def test_garbage_details(garbage: bytes) -> None:
    """Details that cannot be read count as none."""
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", garbage))
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), trailing, "x", None)
    assert type(from_rpc_error(error)) is errors.UnavailableError
