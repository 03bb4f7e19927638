"""What a topology may be, and its edits."""

import dataclasses

import pytest

from bosd.bal.edits import Add, EditOperation, Remove, Replace, Whole, add, apply_edits, diff, remove, replace
from bosd.bal.graph import Graph, order, users_of
from bosd.bal.spec import (
    AggregatorSpec,
    BatterySpec,
    JbdSpec,
    NetworkSpec,
    NullSpec,
    PartitionSpec,
    PseudoSpec,
    RegulatorSpec,
    SimulatedRegulatorSpec,
    SplitterSpec,
    Topology,
)
from bosd.bal.spec_rules import battery_faults, fraction_of, name_fault, splitter_faults
from bosd.bal.topology import faults, validate
from bosd.drivers.rd6006.spec import Rd6006Spec
from bosd.errors import (
    BadNameError,
    BatteryInUseError,
    CycleError,
    InvalidArgumentError,
    NameTakenError,
)


def null(name: str) -> NullSpec:
    """A battery without sources."""
    return NullSpec(name=name, voltage_v=48.0)


def aggregate(name: str, *sources: str) -> AggregatorSpec:
    """An aggregate of 48 V."""
    return AggregatorSpec(name=name, sources=sources, voltage_v=48.0, voltage_tolerance_v=1.0)


def split(name: str, source: str, *parts: str) -> SplitterSpec:
    """A source in equal parts."""
    partitions = tuple(PartitionSpec(name=part, fraction=1.0 / len(parts)) for part in parts)
    return SplitterSpec(name=name, policy="proportional", source=source, partitions=partitions)


def of(*specs: BatterySpec | SplitterSpec) -> Topology:
    """A topology of these."""
    return Topology(
        batteries=tuple(spec for spec in specs if isinstance(spec, BatterySpec)),
        splitters=tuple(spec for spec in specs if isinstance(spec, SplitterSpec)),
    )


HOUSE = of(null("b1"), null("b2"), aggregate("agg", "b1", "b2"), split("sp", "agg", "p1", "p2"), aggregate("top", "p1"))


def test_a_sound_topology_has_no_faults() -> None:
    """Aggregates of leaves, a split of one and an aggregate of a partition may be."""
    validate(HOUSE)


def test_order_puts_sources_first() -> None:
    """The order is deterministic: as written, sources before their users, partitions included."""
    scrambled = of(aggregate("top", "p1"), aggregate("agg", "b2", "b1"), null("b1"), null("b2"), split("sp", "agg", "p1", "p2"))
    assert order(scrambled) == ("b2", "b1", "agg", "p1", "top", "p2")


def test_graph_names_sources_users_and_splitters() -> None:
    """A graph tells each battery's kind, sources and users, and a partition's splitter."""
    graph = Graph(HOUSE)
    assert graph.kinds["p2"] == "partition"
    assert graph.sources["p1"] == ("agg",)
    assert graph.users == {"b1": ("agg",), "b2": ("agg",), "agg": ("sp",), "top": (), "p1": ("top",), "p2": ()}
    assert graph.splitter_of == {"p1": "sp", "p2": "sp"}
    assert users_of(HOUSE, "b1") == ("agg",)


@pytest.mark.parametrize(
    ("specs", "cycle"),
    [
        ((aggregate("a", "a"),), "a -> a"),
        ((aggregate("a", "b"), aggregate("b", "a")), "a -> b -> a"),
        ((aggregate("a", "p"), split("sp", "a", "p", "q")), "a -> p -> a"),
    ],
)
def test_a_cycle_is_refused_and_spelled(specs: tuple[BatterySpec | SplitterSpec, ...], cycle: str) -> None:
    """CYCLE names the way round, through partitions too."""
    with pytest.raises(CycleError, match=cycle) as caught:
        validate(of(*specs))
    assert caught.value.metadata["cycle"] == cycle


def test_a_missing_source_names_who_needs_it() -> None:
    """BAD_NAME carries the missing name and its user."""
    with pytest.raises(BadNameError) as caught:
        validate(of(null("b1"), aggregate("agg", "b1", "b9")))
    assert caught.value.metadata == {"name": "b9", "users": "agg"}


def test_a_splitter_is_no_battery() -> None:
    """Resting on a splitter's name is refused with its partitions."""
    with pytest.raises(BadNameError, match="p1, p2"):
        validate(of(null("b"), split("sp", "b", "p1", "p2"), aggregate("agg", "sp")))


def test_a_battery_has_one_user() -> None:
    """Two users of one battery are refused, both named."""
    with pytest.raises(BatteryInUseError) as caught:
        validate(of(null("b"), aggregate("x", "b"), split("sp", "b", "p")))
    assert caught.value.metadata == {"name": "b", "users": "x, sp"}


@pytest.mark.parametrize(
    "specs",
    [
        (null("a"), null("a")),
        (null("a"), null("b"), split("a", "b", "p")),
        (null("a"), null("p"), split("sp", "a", "p")),
        (null("a"), split("sp", "a", "sp")),
    ],
)
def test_a_name_is_given_once(specs: tuple[BatterySpec | SplitterSpec, ...]) -> None:
    """Batteries, splitters and partitions share one space of names."""
    with pytest.raises(NameTakenError):
        validate(of(*specs))


def test_an_unknown_policy_is_refused_by_name() -> None:
    """BAD_NAME lists the policies there are, which the caller supplies."""
    topology = of(
        null("b"), SplitterSpec(name="sp", policy="auction", source="b", partitions=(PartitionSpec(name="p", fraction=1.0),))
    )
    with pytest.raises(BadNameError, match="has: proportional, reserved, tranched"):
        validate(topology)
    validate(topology, {"auction"})


@pytest.mark.parametrize(("height", "good"), [(128, True), (129, False)])
def test_depth_is_bounded(height: int, good: bool) -> None:
    """At most 128 batteries rest on each other."""
    tower = of(null("b0"), *(aggregate(f"b{level}", f"b{level - 1}") for level in range(1, height)))
    if good:
        validate(tower)
    else:
        with pytest.raises(InvalidArgumentError, match="at most 128"):
            validate(tower)


def test_one_pack_is_one_battery() -> None:
    """Two batteries on one port, or two stubs of one remote battery, would count it twice."""
    ports = of(JbdSpec(name="a", port="/dev/x"), JbdSpec(name="b", port="/dev/x"))
    stubs = of(*(NetworkSpec(name=name, target="host:4004", remote_name="agg") for name in "ab"))
    for topology in (ports, stubs):
        with pytest.raises(InvalidArgumentError, match='"a" already'):
            validate(topology)


def regulated(name: str, regulator: RegulatorSpec) -> JbdSpec:
    """Return a pack whose current `regulator` sets."""
    return JbdSpec(
        name=name,
        port=f"/dev/{name}",
        current_control="external",
        max_discharge_current_a=1.0,
        max_charge_current_a=1.0,
        regulator=regulator,
    )


def test_one_regulator_is_one_battery_s() -> None:
    """Two batteries with one supply would each undo what the other is asked, a stop included; addresses tell supplies apart."""
    supply = Rd6006Spec(port="/dev/s", max_current_a=1.0, max_voltage_v=14.4)
    other = Rd6006Spec(port="/dev/s", max_current_a=1.0, max_voltage_v=14.4, address=2)
    load = SimulatedRegulatorSpec(port="/run/load")
    for regulator in (supply, load):
        with pytest.raises(
            InvalidArgumentError, match=r'"b"\.regulator: the regulator .* sets the current of battery "a" already'
        ):
            validate(of(regulated("a", regulator), regulated("b", regulator)))
    validate(of(regulated("a", supply), regulated("b", other), regulated("c", load)))


def test_a_line_has_one_speed_for_regulators_too() -> None:
    """A supply on its pack's own port, or on a line of others, has the speed of that line."""
    supply = Rd6006Spec(port="/dev/a", max_current_a=1.0, max_voltage_v=14.4)
    said = r'"a"\.regulator\.baud: 115200, but battery "a" on the same line, /dev/a, has 9600'
    with pytest.raises(InvalidArgumentError, match=said):
        validate(of(regulated("a", supply)))
    validate(of(regulated("a", dataclasses.replace(supply, baud=9600))))
    far = dataclasses.replace(supply, port="/dev/s")
    with pytest.raises(InvalidArgumentError, match=r'"b"\.regulator\.baud: 9600, but the regulator of "a" on the same line'):
        validate(of(regulated("a", far), regulated("b", dataclasses.replace(far, address=2, baud=9600))))


@pytest.mark.parametrize("name", ["b", "sp2b'", "A_1.x-y", "'", "_", "9", "n" * 63])
def test_names_that_may_be(name: str) -> None:
    """1 to 63 ASCII letters, digits, _ - . and the apostrophe."""
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["", "-b", ".b", "n" * 64, "ä", "a b", "a/b", "a\n"])
def test_names_that_may_not_be(name: str) -> None:
    """Empty, too long, beginning with - or ., or other characters."""
    assert name_fault(name) is not None


def jbd(**values: object) -> JbdSpec:
    """A pack with some keys given."""
    return JbdSpec(**({"name": "b", "port": "/dev/ttyUSB0"} | values))  # type: ignore[arg-type]


def pseudo(**values: object) -> PseudoSpec:
    """A sound pseudo battery but for some keys."""
    given = {
        "voltage_v": 48.0,
        "charge_ah": 5.0,
        "capacity_ah": 10.0,
        "max_discharge_current_a": 6.0,
        "max_charge_current_a": 4.0,
    }
    return PseudoSpec(**({"name": "p"} | given | values))  # type: ignore[arg-type]


LIMITS = {"max_discharge_current_a": 60.0, "max_charge_current_a": 40.0}
REGULATOR = SimulatedRegulatorSpec(port="/tmp/load")


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        (jbd(port="ttyUSB0"), "port"),
        (jbd(port=""), "port"),
        (jbd(port="tcp://host"), "port"),
        (jbd(port="tcp://host:0"), "port"),
        (jbd(port="tcp://host:65536"), "port"),
        (jbd(port="ble://AA:BB"), "port"),
        (jbd(port="udp://host:1"), "port"),
        (jbd(baud=0), "baud"),
        (jbd(refresh_period_s=0.0), "refresh_period_s"),
        (jbd(max_staleness_s=1.9), "max_staleness_s"),
        (jbd(max_staleness_s=-1.0), "max_staleness_s"),
        (jbd(unavailable_after_s=2.9), "unavailable_after_s"),
        (jbd(max_staleness_s=5.0, unavailable_after_s=4.0), "unavailable_after_s"),
        (jbd(max_charge_current_a=-1.0), "max_charge_current_a"),
        (jbd(max_charge_current_a=float("inf")), "max_charge_current_a"),
        (jbd(current_control="gate", max_charge_current_a=1.0), "max_discharge_current_a"),
        (jbd(current_control="external", **LIMITS), "regulator"),
        (jbd(current_control="gate", regulator=REGULATOR, **LIMITS), "regulator"),
        (jbd(current_control="gate", safe_current_a=1.0, **LIMITS), "safe_current_a"),
        (jbd(current_control="external", regulator=REGULATOR, safe_current_a=60.1, **LIMITS), "safe_current_a"),
        (jbd(current_control="external", regulator=REGULATOR, safe_current_a=-40.1, **LIMITS), "safe_current_a"),
        (jbd(min_soc=0.5, max_soc=0.5), "min_soc"),
        (jbd(max_soc=1.1), "min_soc"),
        (jbd(name="-x"), "name"),
        (pseudo(charge_ah=10.1), "charge_ah"),
        (pseudo(capacity_ah=-1.0, charge_ah=-2.0), "capacity_ah"),
        (pseudo(voltage_v=float("nan")), "voltage_v"),
        (pseudo(safe_current_a=-4.1), "safe_current_a"),
        (NullSpec(name="n", voltage_v=-1.0), "voltage_v"),
        (NullSpec(name="n", voltage_v=1.0, safe_current_a=1.0), "safe_current_a"),
        (aggregate("a"), "sources"),
        (aggregate("a", "b", "b"), "sources[1]"),
        (AggregatorSpec(name="a", sources=("b",), voltage_v=0.0, voltage_tolerance_v=1.0), "voltage_v"),
        (AggregatorSpec(name="a", sources=("b",), voltage_v=1.0, voltage_tolerance_v=-1.0), "voltage_tolerance_v"),
        (NetworkSpec(name="r", target="host", remote_name="x"), "target"),
        (NetworkSpec(name="r", target="host:0", remote_name="x"), "target"),
        (NetworkSpec(name="r", target="unix:", remote_name="x"), "target"),
        (NetworkSpec(name="r", target="host:1", remote_name=""), "remote_name"),
    ],
)
def test_a_battery_out_of_its_ranges(spec: BatterySpec, key: str) -> None:
    """Each rule of a kind names its key, and the topology refuses it."""
    assert key in [key for key, _ in battery_faults(spec)]
    with pytest.raises(InvalidArgumentError):
        validate(of(spec))


@pytest.mark.parametrize(
    "spec",
    [
        jbd(port="tcp://[::1]:80", max_staleness_s=2.0, unavailable_after_s=2.0),
        jbd(current_control="external", regulator=REGULATOR, safe_current_a=-40.0, **LIMITS),
        jbd(current_control="gate", safe="open", **LIMITS),
        pseudo(charge_ah=10.0, safe_current_a=6.0, min_soc=0.1, max_soc=0.9),
        pseudo(charge_ah=0.0, capacity_ah=0.0),
        NetworkSpec(name="r", target="unix:/run/bosd.sock", remote_name="x"),
        NetworkSpec(name="r", target="[fe80::1]:4004", remote_name="x"),
    ],
)
def test_a_battery_at_the_edge_of_its_ranges(spec: BatterySpec) -> None:
    """What lies on a bound is good."""
    assert list(battery_faults(spec)) == []


def test_fractions_fall_back_and_add_up() -> None:
    """A kind's own fraction wins, then `fraction`, then the capacity's; each kind adds up to 1."""
    top = PartitionSpec(name="p1", fraction=0.5, charge_fraction=0.2)
    bottom = PartitionSpec(name="p2", capacity_fraction=0.5, charge_fraction=0.8)
    assert [fraction_of(top, kind) for kind in ("charge", "capacity", "current")] == [0.2, 0.5, 0.5]
    assert [fraction_of(bottom, kind) for kind in ("charge", "capacity", "current")] == [0.8, 0.5, 0.5]
    assert list(splitter_faults(SplitterSpec(name="sp", policy="x", source="b", partitions=(top, bottom)))) == []


def test_fractions_that_do_not_add_up_give_the_sum() -> None:
    """The tolerance is 1e-6; beyond it the answer has the sum of each kind at fault."""
    almost = (PartitionSpec(name="p1", fraction=0.5), PartitionSpec(name="p2", fraction=0.5 + 0.9e-6))
    short = (PartitionSpec(name="p1", fraction=0.5), PartitionSpec(name="p2", fraction=0.5, current_fraction=0.4))
    assert list(splitter_faults(SplitterSpec(name="sp", policy="x", source="b", partitions=almost))) == []
    ((key, text),) = splitter_faults(SplitterSpec(name="sp", policy="x", source="b", partitions=short))
    assert key == "partitions"
    assert "current fractions add up to 0.9;" in text


@pytest.mark.parametrize(
    ("partitions", "key"),
    [
        ((), "partitions"),
        ((PartitionSpec(name="p"),), 'partitions[0] "p".fraction'),
        ((PartitionSpec(name="p", fraction=1.5),), 'partitions[0] "p".fraction'),
        ((PartitionSpec(name="p", fraction=1.0, min_soc=0.9, max_soc=0.1),), 'partitions[0] "p".min_soc'),
        ((PartitionSpec(name=".p", fraction=1.0),), 'partitions[0] ".p".name'),
    ],
)
def test_a_splitter_out_of_its_ranges(partitions: tuple[PartitionSpec, ...], key: str) -> None:
    """Faults of partitions name the partition and its key."""
    spec = SplitterSpec(name="sp", policy="proportional", source="b", partitions=partitions)
    assert [found for found, _ in splitter_faults(spec)] == [key]


def test_all_faults_are_found_at_once() -> None:
    """One pass yields every fault, not only the first."""
    found = list(faults(of(null("-"), aggregate("a", "x"), aggregate("b", "y"))))
    assert [fault.error.reason for fault in found] == ["INVALID_ARGUMENT", "BAD_NAME", "BAD_NAME"]


def test_add_refuses_a_taken_name() -> None:
    """A fragment's names are new, those of partitions too."""
    with pytest.raises(NameTakenError):
        add(HOUSE, of(null("p1")))


def test_remove_refuses_what_is_in_use() -> None:
    """A source, a splitter's source, and a splitter with a partition in use stay; the users are named."""
    for name, users in (("b1", "agg"), ("agg", "sp"), ("sp", "top")):
        with pytest.raises(BatteryInUseError) as caught:
            remove(HOUSE, name)
        assert caught.value.metadata["users"] == users


def test_remove_takes_a_splitter_whole() -> None:
    """A partition goes with its splitter only, and a free splitter goes with all its partitions."""
    with pytest.raises(InvalidArgumentError, match='remove or replace "sp"'):
        remove(HOUSE, "p2")
    free = remove(HOUSE, "top")
    assert remove(free, "sp") == of(null("b1"), null("b2"), aggregate("agg", "b1", "b2"))
    with pytest.raises(BadNameError):
        remove(HOUSE, "nobody")


def test_replace_keeps_name_and_place() -> None:
    """Any kind takes another's place; everything above it stays."""
    after = replace(HOUSE, "b1", pseudo(name="b1"))
    assert [spec.name for spec in after.batteries] == ["b1", "b2", "agg", "top"]
    assert after.batteries[0].kind == "pseudo"


def test_replace_refuses_another_name_or_nature() -> None:
    """The name stays, a partition is not replaced alone, a splitter only by a splitter."""
    with pytest.raises(InvalidArgumentError, match="keeps the name"):
        replace(HOUSE, "b1", null("b3"))
    with pytest.raises(InvalidArgumentError, match="partition of splitter"):
        replace(HOUSE, "p1", null("p1"))
    with pytest.raises(InvalidArgumentError, match="only a splitter"):
        replace(HOUSE, "sp", null("sp"))
    with pytest.raises(InvalidArgumentError, match="cannot replace"):
        replace(HOUSE, "b1", split("b1", "b2", "x"))
    with pytest.raises(NameTakenError):
        replace(HOUSE, "sp", split("sp", "agg", "p1", "b1"))


def test_a_transaction_is_checked_at_its_end() -> None:
    """Edits that only make sense together apply in any order."""
    edits: list[EditOperation] = [
        Remove("agg"),
        Remove("sp"),
        Remove("top"),
        Remove("b2"),
        Add(of(aggregate("x", "b1"), null("b3"))),
    ]
    assert apply_edits(HOUSE, edits) == of(null("b1"), aggregate("x", "b1"), null("b3"))


def test_a_transaction_that_leaves_a_user_behind_is_refused() -> None:
    """Removing a source, or a partition by replacing its splitter, is refused with the user it would leave behind."""
    with pytest.raises(BatteryInUseError, match='"b1" is in use by agg'):
        apply_edits(HOUSE, [Remove("b1")])
    with pytest.raises(BatteryInUseError, match='"p1" is in use by top'):
        apply_edits(HOUSE, [Replace("sp", of(split("sp", "agg", "p2")))])


def test_a_transaction_replaces_one_thing_and_the_whole() -> None:
    """A replacement holds one specification; the whole is the topology itself."""
    assert apply_edits(HOUSE, [Whole(of(null("z")))]) == of(null("z"))
    with pytest.raises(InvalidArgumentError, match="not 2"):
        apply_edits(HOUSE, [Replace("b1", of(null("b1"), null("b4")))])
    with pytest.raises(BadNameError):
        apply_edits(HOUSE, [Whole(of(aggregate("a", "z")))])


def test_differences_are_readable() -> None:
    """Each change names the keys with old and new value."""
    old = of(pseudo(name="p", max_charge_current_a=10.0), null("n"), jbd(name="gone"), null("s"), split("sp", "s", "x", "y"))
    new = of(
        pseudo(name="p", max_charge_current_a=12.0), jbd(name="n"), aggregate("new", "p", "n"), null("s"), split("sp", "s", "y")
    )
    assert [(each.action, each.name, each.kind, each.detail) for each in diff(old, new)] == [
        ("remove", "gone", "jbd", "port /dev/ttyUSB0"),
        ("replace", "p", "pseudo", "max_charge_current_a 10.0 -> 12.0"),
        ("replace", "n", "jbd", "kind null -> jbd"),
        ("add", "new", "aggregator", "of p, n"),
        ("replace", "sp", "splitter", "partitions [x, y] -> [y], y.fraction 0.5 -> 1.0"),
    ]


def test_differences_of_a_regulator() -> None:
    """A nested device is compared key by key."""
    old, new = (
        of(jbd(current_control="external", regulator=SimulatedRegulatorSpec(port=port), **LIMITS)) for port in ("/a", "/b")
    )
    assert [each.detail for each in diff(old, new)] == ["regulator.port /a -> /b"]
    assert diff(of(jbd()), old)[0].detail.endswith("regulator none -> simulated at /a")
