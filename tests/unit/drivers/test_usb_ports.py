"""USB adapters by serial number: which port that is now, and what is said when there is none."""

import asyncio
from pathlib import Path

import pytest

from bosd.clock import SystemClock
from bosd.drivers import usb_ports
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.line import Line
from bosd.drivers.transport import open_transport
from bosd.drivers.usb_ports import SerialPort, find_usb, list_serial_ports, stable_address
from bosd.errors import UnavailableError

FTDI = SerialPort(device="/dev/ttyUSB0", serial_number="A10K3X7Y", product="FT232R USB UART")
FOUR = [SerialPort(device=f"/dev/ttyUSB{4 + number}", serial_number="FT4232", interface=number) for number in range(4)]
CLONE = SerialPort(device="/dev/ttyUSB1", product="USB Serial")


def test_found_under_any_name() -> None:
    """The serial number decides, whatever the adapter is called now."""
    assert find_usb("usb:A10K3X7Y", [CLONE, FTDI]) == "/dev/ttyUSB0"
    moved = SerialPort(device="/dev/ttyUSB7", serial_number="A10K3X7Y")
    assert find_usb("usb:A10K3X7Y", [CLONE, moved, *FOUR]) == "/dev/ttyUSB7"


def test_one_of_several_ports() -> None:
    """An adapter with several ports needs the interface, and says so."""
    assert find_usb("usb:FT4232/2", FOUR) == "/dev/ttyUSB6"
    with pytest.raises(UnavailableError, match=r"usb:FT4232: 4 ports have this serial number.*as in usb:FT4232/0"):
        find_usb("usb:FT4232", FOUR)


def test_twins() -> None:
    """Two adapters with one serial number, as cheap ones have, are told apart by the socket, not guessed at."""
    twins = [SerialPort(device=f"/dev/ttyUSB{number}", serial_number="0001") for number in range(2)]
    with pytest.raises(UnavailableError, match="/dev/ttyUSB0, /dev/ttyUSB1: take a name under /dev/serial/by-path"):
        find_usb("usb:0001", twins)


def test_missing() -> None:
    """An adapter that is not there is named, with those that are."""
    with pytest.raises(UnavailableError, match=r"usb:B22: no USB adapter .*: usb:A10K3X7Y \(/dev/ttyUSB0\)$"):
        find_usb("usb:B22", [CLONE, FTDI])
    with pytest.raises(UnavailableError, match=r"with one: none$"):
        find_usb("usb:B22", [CLONE])


def test_the_address_that_stays(tmp_path: Path) -> None:
    """A serial number where it is unique, else a link by id or by socket, else the path."""
    ports = {name: tmp_path / name for name in ("ttyUSB0", "ttyUSB1", "ttyUSB2")}
    for path in ports.values():
        path.touch()
    by_id, by_path = tmp_path / "by-id", tmp_path / "by-path"
    for folder in (by_id, by_path):
        folder.mkdir()
    (by_id / "usb-clone-if00").symlink_to(ports["ttyUSB1"])
    (by_path / "pci-usb-0:1.2").symlink_to(ports["ttyUSB2"])
    numbers = {"ttyUSB0": "A1", "ttyUSB1": None, "ttyUSB2": "0001"}
    here = [SerialPort(device=str(path), serial_number=numbers[name]) for name, path in ports.items()]
    links = (by_id, by_path)
    assert stable_address(str(ports["ttyUSB0"]), here, links) == "usb:A1"
    assert stable_address(str(ports["ttyUSB1"]), here, links) == str(by_id / "usb-clone-if00")
    assert stable_address(str(ports["ttyUSB2"]), here, links) == "usb:0001"
    twin = SerialPort(device=str(tmp_path / "ttyUSB3"), serial_number="0001")
    assert stable_address(str(ports["ttyUSB2"]), [*here, twin], links) == str(by_path / "pci-usb-0:1.2")
    assert stable_address("/dev/ttyAMA0", here, links) == "/dev/ttyAMA0"


def test_this_machine() -> None:
    """Listing the machine's own ports works with and without any."""
    assert all(port.device.startswith("/dev/") for port in list_serial_ports())


async def test_unplugged_and_back_under_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that is pulled and comes back as another device is read on: its serial number is looked up at each opening."""
    plugged: list[SerialPort] = []
    monkeypatch.setattr(usb_ports, "list_serial_ports", lambda: plugged)
    line = Line(open_transport("usb:A10K3X7Y"))
    driver = JbdDriver(line, SystemClock(), name="b1")
    with pytest.raises(UnavailableError, match="usb:A10K3X7Y: no USB adapter"):
        await driver.read()
    for number in range(3):
        link = tmp_path / f"ttyUSB{number}"
        async with JbdSimulator(SimulatorOptions(link=link, baud=115200, turnaround_ms=(1.0, 2.0))):
            plugged[:] = [CLONE, SerialPort(device=str(link), serial_number="A10K3X7Y")]
            assert (await driver.read()).cells_v is not None
        plugged.clear()
        async with asyncio.timeout(5):
            while line.counters["losses"] <= number:  # noqa: ASYNC110  the counter is what the test waits for
                await asyncio.sleep(0.01)
        with pytest.raises(UnavailableError, match="usb:A10K3X7Y: no USB adapter"):
            await driver.read()
    assert line.counters["opens"] == 3
    await driver.close()
