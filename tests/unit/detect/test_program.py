"""`bosd detect` with the means of the outside world given."""

import json
from pathlib import Path

import pytest

from bosd.detect.program import Means, Request, run
from bosd.drivers.ble_modules import DH04, JBD, Advert
from bosd.drivers.transport import ByteTransport, MemoryTransport
from bosd.drivers.usb_ports import SerialPort
from bosd.errors import UnavailableError
from tests.support.jbd_frames import FakeBoard, reply

PORTS = [
    SerialPort(device="/dev/ttyUSB0", serial_number="A10K3X7Y", product="FT232R"),
    SerialPort(device="/dev/ttyUSB1", product="CH340"),
]


def means(*answering: str, heard: tuple[Advert, ...] = (), radio: bool = True) -> Means:
    """Return a world in which boards answer on the ports `answering`."""

    def opened(port: str, _baud: int) -> ByteTransport:
        board = FakeBoard()
        board.answers[5] = reply(5, b"JBD-UP16S")
        transport = MemoryTransport(board.respond if port in answering else lambda _request: b"", port=port)
        transport.reply_s = transport.gap_s = transport.byte_s = 0.0001
        return transport

    async def scan(_seconds: float, hear: object) -> None:
        if not radio:
            raise UnavailableError("no Bluetooth: the adapter is switched off")
        for advert in heard:
            hear(advert)  # type: ignore[operator]

    return Means(list_ports=lambda: PORTS, open_transport=opened, scan=scan)


def test_all_ports(capsys: pytest.CaptureFixture[str]) -> None:
    """Without names every serial port is asked; the result has the address that stays, and progress goes elsewhere."""
    assert run(Request(as_json=True), means("/dev/ttyUSB0")) == 0
    output = capsys.readouterr()
    ports = json.loads(output.out.splitlines()[-1])["ports"]
    assert [(port["port"], port["state"], port["name"], port["voltage_v"]) for port in ports] == [
        ("usb:A10K3X7Y", "found", "JBD-UP16S", 13.2),
        ("/dev/ttyUSB1", "silent", None, None),
    ]
    assert "usb:A10K3X7Y: asks for jbd at 9600 baud" in output.err
    assert "/dev/ttyUSB1: asks for jbd at 115200 baud" in output.err


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """People get a table, and what to do about what was not found."""
    assert run(Request(), means("/dev/ttyUSB0")) == 0
    output = capsys.readouterr().out
    assert "JBD-UP16S" in output
    assert "13.20 V" in output
    assert "/dev/ttyUSB1: silent" in output
    assert "is the pack awake" in output


def test_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Where nothing answers the exit status is 1 and nothing is written."""
    path = tmp_path / "bosd.toml"
    assert run(Request(write=path), means()) == 1
    assert not path.exists()
    assert run(Request(seconds=0.0), means()) == 2
    assert "--seconds must be above 0" in capsys.readouterr().err


def test_no_ports(capsys: pytest.CaptureFixture[str]) -> None:
    """A machine without serial ports is told what to look at."""
    assert run(Request(), Means(list_ports=list)) == 1
    assert "no serial ports here" in capsys.readouterr().err


def test_bluetooth(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Only modules that announce a board's service are connected to; without a radio the cables are asked all the same."""
    boards = "ble://A4:C1:37:04:2D:BE"
    heard = (
        Advert(address="A4:C1:37:04:2D:BE", name="my pack", rssi_dbm=-60, services=(JBD.service_uuid,)),
        Advert(address="A4:C1:37:04:2D:BF", name="a lamp", rssi_dbm=-60, services=(DH04.service_uuid,)),
    )
    path = tmp_path / "bosd.toml"
    request = Request(bluetooth=True, as_json=True, write=path)
    assert run(request, means("/dev/ttyUSB0", boards, heard=heard)) == 0
    output = capsys.readouterr()
    assert [port["port"] for port in json.loads(output.out.splitlines()[-1])["ports"]] == ["usb:A10K3X7Y", boards, "/dev/ttyUSB1"]
    assert "2 Bluetooth devices heard, 1 of them" in output.err
    assert f'port = "{boards}"' in path.read_text()
    assert run(Request(bluetooth=True), means("/dev/ttyUSB0", radio=False)) == 0
    assert "the adapter is switched off" in capsys.readouterr().err
