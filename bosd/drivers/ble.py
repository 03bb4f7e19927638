"""Bluetooth LE: the only module that knows bleak.

A module with a serial line behind it notifies what the line says, in pieces of any size, and takes what is written. It
accepts one central at a time, and BlueZ keeps a connection whose program has died: such a one is taken over.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from bleak import BleakAdapter, BleakClient, BleakScanner
from bleak.args.bluez import BlueZClientArgs, BlueZScannerArgs
from bleak.backends.adapter import BaseBleakAdapter
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakError

from bosd.drivers.ble_modules import PROFILES, Advert, parse_address
from bosd.drivers.ble_radio import Radio, shared_radio
from bosd.drivers.transport import ByteReceiver, Greeting, byte_time_s
from bosd.errors import DriverError, UnavailableError

REPLY_S = 2.0
"""The slowest of 280 captured replies took 1.6 s (jbd.md, timing)."""
GAP_S = 0.5
CONNECT_S = 20.0
"""For finding the device and connecting to it, both."""
FIND_S = 10.0
SETTLE_S = 0.5
"""Requests sent sooner after notifications were switched on stay unanswered (captured in every session)."""
WRITE_S = 2.0
LET_GO_S = 5.0
"""A disconnection that takes longer is left to the system."""
_UNSENT = 16
_LEAST_WRITE_BYTES = 20
"""What every connection carries: the smallest ATT_MTU, 23 bytes, less the 3 of a write's header."""

_MEANINGS = {
    "org.freedesktop.DBus.Error.ServiceUnknown": "no Bluetooth: BlueZ (bluetoothd) is not running",
    "org.freedesktop.DBus.Error.AccessDenied": "no Bluetooth: this user may not use BlueZ; the group bluetooth may",
    "org.bluez.Error.NotReady": "no Bluetooth: the adapter is switched off; `bluetoothctl power on`",
}

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Which implementations bleak uses: None for the platform's own, BlueZ over D-Bus on Linux."""

    client: type[BaseBleakClient] | None = None
    scanner: type[BaseBleakScanner] | None = None
    adapter: type[BaseBleakAdapter] | None = None


class BleTransport:
    """A serial module at `port`; `start` is the byte with which its device's frames begin.

    Notifications that come before a frame begins and hold no such byte are dropped: heartbeats of other firmware.
    `dropped_bytes` counts them.
    """

    def __init__(
        self,
        port: str,
        *,
        start: int = 0xDD,
        greeting: Greeting | None = None,
        radio: Radio | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.port = port
        self.reply_s = REPLY_S
        self.gap_s = GAP_S
        self.byte_s = byte_time_s(9600)
        self.reopen_on_silence = True
        self.greeting = greeting
        self.dropped_bytes = 0
        self.adapter, self.address = parse_address(port)
        self._start = start
        self._radio = radio
        self._backend = backend or Backend()
        self._link: _Link | None = None
        self._in_frame = False

    async def open(self, receiver: ByteReceiver) -> None:
        """Find the device, connect, and let it settle; raises UnavailableError with the cause, at once while it pauses."""
        self.close()
        radio = self._radio or shared_radio(self.adapter)
        radio.check(self.port)
        link = _Link(self, radio, self._backend, receiver)
        # a task of the loop's own, as what it ends with, disconnecting, outlives whoever closes the port without waiting
        task = asyncio.get_running_loop().create_task(link.run(), name=f"bluetooth {self.port}")
        self._link, link.task, radio.links[self.port] = link, task, task
        task.add_done_callback(lambda ended: radio.links.pop(self.port) if radio.links.get(self.port) is ended else None)
        try:
            await asyncio.shield(link.ready)
        except asyncio.CancelledError:
            link.end()
            raise

    def write(self, data: bytes) -> None:
        """Queue `data`; raises UnavailableError when the device is gone or takes nothing."""
        if self._link is None:
            raise UnavailableError(f"{self.port}: closed", port=self.port)
        self._in_frame = False
        self._link.write(data)

    def discard_input(self) -> None:
        """Nothing is kept here."""

    def close(self) -> None:
        """Have the connection ended; nothing is delivered any more."""
        link, self._link = self._link, None
        if link is not None:
            link.end()

    def sifted(self, data: bytes) -> bytes:
        """Return what of a notification belongs to a frame."""
        at = 0 if self._in_frame else data.find(self._start)
        kept = data[at:] if at >= 0 else b""
        self.dropped_bytes += len(data) - len(kept)
        self._in_frame = self._in_frame or bool(kept)
        return kept


class _Link:
    """One connection, from finding the device to disconnecting from it; `run` is all of its life."""

    def __init__(self, transport: BleTransport, radio: Radio, backend: Backend, receiver: ByteReceiver) -> None:
        self.port = transport.port
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        self.task: asyncio.Task[None] | None = None
        self._transport = transport
        self._radio = radio
        self._backend = backend
        self._receiver: ByteReceiver | None = receiver
        self._before = radio.links.get(transport.port)
        self._unsent: asyncio.Queue[bytes] = asyncio.Queue(_UNSENT)
        self._answers: asyncio.Queue[bytes] | None = None
        self._over = False

    async def run(self) -> None:
        """Connect, then write what is queued, until the link is lost or ended; then disconnect."""
        try:
            if self._before is not None:
                await asyncio.wait([self._before])
                self._before = None
            async with self._radio.turn(self.port):
                client = await self._connect()
        except UnavailableError as error:
            self._lost(error)
            return
        try:
            await self._talk(client)
        except (UnavailableError, DriverError) as error:
            self._lost(error)
        except TimeoutError:
            self._lost(UnavailableError(f"{self.port}: takes no bytes", port=self.port))
        except Exception as error:  # noqa: BLE001 (bleak passes on whatever the system's Bluetooth service raises)
            self._lost(UnavailableError(f"{self.port}: {explain(error)}", port=self.port))
        finally:
            self._over = True
            await _let_go(client, self.port)

    async def _talk(self, client: BleakClient) -> None:
        """Serve the connection until something ends it."""
        written = await self._listen(client)
        await asyncio.sleep(SETTLE_S)
        if self._transport.greeting is not None:
            await self._greet(client, written, self._transport.greeting)
        self._radio.reached(self.port)
        if not self.ready.done():
            self.ready.set_result(None)
        while True:
            await self._send(client, written, await self._unsent.get())

    async def _connect(self) -> BleakClient:
        client: BleakClient | None = None
        options = BlueZClientArgs(adapter=self._radio.adapter) if self._radio.adapter else BlueZClientArgs()
        try:
            async with asyncio.timeout(CONNECT_S):
                device = await self._find()
                backend = self._backend.client
                client = BleakClient(device, self._disconnected, timeout=CONNECT_S, bluez=options, backend=backend)
                await client.connect()
        except BaseException as error:
            self._over = True
            await _let_go(client, self.port)
            if isinstance(error, TimeoutError):
                raise UnavailableError(f"{self.port}: no connection within {CONNECT_S:g} s", port=self.port) from None
            if isinstance(error, Exception) and not isinstance(error, UnavailableError):
                raise UnavailableError(f"{self.port}: {explain(error)}", port=self.port) from error
            raise
        return client

    async def _find(self) -> BLEDevice:
        """Return the device: one that is connected already does not advertise and is taken as it is."""
        address = self._transport.address
        name = self._radio.adapter
        try:
            adapter = await BleakAdapter.get(bluez={"adapter": name} if name else {}, backend=self._backend.adapter)
            connected = await adapter.get_connected_devices([profile.service for profile in PROFILES])
        except NotImplementedError:
            connected = []
        for device in connected:
            if device.address.upper() == address:
                return device
        found = await BleakScanner.find_device_by_address(address, FIND_S, **_scanning(self._radio, self._backend))
        if found is None:
            message = f"{self.port}: not heard within {FIND_S:g} s; it is out of reach, asleep, or connected to another device"
            raise UnavailableError(message, port=self.port)
        return found

    async def _listen(self, client: BleakClient) -> BleakGATTCharacteristic:
        """Switch notifications on; return the characteristic to write to."""
        for profile in PROFILES:
            service = client.services.get_service(profile.service)
            if service is None:
                continue
            notifies, written = service.get_characteristic(profile.notify), service.get_characteristic(profile.write)
            if notifies is not None and written is not None:
                async with asyncio.timeout(WRITE_S):
                    await client.start_notify(notifies, self._notified)
                return written
        offered = ", ".join(sorted(service.uuid for service in client.services)) or "none"
        raise UnavailableError(f"{self.port}: has no serial service (FF00, FFF0 or Nordic UART); its services: {offered}")

    async def _greet(self, client: BleakClient, written: BleakGATTCharacteristic, greeting: Greeting) -> None:
        self._answers = asyncio.Queue(_UNSENT)
        message: bytes | None = greeting.begin(self._transport.address)
        while message is not None:
            if message:
                await self._send(client, written, message)
            try:
                async with asyncio.timeout(REPLY_S):
                    answer = await self._answers.get()
            except TimeoutError:
                raise UnavailableError(f"{self.port}: no answer to the password", port=self.port) from None
            try:
                message = greeting.feed(answer)
            except DriverError as error:
                raise DriverError(f"{self.port}: {error.message}", port=self.port, **error.metadata) from None
        self._answers = None

    async def _send(self, client: BleakClient, written: BleakGATTCharacteristic, data: bytes) -> None:
        """Write in pieces that the characteristic takes."""
        unanswered = "write-without-response" in written.properties
        size = max(_LEAST_WRITE_BYTES, written.max_write_without_response_size)
        for at in range(0, len(data), size):
            async with asyncio.timeout(WRITE_S):
                await client.write_gatt_char(written, data[at : at + size], response=not unanswered)

    def write(self, data: bytes) -> None:
        """Queue bytes for `run`."""
        if self._receiver is None:
            raise UnavailableError(f"{self.port}: lost", port=self.port)
        try:
            self._unsent.put_nowait(data)
        except asyncio.QueueFull:
            raise UnavailableError(f"{self.port}: takes no bytes", port=self.port) from None

    def end(self) -> None:
        """Deliver nothing more and let `run` disconnect."""
        self._receiver = None
        self._fail(UnavailableError(f"{self.port}: closed", port=self.port))
        if self.task is not None and not self._over and self.task is not asyncio.current_task():
            self.task.cancel()

    def _notified(self, _characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        if self._answers is not None:
            if not self._answers.full():
                self._answers.put_nowait(bytes(data))
        elif self._receiver is not None and (kept := self._transport.sifted(bytes(data))):
            self._receiver.data_received(kept)

    def _disconnected(self, _client: BleakClient) -> None:
        if self._over or self.task is None:
            return
        self._over = True
        self.task.cancel()
        self._lost(UnavailableError(f"{self.port}: disconnected", port=self.port))

    def _lost(self, error: UnavailableError | DriverError) -> None:
        receiver, self._receiver = self._receiver, None
        if not self.ready.done():
            self._radio.failed(self.port, error.message)
            self._fail(error)
        elif receiver is not None:
            receiver.connection_lost(ConnectionError(error.message.removeprefix(f"{self.port}: ")))

    def _fail(self, error: UnavailableError | DriverError) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)


async def _let_go(client: BleakClient | None, port: str) -> None:
    """Disconnect, for a bounded time and whatever it says."""
    if client is None:
        return
    try:
        async with asyncio.timeout(LET_GO_S):
            await client.disconnect()
    except Exception as error:  # noqa: BLE001 (it is over, whatever the system says)
        _log.debug("bluetooth_not_disconnected", port=port, cause=explain(error))


async def scan(
    seconds: float, heard: Callable[[Advert], None], radio: Radio | None = None, backend: Backend | None = None
) -> None:
    """Listen for `seconds` and report each device when first heard and when more is known of it. Raises UnavailableError."""
    radio = radio or shared_radio()
    known: dict[str, Advert] = {}

    def detected(device: BLEDevice, data: AdvertisementData) -> None:
        before = known.get(device.address)
        name = data.local_name or device.name or (before.name if before else "")
        services = tuple(sorted({*data.service_uuids, *(before.services if before else ())}))
        advert = Advert(address=device.address.upper(), name=name, rssi_dbm=data.rssi, services=services)
        if before is None or (before.name, before.services) != (name, services):
            known[device.address] = advert
            heard(advert)

    try:
        async with radio.turn("scan"), BleakScanner(detected, **_scanning(radio, backend or Backend())):
            await asyncio.sleep(seconds)
    except Exception as error:
        why = explain(error)
        raise UnavailableError(why if "Bluetooth" in why else f"Bluetooth: {why}") from error


def _scanning(radio: Radio, backend: Backend) -> BleakScanner.ExtraArgs:
    """Return the arguments of a scan on this radio."""
    arguments = BleakScanner.ExtraArgs(bluez=BlueZScannerArgs(adapter=radio.adapter)) if radio.adapter else {}
    if backend.scanner is not None:
        arguments["backend"] = backend.scanner
    return arguments


def explain(error: BaseException) -> str:
    """Return in words what the system's Bluetooth service says."""
    if isinstance(error, BleakDBusError) and error.dbus_error in _MEANINGS:
        return _MEANINGS[error.dbus_error]
    if isinstance(error, BleakBluetoothNotAvailableError):
        return f"no Bluetooth: {error.args[0]}"
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "no Bluetooth: the system's message bus (D-Bus), which BlueZ needs, is not running"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, BleakError) and error.args:
        return ": ".join(str(each) for each in error.args)
    return str(error) or type(error).__name__
