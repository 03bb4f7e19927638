"""The serial ports of this machine, and USB adapters by the serial number in their chip, whatever name they come back under."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

from bosd.errors import UnavailableError

USB = "usb:"
_LINKS = (Path("/dev/serial/by-id"), Path("/dev/serial/by-path"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPort:
    """A port that is there: its device path now, and of a USB adapter serial number, interface number and product name.

    `interface` is None for adapters with one port.
    """

    device: str
    serial_number: str | None = None
    interface: int | None = None
    product: str = ""

    @property
    def usb_address(self) -> str | None:
        """What finds it again by its serial number: `usb:SERIAL`, or `usb:SERIAL/INTERFACE`; None without a number."""
        if not self.serial_number:
            return None
        return f"{USB}{self.serial_number}" + (f"/{self.interface}" if self.interface is not None else "")


Lister = Callable[[], Sequence[SerialPort]]


def list_serial_ports() -> tuple[SerialPort, ...]:
    """Return the serial ports that exist, in the order of their names."""
    found = []
    for info in sorted(list_ports.comports()):
        _, colon, interface = (info.location or "").rpartition(":")
        number = interface.rpartition(".")[2]
        found.append(
            SerialPort(
                device=info.device,
                serial_number=info.serial_number or None,
                interface=int(number) if colon and number.isdecimal() else None,
                product=info.product or "",
            )
        )
    return tuple(found)


def find_usb(address: str, ports: Sequence[SerialPort]) -> str:
    """Return the device path of the adapter at `usb:SERIAL[/INTERFACE]` now.

    Raises UnavailableError that lists what is there when none has the number, or more than one.
    """
    wanted = address.removeprefix(USB)
    exact = [port for port in ports if wanted == port.serial_number or address == port.usb_address]
    if len(exact) == 1:
        return exact[0].device
    if exact:
        devices = ", ".join(port.device for port in exact)
        hint = "name its interface, as in " + str(exact[0].usb_address)
        if len({port.usb_address for port in exact}) < len(exact):
            hint = "take a name under /dev/serial/by-path, which says into which socket each is plugged"
        raise UnavailableError(f"{address}: {len(exact)} ports have this serial number, {devices}: {hint}", port=address)
    there = ", ".join(f"{port.usb_address} ({port.device})" for port in ports if port.usb_address) or "none"
    raise UnavailableError(f"{address}: no USB adapter with this serial number; plugged in with one: {there}", port=address)


def stable_address(device: str, ports: Sequence[SerialPort], links: Sequence[Path] = _LINKS) -> str:
    """Return the best address for a port: one that is the same after unplugging and restarts where there is one.

    That is its USB serial number where no other adapter has the same, else a link under /dev/serial, else `device`.
    """
    real = os.path.realpath(device)
    for port in ports:
        if os.path.realpath(port.device) == real and port.usb_address is not None:
            twins = [other for other in ports if other.usb_address == port.usb_address]
            if len(twins) == 1:
                return port.usb_address
            links = [link for link in links if link.name != "by-id"]
    if real != device and Path(device).is_symlink():
        return device
    for folder in links:
        for link in sorted(folder.iterdir()) if folder.is_dir() else ():
            if os.path.realpath(link) == real:
                return str(link)
    return device
