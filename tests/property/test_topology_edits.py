"""Topologies, their edits and their text, over random topologies."""

from hypothesis import given
from hypothesis import strategies as st

from bosd.bal.edits import Remove, add, apply_edits, diff, remove, replace
from bosd.bal.graph import Graph
from bosd.bal.spec import (
    AggregatorSpec,
    BatterySpec,
    JbdSpec,
    NetworkSpec,
    NullSpec,
    PartitionSpec,
    PseudoSpec,
    SplitterSpec,
    Topology,
)
from bosd.bal.topology import validate
from bosd.config import format_topology, parse_topology

positive = st.floats(min_value=1e-9, max_value=1e9)
ratio = st.floats(min_value=0.0, max_value=1.0)


@st.composite
def leaves(draw: st.DrawFn, name: str) -> BatterySpec:
    """One battery without sources, of any kind."""
    min_soc, max_soc = draw(ratio) / 2.1, 1.0 - draw(ratio) / 2.1
    kind = draw(st.sampled_from(["null", "pseudo", "jbd", "network"]))
    if kind == "null":
        return NullSpec(name=name, voltage_v=draw(positive))
    if kind == "network":
        return NetworkSpec(name=name, target="host:4004", remote_name=name, max_staleness_s=draw(st.none() | positive))
    if kind == "jbd":
        period_s = draw(st.floats(min_value=0.1, max_value=100.0))
        charge_a = draw(st.none() | positive)
        return JbdSpec(name=name, port=f"/dev/{name}", refresh_period_s=period_s, max_charge_current_a=charge_a, max_soc=max_soc)
    capacity_ah = draw(positive)
    limits_a = draw(positive), draw(positive)
    return PseudoSpec(
        name=name,
        voltage_v=draw(positive),
        charge_ah=draw(ratio) * capacity_ah,
        capacity_ah=capacity_ah,
        max_discharge_current_a=limits_a[0],
        max_charge_current_a=limits_a[1],
        safe_current_a=draw(st.sampled_from([0.0, limits_a[0], -limits_a[1]])),
        min_soc=min_soc,
        max_soc=max_soc,
    )


def fractions(draw: st.DrawFn, count: int) -> list[float]:
    """Random parts of one."""
    weights = [draw(st.integers(min_value=1, max_value=9)) for _ in range(count)]
    return [weight / sum(weights) for weight in weights]


@st.composite
def topologies(draw: st.DrawFn, prefix: str = "b") -> Topology:
    """A valid topology: leaves, then aggregates and splitters of what is still free, in any written order."""
    batteries = [draw(leaves(f"{prefix}{index}")) for index in range(draw(st.integers(min_value=1, max_value=6)))]
    splitters: list[SplitterSpec] = []
    free = [spec.name for spec in batteries]
    for index in range(draw(st.integers(min_value=0, max_value=4))):
        if not free:
            break
        name = f"{prefix}v{index}"
        if draw(st.booleans()):
            members = draw(st.lists(st.sampled_from(free), min_size=1, max_size=3, unique=True))
            batteries.append(
                AggregatorSpec(name=name, sources=tuple(members), voltage_v=48.0, voltage_tolerance_v=draw(positive))
            )
            free = [each for each in free if each not in members] + [name]
        else:
            source = free.pop(draw(st.integers(min_value=0, max_value=len(free) - 1)))
            shares = fractions(draw, draw(st.integers(min_value=1, max_value=3)))
            parts = tuple(PartitionSpec(name=f"{name}p{part}", fraction=share) for part, share in enumerate(shares))
            splitters.append(SplitterSpec(name=name, policy="proportional", source=source, partitions=parts))
            free += [part.name for part in parts]
    return Topology(batteries=tuple(draw(st.permutations(batteries))), splitters=tuple(draw(st.permutations(splitters))))


@given(topologies())
def test_text_reads_back_equal(topology: Topology) -> None:
    """Every float, tuple and default survives the way through TOML."""
    validate(topology)
    assert parse_topology(format_topology(topology)) == topology


@given(topologies())
def test_order_is_topological(topology: Topology) -> None:
    """Every battery and partition stands once, after all it rests on."""
    graph = Graph(topology)
    order = graph.order()
    assert sorted(order) == sorted(graph.kinds)
    position = {name: index for index, name in enumerate(order)}
    assert all(position[source] < position[name] for name in order for source in graph.sources[name])


@given(topologies(), topologies(prefix="x"))
def test_add_then_remove_is_identity(topology: Topology, fragment: Topology) -> None:
    """Removing what was added, users first, leaves what was there."""
    after = add(topology, fragment)
    validate(after)
    owner = Graph(fragment).splitter_of
    names = dict.fromkeys(owner.get(name, name) for name in reversed(Graph(fragment).order()))
    pending = list(names)
    # a splitter goes when all its partitions' users are gone: its last partition in reverse order
    for name in sorted(pending, key=lambda each: min(_positions(fragment, each))):
        after = remove(after, name)
    assert after == topology
    assert apply_edits(add(topology, fragment), [Remove(name) for name in pending]) == topology


def _positions(topology: Topology, name: str) -> list[int]:
    """Where a battery, or a splitter's partitions, stand, negated so that the last sorts first."""
    graph = Graph(topology)
    order = graph.order()
    mine = [part for part, owner in graph.splitter_of.items() if owner == name] or [name]
    return [-min(order.index(part) for part in mine)]


@given(topologies())
def test_nothing_differs_from_itself(topology: Topology) -> None:
    """A topology has no differences from itself, nor from itself written in another order."""
    assert diff(topology, topology) == ()
    assert diff(topology, Topology(batteries=topology.batteries[::-1], splitters=topology.splitters[::-1])) == ()


@given(topologies(), topologies())
def test_differences_lead_from_old_to_new(old: Topology, new: Topology) -> None:
    """Removing, adding and replacing what the differences name turns the old topology into the new."""
    specs, wanted = _by_name(old), _by_name(new)
    for change in diff(old, new):
        if change.action == "remove":
            del specs[change.name]
        else:
            assert (change.name in specs) == (change.action == "replace")
            assert change.detail or change.action == "add"
            specs[change.name] = wanted[change.name]
    assert specs == wanted


def _by_name(topology: Topology) -> dict[str, BatterySpec | SplitterSpec]:
    """All specifications."""
    specs: list[BatterySpec | SplitterSpec] = [*topology.batteries, *topology.splitters]
    return {spec.name: spec for spec in specs}


@given(topologies(), st.data())
def test_replacing_by_itself_changes_nothing(topology: Topology, data: st.DataObject) -> None:
    """Replacing a specification by an equal one is the identity."""
    spec = data.draw(st.sampled_from(list(_by_name(topology).values())))
    assert replace(topology, spec.name, spec) == topology


@given(st.lists(st.tuples(st.integers(min_value=0, max_value=7), st.integers(min_value=0, max_value=7)), max_size=16))
def test_cycles_are_always_found(edges: list[tuple[int, int]]) -> None:
    """A graph has a cycle exactly when some battery can reach itself, and the cycle given is one."""
    sources = {user: tuple(dict.fromkeys(f"b{low}" for high, low in edges if high == user)) for user in range(8)}
    batteries: list[BatterySpec] = [
        AggregatorSpec(name=f"b{user}", sources=below, voltage_v=1.0, voltage_tolerance_v=1.0) for user, below in sources.items()
    ]
    cycle = Graph(Topology(batteries=tuple(batteries))).cycle()
    assert bool(cycle) == any(_reaches(edges, start) for start in range(8))
    for name, below in zip(cycle, (*cycle[1:], *cycle[:1]), strict=True):
        assert below in sources[int(name[1:])]


def _reaches(edges: list[tuple[int, int]], start: int) -> bool:
    """Whether a walk of one step or more leads back, by closure over sets."""
    seen: set[int] = set()
    front = {low for high, low in edges if high == start}
    while front:
        seen |= front
        front = {low for high, low in edges if high in front} - seen
    return start in seen
