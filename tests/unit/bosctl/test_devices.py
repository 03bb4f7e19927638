"""What `doctor` says about devices: the port, the last error, the next step."""

import os
import pty
from pathlib import Path

import pytest

from bosd.v1 import battery_pb2 as pb
from clients.bosctl import devices
from clients.bosctl.devices import is_local, look_at_devices


def toml(port: str) -> str:
    """Return a topology with one pack and one battery without a device."""
    return f'[[battery]]\nname = "b1"\nkind = "jbd"\nport = "{port}"\n[[battery]]\nname = "p"\nkind = "null"\nvoltage_v = 13.2\n'


def lost(reason: str) -> list[pb.BatteryStatus]:
    """Return the statuses of a node whose pack is out of reach for that reason."""
    return [
        pb.BatteryStatus(name="b1", kind="jbd", quality=pb.QUALITY_UNAVAILABLE, link=pb.LINK_LOCAL, reason=reason),
        pb.BatteryStatus(name="p", kind="null", quality=pb.QUALITY_GOOD, link=pb.LINK_LOCAL),
    ]


@pytest.mark.parametrize(
    ("port", "reason", "step"),
    [
        ("/dev/ttyUSB0", "/dev/ttyUSB0: permission denied", "usermod -aG dialout bosd"),
        ("/dev/ttyUSB0", "/dev/ttyUSB0: no such file or directory", "`bosd detect` lists what is there"),
        ("usb:A1", "usb:A1: no USB adapter with this serial number; plugged in with one: none", "plug the adapter in"),
        ("/dev/ttyUSB0", "/dev/ttyUSB0: in use by minicom (process 7)", "end that program"),
        ("/dev/ttyUSB0", "/dev/ttyUSB0: no answer in 3 attempts", "`bosd detect --ports /dev/ttyUSB0`"),
        ("/dev/ttyUSB0", "/dev/ttyUSB0: no valid answer in 3 attempts: bad_checksum", "noise, a loose ground"),
        ("tcp://gw:23", "tcp://gw:23: no answer in 1 attempt", "nothing behind the bridge answers"),
        ("/tmp/pack", "/tmp/pack: is no serial port", "name the port"),
        ("tcp://gw:23", "tcp://gw:23: connection refused", "look whether the bridge runs"),
        ("ble://AA:BB:CC:DD:EE:FF", "ble://AA:BB:CC:DD:EE:FF: not heard within 10 s", "close the apps of phones"),
        ("http://sonnen", "http://sonnen/api/v2/status: 401 Unauthorized: the token is refused; the page", "into token_file"),
        ("http://sonnen", "http://sonnen/api/v2/status: 403 Forbidden: the token may not do this; allow", "JSON write API"),
        ("http://sonnen", "token_file /etc/t cannot be read: No such file or directory", "the token alone in token_file"),
        (
            "ble://AA:BB:CC:DD:EE:FF",
            "the Bluetooth module refuses the password in ble_password_file",
            "correct ble_password_file",
        ),
    ],
)
def test_next_steps(port: str, reason: str, step: str) -> None:
    """Each error of a driver leads to what helps."""
    (check,) = look_at_devices(toml(port), lost(reason), here=False)
    assert (check.battery, check.port, check.age_s, check.error) == ("b1", port, None, reason)
    assert step in check.next_step()


def test_a_group_that_would_not_help(tmp_path: Path) -> None:
    """Nobody is told to join the group of a port that its owner alone may open, and never root's."""
    port = tmp_path / "port"
    port.touch(0o600)
    (check,) = look_at_devices(toml(str(port)), lost(f"{port}: permission denied"), here=True)
    assert "usermod" not in check.next_step()
    assert "mode 660 and the group dialout" in check.next_step()


def test_nothing_is_made_up() -> None:
    """An error that nobody foresaw gets no step, a good battery no error, and what is unknown is null."""
    (check,) = look_at_devices(toml("/dev/ttyUSB0"), lost("melted"), here=False)
    assert check.next_step() == ""
    assert check.as_json()["port_here"] is None
    good = pb.BatteryStatus(name="b1", kind="jbd", quality=pb.QUALITY_GOOD, age_s=0.5, reason="no current control")
    (check,) = look_at_devices(toml("/dev/ttyUSB0"), [good], here=False)
    assert (check.error, check.age_s) == ("", 0.5)


def test_the_port_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the node's own machine the device file is looked at: where it leads, who may open it, or why it is not there."""
    master, slave = pty.openpty()
    link = tmp_path / "pack"
    link.symlink_to(os.ttyname(slave))
    (check,) = look_at_devices(toml(str(link)), lost(""), here=True)
    assert check.port_here.startswith(f"{os.ttyname(slave)} (c")
    os.close(master)
    os.close(slave)
    (check,) = look_at_devices(toml("/dev/ttyNONE"), lost(""), here=True)
    assert check.port_here == "no such file or directory"
    (check,) = look_at_devices(toml("usb:NOT-HERE"), lost(""), here=True)
    assert check.port_here == "not plugged in"
    monkeypatch.setattr(devices, "_BLUETOOTH", tmp_path / "bluetooth")
    (check,) = look_at_devices(toml("ble://AA:BB:CC:DD:EE:FF"), lost(""), here=True)
    assert check.port_here == "no Bluetooth adapter"
    (tmp_path / "bluetooth" / "hci0").mkdir(parents=True)
    (check,) = look_at_devices(toml("ble://AA:BB:CC:DD:EE:FF"), lost(""), here=True)
    assert check.port_here == "Bluetooth adapter hci0"


@pytest.mark.parametrize(
    ("target", "local"),
    [("127.0.0.1:4004", True), ("localhost:4004", True), ("[::1]:4004", True), ("unix:/run/bosd", True), ("garage:4004", False)],
)
def test_local(target: str, local: bool) -> None:
    """Only a node on this machine has its ports looked at here."""
    assert is_local(target) is local
