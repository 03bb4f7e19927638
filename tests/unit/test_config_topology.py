"""Topology files and edits as TOML."""

import pytest

from bosd.bal.edits import Add, Remove, Replace, Whole
from bosd.bal.spec import JbdSpec, NullSpec, PartitionSpec, SplitterSpec, Topology
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


def test_text_is_escaped() -> None:
    """Quotes, backslashes and control characters of a device path read back."""
    topology = Topology(batteries=(JbdSpec(name="b", port='/dev/"\\\x7f\x01ä\n'),))
    assert parse_topology(format_topology(topology)) == topology
