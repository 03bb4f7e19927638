"""Bluetooth on a machine without it: bleak's own backend, and what is made of the errors of BlueZ and D-Bus."""

from pathlib import Path

import pytest
from bleak.exc import BleakDBusError, BleakError

from bosd.drivers.ble import BleTransport, explain, scan
from bosd.drivers.line import Line
from bosd.errors import UnavailableError


async def test_no_message_bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without D-Bus opening and scanning say what is missing, at once."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    transport = BleTransport("ble://A4:C1:37:04:2D:BE")
    with pytest.raises(UnavailableError, match=r"ble://A4:C1:37:04:2D:BE: no Bluetooth: .*message bus .* not running"):
        await transport.open(Line(transport))
    with pytest.raises(UnavailableError, match=r"^no Bluetooth: .*message bus"):
        await scan(1, lambda _advert: None)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["x"]), "no Bluetooth: BlueZ (bluetoothd) is not running"),
        (BleakDBusError("org.bluez.Error.NotReady", ["x"]), "no Bluetooth: the adapter is switched off; `bluetoothctl power on`"),
        (BleakDBusError("org.bluez.Error.Failed", ["br-connection-busy"]), "org.bluez.Error.Failed: br-connection-busy"),
        (BleakError("Not connected"), "Not connected"),
        (TimeoutError(), "no answer in time"),
        (EOFError(), "EOFError"),
    ],
)
def test_errors_of_the_system(error: Exception, said: str) -> None:
    """What people can do something about is said in words; the rest as the system says it."""
    assert explain(error) == said
