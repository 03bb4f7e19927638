"""What may stand as the port of a JBD pack, and which device that makes."""

import asyncio
from pathlib import Path

import pytest

from bosd.bal.spec import JbdSpec
from bosd.clock import LoopClock
from bosd.config import parse_topology
from bosd.drivers.ble import BleTransport
from bosd.drivers.ble_radio import Radio
from bosd.drivers.devices import make_device
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.kind import DriverContext
from bosd.drivers.lines import Lines
from bosd.drivers.transport import ByteTransport
from bosd.errors import ConfigError
from tests.support.air import Air, Module

ADDRESS = "A4:C1:37:04:2D:BE"


def pack(port: str, extra: str = "") -> str:
    """Return the table of a pack."""
    return f'[[battery]]\nname = "b1"\nkind = "jbd"\nport = "{port}"\n{extra}'


@pytest.mark.parametrize(
    "port",
    ["/dev/ttyUSB0", "usb:A10K3X7Y", "usb:FT4232/2", "tcp://gw:23", f"ble://{ADDRESS}", f"ble://hci1/{ADDRESS.lower()}"],
)
def test_good_ports(port: str) -> None:
    """Each kind of port is taken as it is written."""
    spec = parse_topology(pack(port)).batteries[0]
    assert isinstance(spec, JbdSpec)
    assert spec.port == port


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("ble://AA:BB", "write ble://AA:BB:CC:DD:EE:FF"),
        ("usb:", "write usb:SERIAL"),
        ("can://can0", "no such transport; write a device path, usb:SERIAL, tcp://host:port or ble://AA:BB:CC:DD:EE:FF"),
        ("ttyUSB0", "write /dev/ttyUSB0"),
    ],
)
def test_bad_ports(port: str, said: str) -> None:
    """What is none of them is refused with what would be right."""
    with pytest.raises(ConfigError, match=said):
        parse_topology(pack(port))


def test_a_password_belongs_to_bluetooth() -> None:
    """A password file beside a cable is refused."""
    with pytest.raises(ConfigError, match="ble_password_file: belongs to a port ble://"):
        parse_topology(pack("/dev/ttyUSB0", 'ble_password_file = "/etc/bosd/b1.password"\n'))


@pytest.mark.jumping
async def test_a_configured_pack_behind_a_locked_module(tmp_path: Path) -> None:
    """A battery table with a Bluetooth address and a password file is read through the module, and again after a restart."""
    secret = tmp_path / "password"
    text = pack(f"ble://{ADDRESS}", f'ble_password_file = "{secret}"\n')
    spec = parse_topology(text).batteries[0]
    assert isinstance(spec, JbdSpec)
    air, radio = Air(), Radio()

    def through_the_air(port: str, baud: int) -> ByteTransport:
        return BleTransport(port, radio=radio, backend=air.backend())

    context = DriverContext(LoopClock(asyncio.get_running_loop()), Lines(through_the_air))
    with pytest.raises(ConfigError, match="ble_password_file"):
        make_device(spec, context)
    secret.write_text("123456\n")
    secret.chmod(0o600)
    async with JbdSimulator(SimulatorOptions(series=12)) as board:
        module = air.add(Module(ADDRESS, board))
        module.password = "123456"  # noqa: S105 (of a module that does not exist)
        for _ in range(2):
            device = make_device(spec, context)
            sample = await device.read()
            assert len(sample.cells_v or ()) == 12
            await device.close()
        assert module.connections == 2
