"""Two network namespaces with a cable between them: real interfaces, multicast and addresses, and no way to the outside.

What one end receives or sends can be dropped without a word, as on a cut line (`cut`), for a while (`blip`).
"""

import os
import re
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

    @contextmanager
    def cut(self, *ways: str) -> Iterator[None]:
        """Drop all packets it receives (`input`) or sends (`output`) while the block runs; both where none is named."""
        self._nft(_rules(ways or ("input", "output")))
        try:
            yield
        finally:
            self._nft("delete table inet cut")

    def blip(self, for_s: float) -> "Blip":
        """Drop all packets both ways for about `for_s`, without waiting for the end."""
        script = (
            f'date +%s.%N; nft -f - <<"E"\n{_rules(("input", "output"))}\nE\nsleep {for_s}\n'
            "nft list table inet cut; nft delete table inet cut; date +%s.%N"
        )
        return Blip(subprocess.Popen(self.command("sh", "-c", script), stdout=subprocess.PIPE, text=True))

    def _nft(self, commands: str) -> None:
        command = self.command("nft", "-f", "-")
        subprocess.run(command, input=f"{commands}\n", text=True, check=True, capture_output=True, timeout=10)

    def remove(self, address: str) -> None:
        """Take an address away."""
        _ip("-n", self.name, "addr", "del", f"{address}/24", "dev", self.interface)


class Blip:
    """A cut that mends itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def over(self) -> tuple[float, int]:
        """Wait for its end; return how long it was at most, in seconds, and how many packets were dropped."""
        told, _ = self._process.communicate(timeout=30)
        first, *between, last = told.splitlines()
        return float(last) - float(first), sum(map(int, re.findall(r"counter packets (\d+)", " ".join(between))))


def _rules(ways: Sequence[str]) -> str:
    chains = (f"chain {way} {{ type filter hook {way} priority 0; counter drop; }}" for way in ways)
    return "\n".join(["table inet cut {", *chains, "}"])


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
