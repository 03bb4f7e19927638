"""Splits and merges in any order, over sources that hold more or less than expected: invariants 1 and 3 of bal.md."""

from hypothesis import given
from hypothesis import strategies as st

from bosd.bal.directory import Directory
from bosd.bal.edits import EditOperation, apply_edits
from bosd.bal.portions import Merge, Recuts, Split
from bosd.bal.spec import PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.bal.spec_rules import FRACTION_KINDS, fraction_of
from bosd.bal.status import BatteryStatus
from bosd.config.topology_toml import format_topology, parse_topology
from bosd.errors import RequestError
from bosd.policy.registry import POLICY_NAMES, policy
from tests.support.bal_makers import physical

SLACK = 1e-9
parts = st.floats(0.0, 1.0)
steps = st.one_of(
    st.tuples(st.just("split"), st.integers(0, 9), st.integers(0, 10), parts, st.one_of(st.none(), parts)),
    st.tuples(st.just("merge"), st.integers(0, 9), st.integers(0, 9), parts, st.none()),
    st.tuples(st.just("report"), st.just(0), st.just(0), parts, parts),
    st.tuples(st.just("run"), st.integers(0, 9), st.just(0), st.floats(-5.0, 5.0), st.none()),
)


class House:
    """200 Ah split by one policy; time goes on by half an hour with each current that is set."""

    def __init__(self, kind: str) -> None:
        self.now_s = 0.0
        self.made = 0
        self.directory = Directory(lambda spec: physical(spec.name), policy)
        source = PseudoSpec(
            name="s", voltage_v=48.0, charge_ah=100.0, capacity_ah=200.0, max_discharge_current_a=50.0, max_charge_current_a=40.0
        )
        first = (PartitionSpec(name="a", fraction=0.6), PartitionSpec(name="b", fraction=0.4))
        splitter = SplitterSpec(name="sp", policy=kind, source="s", partitions=first)
        self.directory.change(Topology(batteries=(source,), splitters=(splitter,)), 0.0)
        self.read()

    @property
    def names(self) -> list[str]:
        """The partitions, top first."""
        return [part.name for part in self.directory.topology.splitters[0].partitions]

    def read(self) -> dict[str, BatteryStatus]:
        """Return all statuses."""
        return {battery.name: battery.status(self.now_s) for battery in self.directory}

    def edit(self, edit: EditOperation) -> bool:
        """Apply an edit; return whether it was accepted."""
        recuts = Recuts(lambda splitter: self.directory.portions(splitter, self.now_s))
        try:
            topology = apply_edits(self.directory.topology, [edit], recuts=recuts)
        except RequestError:
            return False
        self.directory.change(topology, self.now_s, recuts.steps())
        return True

    def step(self, what: str, one: int, two: int, amount: float, more: float | None) -> None:
        """Do one of the random steps; after a split or a merge nobody else has anything else."""
        before, names = self.read(), self.names
        name = names[one % len(names)]
        if what == "report":
            capacity_ah = 100.0 + 200.0 * (more or 0.0)
            self.directory["s"].modify({"capacity_ah": capacity_ah, "charge_ah": amount * capacity_ah}, self.now_s)  # type: ignore[attr-defined]
        elif what == "run":
            self._run(name, amount)
        elif what == "merge":
            other = names[two % len(names)]
            if self.edit(Merge(name=name, into=other)):
                self._unchanged(before, {name, other})
        else:
            self.made += 1
            has = before[name]
            split = Split(
                splitter="sp",
                name=f"n{self.made}",
                donor=name,
                above=names[two] if two < len(names) else "",
                capacity_ah=amount * (has.capacity_ah or 0.0),
                max_discharge_current_a=None if more is None else more * (has.ideal_max_discharge_current_a or 0.0),
            )
            assert self.edit(split)
            self._unchanged(before, {name, split.name})

    def _run(self, name: str, current_a: float) -> None:
        """Have one partition run a current for half an hour, as its source does, then rest."""
        splitter, source, part = self.directory.splitters["sp"], self.directory["s"], self.directory[name]
        for applied_a in (current_a, 0.0):
            splitter.step(self.now_s)
            part.applied_a = applied_a
            part.touch()
            source.apply(applied_a, self.now_s)  # type: ignore[attr-defined]
            self.now_s += 1800.0
            self.read()

    def _unchanged(self, before: dict[str, BatteryStatus], concerned: set[str]) -> None:
        after = self.read()
        for name in before.keys() - concerned:
            old, new = before[name], after[name]
            for was, now in (
                (old.charge_ah, new.charge_ah),
                (old.capacity_ah, new.capacity_ah),
                (old.expected_ah(self.now_s), new.expected_ah(self.now_s)),
                (old.ideal_max_discharge_current_a, new.ideal_max_discharge_current_a),
                (old.ideal_max_charge_current_a, new.ideal_max_charge_current_a),
            ):
                assert abs((was or 0.0) - (now or 0.0)) <= 1e-8, name

    def check(self) -> None:
        """Hold what always holds."""
        statuses = self.read()
        source, made = statuses["s"], [statuses[name] for name in self.names]
        unallocated_ah = source.unallocated_ah or 0.0
        assert abs(sum(each.charge_ah or 0.0 for each in made) + unallocated_ah - (source.charge_ah or 0.0)) <= 1e-8
        assert abs(sum(each.capacity_ah or 0.0 for each in made) - (source.capacity_ah or 0.0)) <= 1e-8
        assert all(-SLACK <= (each.charge_ah or 0.0) <= (each.capacity_ah or 0.0) + SLACK for each in made)
        unattributed_ah = self.directory.splitters["sp"].accounts.unattributed_ah
        metered_ah = sum(each.expected_ah(self.now_s) or 0.0 for each in made) + unattributed_ah
        assert abs(metered_ah - (source.expected_ah(self.now_s) or 0.0)) <= 1e-8
        for kind in FRACTION_KINDS:
            fractions = [fraction_of(part, kind) or 0.0 for part in self.directory.topology.splitters[0].partitions]
            assert abs(sum(fractions) - 1.0) <= 1e-6
        assert parse_topology(format_topology(self.directory.topology)) == self.directory.topology


@given(st.sampled_from(sorted(POLICY_NAMES)), st.lists(steps, max_size=12))
def test_nothing_is_lost_and_nobody_else_is_touched(kind: str, todo: list[tuple[str, int, int, float, float | None]]) -> None:
    """Parts add up to the source after every step; the file form always reads back the same."""
    house = House(kind)
    for step in todo:
        house.step(*step)
        house.check()
