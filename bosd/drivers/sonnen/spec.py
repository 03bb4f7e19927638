"""What a file says of a Sonnen battery."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from bosd.bal.spec import PhysicalSpec
from bosd.drivers.sonnen.answers import HIGHEST_V

_URL = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class SonnenSpec(PhysicalSpec):
    """A Sonnen battery at `http://HOST[:PORT]` or `https://HOST[:PORT]`, by its local API v2.

    `token_file` holds the token that its page "Software-Integration" shows, `ca_file` (PEM) verifies the certificate of https.
    `voltage_v` turns watts into amperes where the battery tells no voltage. `safe` "release" gives it back to `released_mode`,
    "open" keeps it in manual mode at 0 W.
    """

    kind: ClassVar[str] = "sonnen"
    controls: ClassVar[tuple[str, ...]] = ("none", "direct")
    token_file: str
    ca_file: str | None = None
    voltage_v: float | None = None
    released_mode: Literal["self-consumption", "time-of-use"] = "self-consumption"
    refresh_period_s: float = 2.0

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield the faults of the driver's own keys; files are looked at when they are needed."""
        match = _URL.fullmatch(self.port)
        if match is None or not 0 < int(match[1] or 80) <= 65535:
            yield "port", f"{self.port!r} is no address of a battery: write http://HOST or http://HOST:PORT, nothing behind it"
        if not self.token_file.startswith("/"):
            yield (
                "token_file",
                f"{self.token_file!r} is no absolute path; the file holds the token alone and is its owner's (mode 600)",
            )
        if self.ca_file is not None and not self.ca_file.startswith("/"):
            yield "ca_file", f"{self.ca_file!r} is no absolute path of a PEM file"
        if self.ca_file is not None and not self.port.startswith("https://"):
            yield "ca_file", f"only https has certificates; the port is {self.port!r}"
        if self.voltage_v is not None and not 0.0 < self.voltage_v <= HIGHEST_V:
            yield "voltage_v", f"{self.voltage_v!r} is no voltage of a battery: above 0 and at most {HIGHEST_V:g} V"
