"""The configuration that `bosd detect` writes."""

from pathlib import Path

import pytest

from bosd.bal.spec import JbdSpec
from bosd.config import load_config
from bosd.detect.hunt import Outcome, Target
from bosd.detect.writing import configuration, write
from bosd.drivers.probe import Found
from bosd.errors import InvalidArgumentError


def found(port: str, **values: object) -> Outcome:
    """Return a JBD pack that was found."""
    known: dict[str, object] = {
        "kind": "jbd",
        "role": "battery",
        "baud": 9600,
        "found": Found(model="JBD", cells=4, voltage_v=13.2),
    }
    known["target"] = Target(port=port, address=port)
    return Outcome(state="found", **(known | values))  # type: ignore[arg-type]


def test_good_as_it_is(tmp_path: Path) -> None:
    """What is written loads: each battery read only, at its speed, by the address that stays; what was silent is not in it."""
    path = tmp_path / "bosd.toml"
    usb = Target(port="/dev/ttyUSB0", address="usb:A10K3X7Y", label='FT232R "USB"\nUART\x07')
    outcomes = [
        found("", target=usb, baud=19200),
        found("ble://A4:C1:37:04:2D:BE"),
        found("tcp://gw:23"),
        Outcome(target=Target(port="/dev/ttyUSB1", address="/dev/ttyUSB1"), state="silent"),
    ]
    write(outcomes, path)
    batteries = load_config(path).topology.batteries
    assert [(spec.name, spec.port, spec.baud) for spec in batteries if isinstance(spec, JbdSpec)] == [
        ("pack1", "usb:A10K3X7Y", 19200),
        ("pack2", "ble://A4:C1:37:04:2D:BE", 9600),
        ("pack3", "tcp://gw:23", 9600),
    ]
    assert all(isinstance(spec, JbdSpec) and spec.current_control == "none" for spec in batteries)
    assert oct(path.stat().st_mode & 0o777) == "0o644"
    assert list(tmp_path.iterdir()) == [path]


def test_two_identical_packs(tmp_path: Path) -> None:
    """Packs of one model are told apart by name and port, never by what they call themselves (complaint 9)."""
    path = tmp_path / "bosd.toml"
    write([found("ble://A4:C1:37:04:2D:BE"), found("ble://A4:C1:37:04:2D:BF")], path)
    batteries = load_config(path).topology.batteries
    assert [(spec.name, spec.port) for spec in batteries if isinstance(spec, JbdSpec)] == [
        ("pack1", "ble://A4:C1:37:04:2D:BE"),
        ("pack2", "ble://A4:C1:37:04:2D:BF"),
    ]


def test_a_regulator_is_told_of(tmp_path: Path) -> None:
    """A supply is written as a comment with the table that a battery would get: it belongs to one, which only a person knows."""
    supply = found("/dev/ttyUSB2", kind="rd6006", role="regulator", found=Found(model="RD6006", keys={"address": 1}))
    text = configuration([found("/dev/ttyUSB0"), supply], "x.toml")
    assert '#   regulator = { kind = "rd6006", port = "/dev/ttyUSB2", address = 1 }' in text
    path = tmp_path / "x.toml"
    write([found("/dev/ttyUSB0"), supply], path)
    assert len(load_config(path).topology.batteries) == 1


def test_replaces_nothing(tmp_path: Path) -> None:
    """A file that is there stays as it is."""
    path = tmp_path / "bosd.toml"
    path.write_text("mine")
    with pytest.raises(InvalidArgumentError, match="exists and is not replaced"):
        write([found("/dev/ttyUSB0")], path)
    assert path.read_text() == "mine"
    with pytest.raises(InvalidArgumentError, match="cannot be written"):
        write([found("/dev/ttyUSB0")], tmp_path / "nowhere" / "bosd.toml")
    assert list(tmp_path.iterdir()) == [path]
