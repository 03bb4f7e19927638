"""Topology files and edits as TOML."""

import pytest

from bosd.bal.edits import Add, Remove, Replace, Whole
from bosd.bal.spec import AggregatorSpec, JbdSpec, NullSpec, PartitionSpec, SplitterSpec, Topology
from bosd.config import format_topology, parse_edit, parse_topology
from bosd.errors import ConfigError

NULL = '[[battery]]\nname = "n"\nkind = "null"\nvoltage_v = 48.0\n'
SPLIT = '[[splitter]]\nname = "sp"\npolicy = "reserved"\nsource = "elsewhere"\npartitions = [{ name = "p", fraction = 1.0 }]\n'


def test_a_fragment_may_rest_on_what_is_elsewhere() -> None:
    """Sources and policies of a fragment are looked for when it is applied, not when it is read."""
    assert parse_topology(SPLIT) == Topology(
        splitters=(
            SplitterSpec(name="sp", policy="reserved", source="elsewhere", partitions=(PartitionSpec(name="p", fraction=1.0),)),
        )
    )


def test_a_topology_is_batteries_and_splitters_alone() -> None:
    """A whole configuration file is no topology file."""
    with pytest.raises(ConfigError, match=r"plan\.toml: node: a topology holds"):
        parse_topology("[node]\n" + NULL, "plan.toml")


def test_a_fragment_is_checked_by_itself() -> None:
    """Ranges and fractions are judged when a fragment is read."""
    with pytest.raises(ConfigError, match=r"charge fractions add up to 0\.5"):
        parse_topology(SPLIT.replace("1.0", "0.5"))


def test_what_is_written_is_short_and_reads_back() -> None:
    """Defaults are left out, order is kept, and the text is stable."""
    topology = parse_topology(NULL + SPLIT)
    text = format_topology(topology)
    assert text == NULL + "\n" + SPLIT.replace("[{ name", "[\n    { name").replace("}]", "},\n]")
    assert parse_topology(text) == topology
    assert format_topology(parse_topology(text)) == text
    assert format_topology(Topology()) == ""


def test_edits_of_each_kind() -> None:
    """An edit's TOML becomes the transaction's operation; removing needs none."""
    topology = Topology(batteries=(NullSpec(name="n", voltage_v=48.0),))
    assert parse_edit("add", "", NULL) == Add(topology)
    assert parse_edit("replace", "n", NULL) == Replace("n", topology)
    assert parse_edit("replace", "n", NULL.replace('name = "n"\n', "")) == Replace("n", topology)
    assert parse_edit("whole", "", NULL) == Whole(topology)
    assert parse_edit("remove", "n", "") == Remove("n")
    with pytest.raises(ConfigError, match="replace n: not TOML"):
        parse_edit("replace", "n", "[[")


def test_the_whole_may_be_a_configuration_file() -> None:
    """`bosctl topology apply` takes the file that the daemon was started with; what else is in it is not read."""
    settings = '[node]\nname = "x"\nlisten = 3\n[fleet]\n'
    assert parse_edit("whole", "", settings + NULL) == parse_edit("whole", "", NULL)
    with pytest.raises(ConfigError, match=r"topology: mqtt: .*take \[mqtt\] out of this file"):
        parse_edit("whole", "", "[mqtt]\n" + NULL)
    with pytest.raises(ConfigError, match=r"add: node: .*take \[node\] out of this file"):
        parse_edit("add", "", "[node]\n" + NULL)


def test_text_is_escaped() -> None:
    """Quotes, backslashes and control characters of a device path read back."""
    topology = Topology(batteries=(JbdSpec(name="b", port='/dev/"\\\x7f\x01ä\n'),))
    assert parse_topology(format_topology(topology)) == topology


AGGREGATE = (
    '[[battery]]\nname = "agg"\nkind = "aggregator"\nsources = ["b1", "b.2\'"]\nvoltage_v = 48.0\nvoltage_tolerance_v = 2.0\n'
)


def test_tables_of_numbers_by_name_read_back() -> None:
    """Ratios and least currents are tables; names that are no bare keys are quoted."""
    written = AGGREGATE + 'share = "ratio"\nshare_ratios = { "b.2\'" = 0.3, b1 = 0.7 }\nleast_current_a = { b1 = 2.0 }\n'
    topology = parse_topology(written)
    (spec,) = topology.batteries
    assert isinstance(spec, AggregatorSpec)
    assert (spec.share, dict(spec.share_ratios), spec.least_current_a) == ("ratio", {"b1": 0.7, "b.2'": 0.3}, (("b1", 2.0),))
    assert format_topology(topology) == written


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ('share = "ratio"\nshare_ratios = { b1 = 1.0 }', "share_ratios: missing: b.2'"),
        ('share = "ratio"\nshare_ratios = { b1 = 0.5, "b.2\'" = 0.4 }', "they add up to 0.9"),
        ("share_ratios = { b1 = 1.0 }", 'only share = "ratio" has them; this is "c_rate"'),
        ("share_exponent = 2.0", 'only share = "charge" has one'),
        ('share = "charge"\nshare_exponent = -1.0', "-1.0 lies outside 0 to 10"),
        ("least_current_a = { b3 = 1.0 }", "least_current_a.b3: is no source of this aggregator"),
        ("least_current_a = { b1 = -1.0 }", "least_current_a.b1: -1.0 is negative"),
        ("least_current_a = 2.0", "least_current_a: expected a table of numbers by name"),
        ('least_current_a = { b1 = "2 A" }', "least_current_a.b1: expected a number in amperes"),
        ('share = "fair"', 'expected "c_rate" or "charge" or "allowed" or "ratio"'),
    ],
)
def test_faults_of_sharing(keys: str, complaint: str) -> None:
    """Each key of sharing belongs to its policy and to the sources, and a fault says so with its place."""
    with pytest.raises(ConfigError) as refusal:
        parse_topology(AGGREGATE + keys)
    assert complaint in refusal.value.message
