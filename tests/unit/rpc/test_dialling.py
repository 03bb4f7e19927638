"""Without certificates only this machine is spoken to."""

import pytest

from bosd.errors import UnavailableError
from bosd.rpc.dialling import channel_options, dial_plainly


@pytest.mark.parametrize("target", ["127.0.0.1:4004", "[::1]:4004", "localhost:4004", "unix:/run/bosd/bosd.sock"])
async def test_this_machine(target: str) -> None:
    """Loopback and sockets."""
    await dial_plainly(target, channel_options(1.0)).close()


@pytest.mark.parametrize("target", ["192.0.2.9:4004", "[2001:db8::9]:4004", "garage.local:4004", "127.0.0.1.example:4004"])
async def test_anybody(target: str) -> None:
    """Who answered there in plain text was believed, and told set points."""
    with pytest.raises(UnavailableError, match=r"needs mutual TLS: add a \[security\] section"):
        dial_plainly(target, channel_options(1.0))
