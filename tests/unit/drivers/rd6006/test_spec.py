"""The keys of a supply in a configuration file: read, and each fault with its place and what would be right."""

import pytest

from bosd.bal.spec import PhysicalSpec
from bosd.clock import SystemClock
from bosd.config.topology_toml import format_topology, parse_topology
from bosd.drivers.devices import make_device
from bosd.drivers.kind import DriverContext
from bosd.drivers.lines import Lines
from bosd.drivers.rd6006.spec import Rd6006Spec
from bosd.drivers.regulated import Regulated
from bosd.errors import ConfigError

SUPPLY = 'port = "/dev/ttyUSB1", max_current_a = 5.0, max_voltage_v = 14.6'


def battery(supply: str = SUPPLY, more: str = "", charge: str = "5.0") -> str:
    """Return a pack that a supply charges."""
    return f"""
[[battery]]
name = "b1"
kind = "jbd"
port = "/dev/ttyUSB0"
current_control = "external"
max_discharge_current_a = 60.0
max_charge_current_a = {charge}
regulator = {{ kind = "rd6006", {supply} }}
{more}
"""


def only(text: str) -> PhysicalSpec:
    """Return the one battery of a topology."""
    (spec,) = parse_topology(text).batteries
    assert isinstance(spec, PhysicalSpec)
    return spec


def test_keys_and_usual_values() -> None:
    """115200 baud and address 1 unless told otherwise; written and read again it is the same."""
    spec = only(battery())
    assert spec.regulator == Rd6006Spec(port="/dev/ttyUSB1", max_current_a=5.0, max_voltage_v=14.6, baud=115200, address=1)
    assert parse_topology(format_topology(parse_topology(battery()))) == parse_topology(battery())
    assert only(battery(f"{SUPPLY}, baud = 9600, address = 7")).regulator == Rd6006Spec(
        port="/dev/ttyUSB1", max_current_a=5.0, max_voltage_v=14.6, baud=9600, address=7
    )


def test_its_device() -> None:
    """The pack's driver, and the supply beside it, both still closed."""
    device = make_device(only(battery()), DriverContext(SystemClock(), Lines()))
    assert isinstance(device, Regulated)
    assert device.hold_s is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (battery('port = "/dev/x", max_voltage_v = 14.6'), 'battery[0] "b1".regulator.max_current_a: missing'),
        (battery('port = "/dev/x", max_current_a = 5.0'), 'battery[0] "b1".regulator.max_voltage_v: missing'),
        (battery(f"{SUPPLY}, voltage = 3"), 'battery[0] "b1".regulator.voltage: unknown key'),
        (battery(SUPPLY.replace("5.0", "0.0"), charge="0.0"), "0.0 is no current of such a supply: above 0, at most 24 A"),
        (battery(SUPPLY.replace("14.6", "61.0")), "61.0 is no voltage of such a supply: above 0, at most 60 V"),
        (battery(f"{SUPPLY}, address = 248"), "248 is no address of a Modbus device: 1 to 247"),
        (battery(f"{SUPPLY}, baud = 1"), "these supplies use 115200"),
        (battery(SUPPLY.replace("/dev/ttyUSB1", "ttyUSB1")), "'ttyUSB1' is no device path; write /dev/ttyUSB1"),
        (battery(charge="6.0"), '"b1".max_charge_current_a: 6.0 A is above the regulator\'s max_current_a, 5.0 A'),
        (battery(more="safe_current_a = 1.0"), '"b1".safe_current_a: 1.0 A would discharge; a supply only charges'),
        (battery(more="follow_within_s = 0.0"), '"b1".follow_within_s: 0.0 is not above 0'),
    ],
)
def test_faults(text: str, fault: str) -> None:
    """Each names its key."""
    with pytest.raises(ConfigError) as caught:
        parse_topology(text)
    assert fault in caught.value.message
