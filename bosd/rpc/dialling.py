"""Channels to other nodes."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import grpc.aio

from bosd.errors import UnavailableError
from bosd.rpc.addresses import UNIX, is_loopback

Dial: TypeAlias = Callable[[str, Sequence[tuple[str, int]]], grpc.aio.Channel]
"""Makes the channel to a target, with options."""


def dial_plainly(target: str, options: Sequence[tuple[str, int]]) -> grpc.aio.Channel:
    """Return a channel without transport security, to loopback or a unix socket.

    Raises UnavailableError for any other target: whoever answers there could be anybody.
    """
    if not target.startswith(UNIX) and not is_loopback(target.rpartition(":")[0]):
        raise UnavailableError(
            f"{target} is not loopback and needs mutual TLS: add a [security] section (`bosctl ca install BUNDLE` prints it)",
            target=target,
        )
    return grpc.aio.insecure_channel(target, options=options)


def channel_options(connect_s: float) -> tuple[tuple[str, int], ...]:
    """Return the options of a channel to another node: its own connection, given up after `connect_s`, and no proxy."""
    return (
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.enable_retries", 0),
        ("grpc.min_reconnect_backoff_ms", int(connect_s * 1000)),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.max_receive_message_length", 4 * 1024 * 1024),
        ("grpc.max_metadata_size", 16 * 1024),
    )
