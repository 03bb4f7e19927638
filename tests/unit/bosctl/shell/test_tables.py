"""What `make` turns into: TOML that the configuration's own reader takes."""

from bosd.bal.spec import AggregatorSpec, JbdSpec, NetworkSpec, NullSpec, PartitionSpec, PseudoSpec, SplitterSpec
from bosd.config.topology_toml import parse_topology
from clients.bosctl.shell import tables


def test_tables_read_back() -> None:
    """Each kind of battery comes back with the words of its line; a pack gets 100 A both ways and no current control."""
    assert parse_topology(tables.null_table("n", 12.0)).batteries == (NullSpec(name="n", voltage_v=12.0),)
    (pack,) = parse_topology(tables.jbd_table("b", "UART", "/dev/ttyUSB0")).batteries
    assert isinstance(pack, JbdSpec)
    assert (pack.port, pack.current_control) == ("/dev/ttyUSB0", "none")
    assert (pack.max_discharge_current_a, pack.max_charge_current_a) == (100.0, 100.0)
    assert "tcp://10.0.0.9:23" in tables.jbd_table("b", "TCP", "10.0.0.9:23")
    (pseudo,) = parse_topology(tables.pseudo_table("p", {"voltage_v": 13.0, "current_a": 1.0})).batteries
    assert pseudo == PseudoSpec(
        name="p", voltage_v=13.0, charge_ah=0.0, capacity_ah=0.0, max_discharge_current_a=0.0, max_charge_current_a=0.0
    )
    (aggregator,) = parse_topology(tables.aggregator_table("a", ["x", "y'"], 13.0, 0.5)).batteries
    assert aggregator == AggregatorSpec(name="a", sources=("x", "y'"), voltage_v=13.0, voltage_tolerance_v=0.5)
    (stub,) = parse_topology(tables.network_table("r", "sp2b'", "::1", 4004)).batteries
    assert stub == NetworkSpec(name="r", target="[::1]:4004", remote_name="sp2b'")


def test_a_tranche_policy_is_the_tranched_one() -> None:
    """The language's `tranche` is `tranched`, and the first partition holds everything."""
    (splitter,) = parse_topology(tables.splitter_table("sp", "tranche", "src", "p1")).splitters
    assert splitter == SplitterSpec(
        name="sp", policy="tranched", source="src", partitions=(PartitionSpec(name="p1", fraction=1.0),)
    )
