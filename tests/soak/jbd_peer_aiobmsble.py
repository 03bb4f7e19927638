"""By hand: does aiobmsble, an independent Bluetooth implementation of JBD, accept the simulated pack?

It needs Python 3.12 or later, so it is no dependency here. Its Bluetooth client is replaced by the pseudo-terminal; the fault
`pieces` has the bytes come up in notifications of 20, as from a module: it finds the start of a reply only at the start of one.
In an environment of its own (nothing of bosd is imported):

  python3.13 -m venv /tmp/peer && /tmp/peer/bin/pip install aiobmsble==0.31.0
  bosd sim jbd --link /tmp/b1 --load-current-a 5 --tail standard --fault pieces &
  /tmp/peer/bin/python tests/soak/jbd_peer_aiobmsble.py /tmp/b1

Prints what it read as JSON; exit status 0 once it has read three times.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from aiobmsble import basebms
from aiobmsble.bms.jbd_bms import BMS
from bleak.backends.device import BLEDevice

_NOTIFICATION_BYTES = 20


class Services(dict[str, Any]):
    """No service but the one that is used."""

    def get_service(self, uuid: str) -> None:
        """Return none: there is no device information service."""

    def get_characteristic(self, char: str) -> None:
        """Return none: it is written without response."""


class PtyClient:
    """Stands in for bleak's client: notifications are what the pseudo-terminal brings."""

    services = Services()

    def __init__(self, device: BLEDevice, *_args: object, **_keys: object) -> None:
        self._link = device.details
        self._descriptor = -1

    @property
    def is_connected(self) -> bool:
        """Whether the terminal is open."""
        return self._descriptor >= 0

    def connect(self) -> None:
        """Open the terminal."""
        self._descriptor = os.open(self._link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    async def start_notify(self, _char: str, handler: Callable[[Any, bytearray], None]) -> None:
        """Hand what comes to `handler`."""
        descriptor = self._descriptor
        asyncio.get_running_loop().add_reader(
            descriptor, lambda: handler(None, bytearray(os.read(descriptor, _NOTIFICATION_BYTES)))
        )

    async def write_gatt_char(self, _char: str, data: bytes, *, response: bool) -> None:
        """Send."""
        os.write(self._descriptor, data)

    async def disconnect(self) -> None:
        """Close the terminal."""
        if self.is_connected:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


async def _establish(*, device: BLEDevice, **_keys: object) -> PtyClient:
    client = PtyClient(device)
    client.connect()
    return client


async def main(link: str) -> None:
    """Read three times."""
    basebms.BleakClient = PtyClient
    basebms.establish_connection = _establish
    bms = BMS(BLEDevice("00:00:00:00:00:00", "JBD-SIM", link))
    for _ in range(3):
        sample = await bms.async_update()
        print(json.dumps(sample, default=str))  # noqa: T201 (a program)
        await asyncio.sleep(1.0)
    print(json.dumps(await bms.device_info(), default=str))  # noqa: T201
    await bms.disconnect()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
