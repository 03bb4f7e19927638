"""Addresses to listen on."""

import socket
from pathlib import Path

import pytest

from bosd.errors import ConfigError
from bosd.rpc.addresses import check_tcp, clear_stale_socket, unix_path


@pytest.mark.parametrize("address", ["127.0.0.1:4004", "127.9.9.9:0", "[::1]:4004", "localhost:4004"])
def test_loopback_is_served(address: str) -> None:
    """Addresses that only this machine reaches need no certificate."""
    check_tcp(address)


@pytest.mark.parametrize("address", ["0.0.0.0:4004", "[::]:4004", "192.168.1.2:4004", "example.org:4004", "*:4004"])
def test_off_loopback_needs_tls(address: str) -> None:
    """Anything else is refused, with what to do."""
    with pytest.raises(ConfigError, match="mutual TLS"):
        check_tcp(address)


@pytest.mark.parametrize(
    "address", ["", "4004", ":4004", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1"]
)
def test_malformed(address: str) -> None:
    """The forms are named."""
    with pytest.raises(ConfigError, match="host:port or unix:PATH"):
        check_tcp(address)


@pytest.mark.parametrize("address", ["unix:", "unix:/" + "x" * 107])
def test_unix_paths_that_no_socket_has(address: str) -> None:
    """A path fits sockaddr_un (107 bytes, unix(7))."""
    with pytest.raises(ConfigError, match="107 bytes"):
        unix_path(address)


def test_stale_socket_is_removed(tmp_path: Path) -> None:
    """What a killed daemon left behind does not stop the next one."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    clear_stale_socket(path)
    assert not path.exists()


def test_living_socket_is_refused(tmp_path: Path) -> None:
    """A socket somebody listens on is left alone."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(path))
        living.listen()
        with pytest.raises(ConfigError, match="in use"):
            clear_stale_socket(path)
    assert path.exists()


def test_a_file_is_never_removed(tmp_path: Path) -> None:
    """Only sockets are."""
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="no socket"):
        clear_stale_socket(path)
    assert path.read_text() == "precious"
