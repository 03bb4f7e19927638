"""Requests that are no protobuf message of their type end with INVALID_ARGUMENT.

grpcio answers UNKNOWN to whatever a deserializer raises, before any handler runs. So those here raise nothing: they return a
`Malformed` in place of a request, and the handler that gets it ends the call.
"""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from bosd.errors import InvalidArgumentError
from bosd.rpc.status import abort


class Malformed:
    """Stands for a request that could not be read: `size` bytes that are no `type_name`."""

    __slots__ = ("_size", "_type_name")

    def __init__(self, type_name: str, size: int) -> None:
        self._type_name, self._size = type_name, size

    def error(self) -> InvalidArgumentError:
        """Return what the call ends with."""
        message = f"the request's {self._size} bytes are no protobuf message {self._type_name}; proto/bosd/v1 says what it holds"
        return InvalidArgumentError(message, field="request")


class Reading:
    """Stands before a server where services are registered, and lets their methods refuse what cannot be read."""

    def __init__(self, server: Any) -> None:  # noqa: ANN401 (a server, or what learns a service's handlers)
        self._server = server

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Take no notice: the same handlers come one by one."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Register the methods of a service."""
        self._server.add_registered_method_handlers(service, {name: _reading(each) for name, each in handlers.items()})


def _reading(handler: Any) -> Any:  # noqa: ANN401 (grpc's handlers)
    read = partial(_read, handler.request_deserializer)
    if handler.request_streaming:
        inner, outer, make = handler.stream_stream, _stream, grpc.stream_stream_rpc_method_handler
    elif handler.response_streaming:
        inner, outer, make = handler.unary_stream, _call, grpc.unary_stream_rpc_method_handler
    else:
        inner, outer, make = handler.unary_unary, _call, grpc.unary_unary_rpc_method_handler
    return make(outer(inner), read, handler.response_serializer)


def _read(parse: Callable[[bytes], Message], data: bytes) -> Message | Malformed:
    try:
        return parse(data)
    except DecodeError:
        kind: type[Message] = parse.__self__  # type: ignore[attr-defined]  # the class that FromString is of
        return Malformed(kind.DESCRIPTOR.full_name, len(data))


def _call(inner: Any) -> Any:  # noqa: ANN401
    async def call(request: Any, context: Any) -> Any:  # noqa: ANN401
        if isinstance(request, Malformed):
            await abort(context, request.error())
        return await inner(request, context)

    return call


def _stream(inner: Any) -> Any:  # noqa: ANN401
    async def stream(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:  # noqa: ANN401
        async def read() -> AsyncIterator[Any]:
            async for request in requests:
                if isinstance(request, Malformed):
                    await abort(context, request.error())
                yield request

        async for answer in inner(read(), context):
            yield answer

    return stream
