"""Bluetooth without a radio: serial modules behind bleak's own backend interface, each with a simulated board on its line.

They advertise while nobody is connected, take one central at a time, notify in pieces, and fail as they are told to.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bleak.args import SizedBuffer
from bleak.backends.adapter import BaseBleakAdapter
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError
from bleak.uuids import normalize_uuid_str

from bosd.drivers.ble import Backend
from bosd.drivers.ble_modules import JBD, Profile
from bosd.drivers.jbd.simulator import JbdSimulator
from bosd.drivers.jbd.unlock import encode, mixed

ADVERTISING_S = 0.5
"""Between two advertisements of one module."""
CONNECTING_S = 0.3
FLUSH_S = 0.004
"""A module sends what it has when its line has been quiet for about four byte times."""


class Module:
    """A serial module at `address` with a board on its line; the attributes say how it behaves.

    `piece_bytes` is the most it puts into a notification, `takes_bytes` the most a write may bring. `lost_pieces` of the next
    notifications are swallowed; `cut_after_pieces` ends the connection after so many. A `password` has it pass nothing
    on before the exchange with FF AA.
    """

    def __init__(self, address: str, board: JbdSimulator | None, *, profile: Profile = JBD, name: str = "JBD") -> None:
        self.address = address
        self.board = board
        self.profile = profile
        self.name = name
        self.piece_bytes = 20
        self.takes_bytes = 20
        self.answers_writes = False
        self.advertises = True
        self.connects = True
        self.discovers = True
        self.disconnecting_s = 0.05
        self.takes_writes = True
        self.lost_pieces = 0
        self.cut_after_pieces: int | None = None
        self.password: str | None = None
        self.central: Client | None = None
        self.pieces: list[bytes] = []
        self.written: list[tuple[float, bytes]] = []
        self.notifies_from_s = 0.0
        self.connections = 0
        self._open = False
        self._buffer = bytearray()
        self._flush: asyncio.TimerHandle | None = None
        if board is not None:
            board.memory.on_bytes = self._from_line

    def connected(self, central: "Client") -> None:
        """Belong to one central."""
        self.central, self._open = central, self.password is None
        self.connections += 1

    def hang_up(self) -> None:
        """End the connection, as a module that goes out of reach does."""
        central, self.central = self.central, None
        if central is not None:
            central.dropped()

    def hear(self, data: bytes) -> None:
        """Take a write."""
        self.written.append((asyncio.get_running_loop().time(), data))
        if data[:2] == b"\xff\xaa":
            self._exchange(data)
        elif self._open and self.board is not None:
            self.board.memory.write(data)

    def say(self, data: bytes) -> None:
        """Notify in pieces."""
        for at in range(0, len(data), self.piece_bytes):
            self._notify(data[at : at + self.piece_bytes])

    def _exchange(self, data: bytes) -> None:
        """Answer the application's key, the question for a random byte, and the password (jbd.md, Bluetooth LE)."""
        command, chance = data[2], 0xC9
        if command == 0x15:
            self.say(encode(0x15, b"\x02" if self.password is None else b"\x00"))
        elif command == 0x17:
            self.say(encode(0x17, bytes((chance,))))
        elif command == 0x18 and self.password is not None:
            self._open = data[4:-1] == mixed(self.password.encode(), self.address, chance)
            self.say(encode(0x18, b"\x00" if self._open else b"\x01"))

    def _from_line(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= self.piece_bytes:
            piece = bytes(self._buffer[: self.piece_bytes])
            del self._buffer[: self.piece_bytes]
            self._notify(piece)
        if self._flush is not None:
            self._flush.cancel()
        self._flush = asyncio.get_running_loop().call_later(FLUSH_S, self._rest)

    def _rest(self) -> None:
        data = bytes(self._buffer)
        self._buffer.clear()
        if data:
            self._notify(data)

    def _notify(self, piece: bytes) -> None:
        if self.lost_pieces:
            self.lost_pieces -= 1
            return
        if self.central is None:
            return
        self.pieces.append(piece)
        self.central.notify(piece)
        if self.cut_after_pieces is not None:
            self.cut_after_pieces -= 1
            if self.cut_after_pieces <= 0:
                self.cut_after_pieces = None
                self.hang_up()


class Air:
    """What one adapter can reach; `most_at_once` is the largest number of scans and connection attempts under way together."""

    def __init__(self) -> None:
        self.modules: dict[str, Module] = {}
        self.powered = True
        self.most_at_once = 0
        self.attempts: list[tuple[float, str]] = []
        self._under_way = 0

    def add(self, module: Module) -> Module:
        """Bring a module into reach."""
        self.modules[module.address] = module
        return module

    def backend(self) -> Backend:
        """Return the classes that bleak is given."""
        air = {"air": self}
        return Backend(
            client=type("AirClient", (Client,), air),
            scanner=type("AirScanner", (Scanner,), air),
            adapter=type("AirAdapter", (Adapter,), air),
        )

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count what the adapter does at the same time; refuses while it is switched off."""
        if not self.powered:
            raise BleakBluetoothNotAvailableError("the adapter is switched off", BleakBluetoothNotAvailableReason.POWERED_OFF)
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            yield
        finally:
            self._under_way -= 1


class Adapter(BaseBleakAdapter):
    """Knows who is connected."""

    air: Air

    @classmethod
    async def get(cls, **kwargs: Any) -> "Adapter":
        return cls()

    async def get_connected_devices(self, service_uuids: frozenset[str]) -> list[BLEDevice]:
        modules = self.air.modules.values()
        return [
            BLEDevice(module.address, module.name, None)
            for module in modules
            if module.central is not None and module.central.ours and module.profile.service_uuid in service_uuids
        ]


class Scanner(BaseBleakScanner):
    """Hears every module that advertises."""

    air: Air

    def __init__(self, detection_callback: Any, service_uuids: Any, scanning_mode: Any, **kwargs: Any) -> None:
        super().__init__(detection_callback, service_uuids)
        self._timer: asyncio.TimerHandle | None = None
        self._busy: Any = None

    async def start(self) -> None:
        self.seen_devices = {}
        busy = self.air.busy()
        busy.__enter__()
        self._busy = busy
        self._timer = asyncio.get_running_loop().call_later(ADVERTISING_S, self._hear)

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._busy is not None:
            self._busy.__exit__(None, None, None)
        self._busy = None

    def _hear(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(ADVERTISING_S, self._hear)
        for module in list(self.air.modules.values()):
            if module.advertises and module.central is None:
                data = AdvertisementData(module.name, {}, {}, [module.profile.service_uuid], None, -60, ())
                device = self.create_or_update_device(module.address, module.address, module.name, None, data)
                self.call_detection_callbacks(device, data)


class Client(BaseBleakClient):
    """A central's side of a connection; `ours` is false where it is another machine's."""

    air: Air
    ours = True

    def __init__(self, address_or_ble_device: BLEDevice | str, **kwargs: Any) -> None:
        super().__init__(address_or_ble_device, **{key: kwargs[key] for key in ("disconnected_callback", "timeout")})
        self._module: Module | None = None
        self._callback: NotifyCallback | None = None

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return 23

    @property
    def is_connected(self) -> bool:
        return self._module is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        module = self.air.modules[self.address]
        self.air.attempts.append((asyncio.get_running_loop().time(), self.address))
        with self.air.busy():
            await asyncio.sleep(CONNECTING_S)
            if not module.connects:
                await asyncio.get_running_loop().create_future()
            if module.central is not None and not module.central.ours:
                raise BleakError("org.bluez.Error.Failed", "le-connection-abort-by-remote")
            module.connected(self)
            self._module = module
            if not module.discovers:
                await asyncio.get_running_loop().create_future()
        self.services = _services(module)

    async def disconnect(self) -> None:
        await asyncio.sleep(0.05 if self._module is None else self._module.disconnecting_s)
        central = self._module.central if self._module is not None else None
        if self._module is not None and central is not None and central.ours == self.ours:
            self._module.hang_up()  # the system disconnects a device, whichever program connected to it

    def dropped(self) -> None:
        """Learn of the end; BlueZ's backend tells of every one, wanted or not."""
        self._module = self._callback = None
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    def notify(self, data: bytes) -> None:
        """Deliver a notification."""
        if self._callback is not None:
            self._callback(bytearray(data))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        module = self._at_hand()
        assert characteristic.uuid == normalize_uuid_str(module.profile.write)
        assert response == module.answers_writes
        if len(data) > module.takes_bytes:
            raise BleakError("org.bluez.Error.InvalidArguments", f"{len(data)} bytes do not fit")
        if not module.takes_writes:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0.01)
        self._at_hand().hear(bytes(data))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any) -> None:
        module = self._at_hand()
        assert characteristic.uuid == normalize_uuid_str(module.profile.notify)
        await asyncio.sleep(0.02)
        module.notifies_from_s = asyncio.get_running_loop().time()
        self._callback = callback

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        self._callback = None

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **kwargs: Any) -> bytearray:
        raise NotImplementedError

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, **kwargs: Any) -> bytearray:
        raise NotImplementedError

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        raise NotImplementedError

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    async def unpair(self) -> None:
        raise NotImplementedError

    def _at_hand(self) -> Module:
        if self._module is None:
            raise BleakError("Not connected")
        return self._module


def _services(module: Module) -> BleakGATTServiceCollection:
    """Return what service discovery finds: the serial service, behind the device's own."""
    found = BleakGATTServiceCollection()
    for handle, uuid in ((1, "1800"), (10, module.profile.service)):
        found.add_service(BleakGATTService(None, handle, normalize_uuid_str(uuid)))
    service = found.services[10]
    write = "write" if module.answers_writes else "write-without-response"
    for handle, uuid, properties in ((11, module.profile.notify, ["notify"]), (14, module.profile.write, [write])):
        characteristic = BleakGATTCharacteristic(
            None,
            handle,
            normalize_uuid_str(uuid),
            properties,  # type: ignore[arg-type]
            lambda: module.takes_bytes,
            service,
        )
        found.add_characteristic(characteristic)
    return found


def other_central(air: Air, module: Module) -> Client:
    """Return another machine's connection to `module`: a phone that is nearer."""
    central: Client = type("OtherClient", (Client,), {"air": air, "ours": False})(
        module.address, disconnected_callback=None, timeout=1.0
    )
    module.connected(central)
    return central
