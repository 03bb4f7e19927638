"""What the daemon tells its guard."""

import json
from typing import Any

import pytest

from bosd.bal.spec import JbdSpec, PseudoSpec, SimulatedRegulatorSpec
from bosd.errors import ConfigError
from bosd.safeguard.device_list import Devices, End, decode, devices_of, encode
from bosd.safeguard.safe_action import action_of, line_of


def commanded(**keys: Any) -> JbdSpec:
    """Return a pack with limits."""
    return JbdSpec(max_discharge_current_a=60.0, max_charge_current_a=30.0, **keys)


GATE = commanded(name="gate", port="/dev/ttyUSB0", current_control="gate", safe="open")
RELEASED = commanded(
    name="it's",
    port="tcp://host:4001",
    baud=19200,
    current_control="gate",
)
REGULATED = commanded(
    name="reg",
    port="/dev/ttyUSB1",
    current_control="external",
    regulator=SimulatedRegulatorSpec(port="/run/x"),
)
READ_ONLY = commanded(name="plain", port="/dev/ttyUSB2")
PSEUDO = PseudoSpec(
    name="p", voltage_v=13.0, charge_ah=1.0, capacity_ah=2.0, max_discharge_current_a=1.0, max_charge_current_a=1.0
)


@pytest.mark.parametrize("message", [Devices((GATE, RELEASED, REGULATED)), Devices(()), End(), End(("gate", "reg"))])
def test_a_message_is_one_line_that_reads_back(message: Devices | End) -> None:
    """Whatever the names, a message has one line end, its last byte, and says the same on the other side."""
    line = encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == message


def test_only_what_can_be_commanded_has_a_safe_action() -> None:
    """A pack that is only read and a battery in software are not listed."""
    assert devices_of([PSEUDO, GATE, READ_ONLY, REGULATED, RELEASED]) == (GATE, REGULATED, RELEASED)


def test_the_action_of_a_device() -> None:
    """A gate's is its `safe` key, a regulator's is 0 A."""
    assert [action_of(spec) for spec in (GATE, RELEASED, REGULATED)] == ["open", "release", "zero"]


def test_the_line_of_a_safe_action() -> None:
    """A gate is reached through its own port, a regulator through its own."""
    assert (line_of(GATE), line_of(REGULATED)) == ("/dev/ttyUSB0", "/run/x")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[1]", "expected"),
        (b'{"devices": 5}', "expected"),
        (b'{"devices": "", "end": []}', "expected"),
        (b'{"end": [5]}', "expected"),
        (b'{"devices": "[[battery"}', "not TOML"),
        (json.dumps({"devices": '[[battery]]\nname = "x"\nkind = "jbd"\n'}).encode(), "port"),
        (json.dumps({"devices": '[[battery]]\nname = "x"\nkind = "jbd"\nport = "/dev/x"\n'}).encode(), "no device that could"),
    ],
)
def test_a_bad_line_is_refused_with_what_is_wrong(line: bytes, said: str) -> None:
    """Every fault is a ConfigError that names the list and the fault."""
    with pytest.raises(ConfigError, match="device list") as caught:
        decode(line)
    assert said in caught.value.message
