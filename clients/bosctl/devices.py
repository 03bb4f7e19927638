"""What `doctor` says about the devices below batteries: their ports, their last error, and what to do about it."""

import grp
import os
import stat
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bosd.errors import UnavailableError
from bosd.v1 import battery_pb2 as pb
from clients.bosctl.format_json import Document, quality_word

_BLUETOOTH = Path("/sys/class/bluetooth")
_NO_FAULT = "no current control; "

_DENIED = "permission denied"
_NO_GROUP = "no group of users may open it: give it mode 660 and the group dialout (a udev rule), restart the node"
_STEPS = (
    (
        "the token is refused",
        'write the token that the battery\'s page "Software-Integration" shows into token_file; it is read with the next request',
    ),
    ("the token may not do this", 'allow the JSON write API on the battery\'s page "Software-Integration"'),
    ("token_file", "have the token alone in token_file, one line, in a file that the node's user can read and nobody else"),
    (
        _DENIED,
        "the node's user may not open it; `sudo usermod -aG {group} bosd` (or the node's user), restart the node",
    ),
    ("no USB adapter with this serial number", "plug the adapter in, or name one that is there: `bosd detect` lists them"),
    ("have this serial number", "give this battery the port under /dev/serial/by-path: the adapters cannot be told apart"),
    (
        "no such file or directory",
        "plug the adapter in; `bosd detect` lists what is there, and usb:SERIAL stays when names change",
    ),
    ("in use by", "end that program: a line has one owner"),
    ("is no serial port", "name the port that `bosd detect` lists"),
    ("answers to somebody else", "look for another program on this line or bridge and end it"),
    ("hung up at once", "end the other client of the bridge, or have the bridge serve several"),
    ("connection refused", "look whether the bridge runs and listens on that port number"),
    ("no connection within", "look whether the device is on and within reach"),
    (
        "no valid answer",
        "look at the cable (noise, a loose ground) and the speed: stop the node and run `bosd detect --ports {port}`",
    ),
    ("not heard within", "bring it into reach, wake it, and close the apps of phones that are connected to it"),
    ("no Bluetooth", "see `bluetoothctl list` and `systemctl status bluetooth` on the node's machine"),
    ("refuses the password", "correct ble_password_file"),
    ("no answer to the password", "remove ble_password_file: this module may know no passwords"),
    (
        "no answer in",
        "wake the pack (button, charger), look at power, TX and RX; with the node stopped, `bosd detect --ports {port}`",
    ),
)
"""What a driver's error says, and what helps; the first that fits counts."""

_STEPS_BEHIND_A_BRIDGE = (
    (
        "no answer in",
        "nothing behind the bridge answers: look at its speed (9600 baud, 8N1), TX and RX, and wake the pack",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCheck:
    """One battery's device: its port, what was last wrong with it (or empty), and what this machine knows of the port.

    `age_s` is None for a device that was never read.
    """

    battery: str
    kind: str
    port: str
    quality: str
    age_s: float | None
    error: str
    port_here: str = ""

    def as_json(self) -> Document:
        """Return it as `--json` prints it: what is unknown is null."""
        return {key: value if value != "" else None for key, value in asdict(self).items()}

    def next_step(self) -> str:
        """Return what to do about its error, empty where nothing is known to help."""
        for words, step in _STEPS_BEHIND_A_BRIDGE * self.port.startswith("tcp://") + _STEPS:
            if words in self.error:
                own = _NO_GROUP if words == _DENIED and _is_without_group(self.port) else step
                return own.format(port=self.port, group=_group_of(self.port) or "dialout")
        return ""


def is_local(target: str) -> bool:
    """Return whether a node at this address runs on this machine."""
    return target.startswith("unix:") or target.rpartition(":")[0].strip("[]") in ("127.0.0.1", "localhost", "::1")


def look_at_devices(toml: str, statuses: Sequence[pb.BatteryStatus], *, here: bool) -> list[DeviceCheck]:
    """Return the devices of a topology in its order; `here` has their ports looked at on this machine."""
    by_name = {status.name: status for status in statuses}
    found = []
    for table in tomllib.loads(toml).get("battery", []):
        status, port = by_name.get(table.get("name", "")), table.get("port")
        if status is None or not isinstance(port, str):
            continue
        quality = quality_word(status.quality)
        found.append(
            DeviceCheck(
                battery=status.name,
                kind=status.kind,
                port=port,
                quality=quality,
                age_s=status.age_s if status.HasField("age_s") else None,
                error=status.reason.removeprefix(_NO_FAULT) if quality != "GOOD" else "",
                port_here=_port_here(port) if here else "",
            )
        )
    return found


def _port_here(port: str) -> str:
    """Return what this machine knows of a port, empty for one that is reached over a network."""
    if port.startswith("ble://"):
        adapters = sorted(entry.name for entry in _BLUETOOTH.iterdir()) if _BLUETOOTH.is_dir() else []
        return f"Bluetooth adapter {', '.join(adapters)}" if adapters else "no Bluetooth adapter"
    if "://" in port:
        return ""
    from bosd.drivers.usb_ports import USB, find_usb, list_serial_ports  # noqa: PLC0415 (only doctor needs pyserial)

    try:
        device = find_usb(port, list_serial_ports()) if port.startswith(USB) else port
        mode = Path(device).stat().st_mode
    except UnavailableError:
        return "not plugged in"
    except OSError as error:
        return os.strerror(error.errno or 0).lower()
    real = os.path.realpath(device)
    return f"{real} ({stat.filemode(mode)}, group {_group_of(device)})"


def _is_without_group(port: str) -> bool:
    """Return whether membership in the port's group would not help: its group may not read and write, or is root's own."""
    try:
        found = Path(port).stat()
    except OSError:
        return False
    group = stat.S_IRGRP | stat.S_IWGRP
    return found.st_mode & group != group or found.st_gid == 0


def _group_of(port: str) -> str:
    try:
        return grp.getgrgid(Path(port).stat().st_gid).gr_name
    except (OSError, KeyError):
        return ""
