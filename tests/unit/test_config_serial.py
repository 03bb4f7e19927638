"""Stubs that name a node by its serial: `node = "SERIAL"` in a file, and back."""

import pytest

from bosd.bal.spec import NetworkSpec
from bosd.config.topology_toml import format_topology, parse_topology
from bosd.errors import ConfigError

STUB = '[[battery]]\nname = "far"\nkind = "network"\nremote_name = "b"\n'


def test_a_serial_reads_back_as_it_was_written() -> None:
    """It is a target of its own kind inside, and `node` in every export."""
    topology = parse_topology(f'{STUB}node = "SN0012345"\n')
    (stub,) = topology.batteries
    assert isinstance(stub, NetworkSpec)
    assert stub.target == "serial:SN0012345"
    text = format_topology(topology)
    assert 'node = "SN0012345"' in text
    assert "target" not in text
    assert parse_topology(text) == topology


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ('node = "a"\ntarget = "h:1"', "give one of target and node"),
        ("node = 1", "expected the name in a node's certificate, got 1"),
        ('node = "-a"', "'-a' is no name"),
        ('node = ""', "'' is no name"),
        ("", "target: missing"),
    ],
)
def test_what_is_no_serial(keys: str, fault: str) -> None:
    """Refused with its place."""
    with pytest.raises(ConfigError) as refused:
        parse_topology(STUB + keys)
    assert fault in refused.value.message


def test_only_stubs_have_a_node() -> None:
    """Other kinds refuse the key."""
    with pytest.raises(ConfigError, match="not supported"):
        parse_topology('[[battery]]\nname = "n"\nkind = "null"\nvoltage_v = 1.0\nnode = "a"\n')
