"""The configuration that `bosd detect` writes."""

from pathlib import Path

import pytest

from bosd.bal.spec import JbdSpec
from bosd.config import load_config
from bosd.detect.hunt import Outcome, Target
from bosd.detect.writing import write
from bosd.drivers.probe import Found
from bosd.drivers.rd6006.spec import Rd6006Spec
from bosd.errors import ConfigError, InvalidArgumentError


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
    """A supply is proposed in a comment of the battery's table, as only a person knows the wires: what is missing is refused."""
    keys: dict[str, object] = {"max_current_a": 6.0, "max_voltage_v": 0.0}
    supply = found("/dev/ttyUSB2", kind="rd6006", role="regulator", baud=115200, found=Found(model="RD6006", keys=keys))
    path = tmp_path / "x.toml"
    write([found("/dev/ttyUSB0"), supply], path)
    assert len(load_config(path).topology.batteries) == 1
    text = path.read_text().replace("# regulator", "regulator").replace('"none"', '"external"').replace("# max_", "max_")
    path.write_text(text.replace("max_charge_current_a = 25", "max_charge_current_a = 5"))
    with pytest.raises(ConfigError, match="max_voltage_v"):
        load_config(path)
    path.write_text(path.read_text().replace("max_voltage_v = 0.0", "max_voltage_v = 14.4"))
    (spec,) = load_config(path).topology.batteries
    assert isinstance(spec, JbdSpec)
    assert spec.regulator == Rd6006Spec(port="/dev/ttyUSB2", max_current_a=6.0, max_voltage_v=14.4)


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
