"""Edits of the topology as messages."""

import pytest

from bosd.bal.portions import Merge, Split
from bosd.errors import InvalidArgumentError
from bosd.node.api import Edit
from bosd.rpc.topology_service import edits_of
from bosd.v1 import topology_pb2 as pb


def test_all_four_edits() -> None:
    """Each kind of edit arrives as what it is."""
    messages = [
        pb.TopologyEdit(add="[[battery]]"),
        pb.TopologyEdit(remove=pb.TopologyEdit.Remove(name="a")),
        pb.TopologyEdit(replace=pb.TopologyEdit.Replace(name="b", toml="x")),
        pb.TopologyEdit(whole="y"),
    ]
    assert edits_of(messages) == (
        Edit(action="add", toml="[[battery]]"),
        Edit(action="remove", name="a"),
        Edit(action="replace", name="b", toml="x"),
        Edit(action="whole", toml="y"),
    )


def test_split_and_merge() -> None:
    """What a split leaves out is None, not 0; a new partition stands last unless it says above whom."""
    messages = [
        pb.TopologyEdit(split={"splitter": "sp", "name": "n", "donor": "p", "capacity_ah": 4.0, "charge_ah": 0.0}),
        pb.TopologyEdit(split={"splitter": "sp", "name": "m", "donor": "p", "fraction": 0.5, "above": "n"}),
        pb.TopologyEdit(merge={"name": "n", "into": "p"}),
    ]
    recuts = (
        Split(splitter="sp", name="n", donor="p", capacity_ah=4.0, charge_ah=0.0),
        Split(splitter="sp", name="m", donor="p", fraction=0.5, above="n"),
        Merge(name="n", into="p"),
    )
    assert edits_of(messages) == tuple(Edit(action="recut", name=recut.name, recut=recut) for recut in recuts)


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "edits"),
        ([pb.TopologyEdit(add="x"), pb.TopologyEdit()], "edits[1]"),
        ([pb.TopologyEdit(remove=pb.TopologyEdit.Remove())], "edits[0].remove.name"),
        ([pb.TopologyEdit(replace=pb.TopologyEdit.Replace(toml="x"))], "edits[0].replace.name"),
        ([pb.TopologyEdit(split={"splitter": "sp", "name": "n"})], "edits[0].split.donor"),
        ([pb.TopologyEdit(merge={"name": "n"})], "edits[0].merge.into"),
    ],
)
def test_what_says_nothing_is_named(messages: list[pb.TopologyEdit], field: str) -> None:
    """An edit without content, or of a kind from a newer proto, is refused with its place."""
    with pytest.raises(InvalidArgumentError) as refused:
        edits_of(messages)
    assert refused.value.metadata["field"] == field
