"""Two network namespaces with a cable between them: real interfaces, multicast and addresses, and no way to the outside."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Namespace:
    """One end of the cable."""

    name: str
    interface: str

    def command(self, *arguments: str) -> list[str]:
        """Return a command line that runs there."""
        return ["ip", "netns", "exec", self.name, *arguments]

    def add(self, address: str) -> None:
        """Give its interface an address."""
        _ip("-n", self.name, "addr", "add", f"{address}/24", "dev", self.interface)

    def pull(self) -> None:
        """Pull the cable at this end."""
        _ip("-n", self.name, "link", "set", self.interface, "down")

    def plug(self) -> None:
        """Plug it in again."""
        _ip("-n", self.name, "link", "set", self.interface, "up")

    def remove(self, address: str) -> None:
        """Take an address away."""
        _ip("-n", self.name, "addr", "del", f"{address}/24", "dev", self.interface)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


@contextmanager
def cable(addresses: Sequence[str]) -> Iterator[list[Namespace]]:
    """Make a namespace for each of two addresses; skip the test where this process may not."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and the ip command")
    ends = [Namespace(f"bosd-{os.getpid()}-{index}", f"end{index}") for index in range(2)]
    made: list[Namespace] = []
    try:
        try:
            for end in ends:
                _ip("netns", "add", end.name)
                made.append(end)
            one, other = ends
            peer = ("peer", "name", other.interface, "netns", other.name)
            _ip("-n", one.name, "link", "add", one.interface, "type", "veth", *peer)
        except (subprocess.CalledProcessError, OSError) as error:
            pytest.skip(f"network namespaces are not possible here: {error}")
        for end, address in zip(ends, addresses, strict=True):
            end.add(address)
            _ip("-n", end.name, "link", "set", "lo", "up")
            _ip("-n", end.name, "link", "set", end.interface, "up")
        yield ends
    finally:
        for end in made:
            _ip("netns", "del", end.name)
