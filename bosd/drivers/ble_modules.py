"""Serial modules with Bluetooth LE: their addresses, services and greetings; no radio needed."""

import re
from dataclasses import dataclass

from bosd.errors import ConfigError

_BASE_UUID = "-0000-1000-8000-00805f9b34fb"
"""What makes 128 bits of an assigned number's 16 (Bluetooth Core Specification, UUID)."""
_ADDRESS = re.compile(r"(?:(?P<adapter>hci\d+)/)?(?P<address>[0-9A-F]{2}(?::[0-9A-F]{2}){5})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Profile:
    """Where a serial module listens and talks: service, characteristic that notifies, characteristic that is written."""

    service: str
    notify: str
    write: str

    @property
    def service_uuid(self) -> str:
        """The service's full UUID, in lower case."""
        return self.service if len(self.service) > 4 else f"0000{self.service}{_BASE_UUID}"


JBD = Profile("ff00", "ff01", "ff02")
DH04 = Profile("fff0", "fff1", "fff2")
NORDIC_UART = Profile(
    "6e400001-b5a3-f393-e0a9-e50e24dcca9e", "6e400003-b5a3-f393-e0a9-e50e24dcca9e", "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
)
PROFILES = (JBD, DH04, NORDIC_UART)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advert:
    """A device that was heard: its address, what it calls itself, how loud it is in dBm, and the services it announces."""

    address: str
    name: str
    rssi_dbm: int
    services: tuple[str, ...]

    @property
    def speaks_jbd(self) -> bool:
        """Whether it announces the service of JBD's modules."""
        return JBD.service_uuid in self.services


def parse_address(port: str) -> tuple[str, str]:
    """Return adapter (or empty) and address of `ble://[hciN/]AA:BB:CC:DD:EE:FF`. Raises ConfigError for anything else."""
    match = _ADDRESS.fullmatch(port.removeprefix("ble://"))
    if match is None:
        raise ConfigError(f"{port}: expected ble://AA:BB:CC:DD:EE:FF, or ble://hci1/AA:BB:CC:DD:EE:FF", port=port)
    return (match["adapter"] or "").lower(), match["address"].upper()
