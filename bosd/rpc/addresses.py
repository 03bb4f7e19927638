"""Addresses to listen on: `host:port` or `unix:PATH`, checked before gRPC sees them."""

import ipaddress
import os
import socket
import stat
from pathlib import Path

from bosd.errors import ConfigError

UNIX = "unix:"
_MAX_UNIX_PATH = 107
"""Bytes of sockaddr_un.sun_path without its terminator (unix(7))."""
_MAX_PORT = 65535
_SOCKET_MODE = 0o660


def check_tcp(address: str, *, secured: bool = False) -> None:
    """Raise ConfigError unless `address` is `host:port`, on loopback where it is not `secured` by mutual TLS."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > _MAX_PORT:
        raise ConfigError(f"listen address {address!r}: write host:port or unix:PATH", path="node.listen")
    if not secured and not is_loopback(host):
        raise ConfigError(
            f"listen address {address!r} is not loopback and needs mutual TLS: "
            "add a [security] section, or listen on 127.0.0.1 or a unix socket",
            path="node.listen",
        )


def is_loopback(host: str) -> bool:
    """Tell whether `host` can only mean this machine: `localhost` or an address of the loopback network."""
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return host == "localhost"


def unix_path(address: str) -> Path:
    """Return the path of a `unix:` address, absolute. Raises ConfigError if it is empty or too long for a socket."""
    text = address.removeprefix(UNIX).removeprefix("//")
    path = Path(text).absolute()
    if not text or len(os.fsencode(path)) > _MAX_UNIX_PATH:
        raise ConfigError(f"listen address {address!r}: a path of 1 to {_MAX_UNIX_PATH} bytes is needed", path="node.listen")
    return path


def clear_stale_socket(path: Path) -> None:
    """Remove a socket file nobody listens on. Raises ConfigError if somebody does, or if it is something else."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"cannot listen on unix:{path}: {error.strerror}", path="node.listen") from None
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"cannot listen on unix:{path}: a file is there that is no socket", path="node.listen")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"cannot listen on unix:{path}: {error.strerror}", path="node.listen") from None
    raise in_use(f"unix:{path}")


def restrict(path: Path) -> None:
    """Give a socket to its owner and group alone: the group of a unix socket may do everything."""
    path.chmod(_SOCKET_MODE)


def in_use(address: str) -> ConfigError:
    """Return the error for an address that cannot be bound."""
    return ConfigError(
        f"cannot listen on {address}: it is in use or not allowed; stop the other daemon or change [node] listen",
        path="node.listen",
        address=address,
    )
