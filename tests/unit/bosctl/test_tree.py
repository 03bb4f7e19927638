from bosd.v1 import topology_pb2 as pb
from clients.bosctl.tree import ASCII_GUIDES, tree_lines


def entries(rests_on: dict[str, list[str]]) -> list[pb.TopologyEntry]:
    """Return the entries of a topology given as name to sources."""
    users: dict[str, list[str]] = {name: [] for name in rests_on}
    for name, sources in rests_on.items():
        for source in sources:
            users.setdefault(source, []).append(name)
    return [pb.TopologyEntry(name=name, sources=sources, users=users[name]) for name, sources in rests_on.items()]


def labels(rests_on: dict[str, list[str]]) -> list[str]:
    """Return the first cells of the tree."""
    return [line.label for line in tree_lines(entries(rests_on), ASCII_GUIDES)]


def test_sources_stand_below_their_user() -> None:
    """Free batteries begin a line, what they rest on is indented."""
    assert labels({"b1": [], "b2": [], "inner": ["b1", "b2"], "agg": ["inner", "b3"], "b3": [], "n": []}) == [
        "agg",
        "|- inner",
        "|  |- b1",
        "|  `- b2",
        "`- b3",
        "n",
    ]


def test_a_shared_source_unfolds_once() -> None:
    """Partitions of one source: the second one points at the first."""
    assert labels({"b": [], "agg": ["b"], "p1": ["agg"], "p2": ["agg"]}) == ["p1", "`- agg", "   `- b", "p2", "`- agg (above)"]


def test_every_battery_is_named_even_in_a_circle() -> None:
    """A topology that should not be is shown, not an endless line."""
    assert labels({"x": ["y"], "y": ["x"]}) == ["x", "`- y", "   `- x (above)"]


def test_a_source_of_another_node_is_left_out() -> None:
    """Names that are not in the list cannot be unfolded."""
    assert labels({"a": ["elsewhere"]}) == ["a"]


def test_a_long_chain_is_no_recursion() -> None:
    """Ten thousand aggregators on top of each other are still lines."""
    chain = {f"n{depth}": [f"n{depth + 1}"] for depth in range(9999)} | {"n9999": []}
    assert len(labels(chain)) == 10_000
