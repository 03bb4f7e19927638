"""Who rests on whom in a topology.

Batteries and partitions are the nodes. An aggregator rests on its sources, a partition on its splitter's source.
"""

from collections.abc import Iterator

from bosd.bal.spec import Topology
from bosd.errors import CycleError


class Graph:
    """Who rests on whom. Names that are missing, taken twice or used twice are faults, not exceptions; the first one counts.

    `kinds`, `sources` and `users` have one entry a battery or partition, `splitter_of` one a partition; all in written order.
    """

    __slots__ = ("kinds", "policies", "sources", "splitter_of", "users")

    def __init__(self, topology: Topology) -> None:
        self.kinds: dict[str, str] = {}
        self.sources: dict[str, tuple[str, ...]] = {}
        self.splitter_of: dict[str, str] = {}
        for spec in topology.batteries:
            if spec.name not in self.kinds:
                self.kinds[spec.name] = spec.kind
                self.sources[spec.name] = spec.source_names
        for splitter in topology.splitters:
            for partition in splitter.partitions:
                if partition.name not in self.kinds:
                    self.kinds[partition.name] = "partition"
                    self.sources[partition.name] = (splitter.source,)
                    self.splitter_of[partition.name] = splitter.name
        self.users = dict.fromkeys(self.kinds, ()) | _users(topology)

    def rests_on(self, user: str, source: str) -> bool:
        """Tell whether a battery is another one, or rests on it."""
        seen: set[str] = set()
        waiting = [user]
        while waiting:
            name = waiting.pop()
            if name == source:
                return True
            if name not in seen:
                seen.add(name)
                waiting += self.sources.get(name, ())
        return False

    def order(self) -> tuple[str, ...]:
        """Return all names, sources before their users, else as written. Raises CycleError."""
        order, cycle = self._walk()
        if cycle:
            raise cycle_error(cycle)
        return order

    def cycle(self) -> tuple[str, ...]:
        """Return the names of one cycle, each resting on the next, empty when there is none."""
        return self._walk()[1]

    def levels(self) -> dict[str, int]:
        """Return each name's height: 1 for a leaf, else one above its highest source. Raises CycleError."""
        levels: dict[str, int] = {}
        for name in self.order():
            levels[name] = 1 + max((levels.get(source, 0) for source in self.sources[name]), default=0)
        return levels

    def _walk(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Walk depth first without recursion; return what was finished in order and the first cycle met."""
        done: dict[str, None] = {}
        for root in self.sources:
            if root in done:
                continue
            path: dict[str, Iterator[str]] = {root: iter(self.sources[root])}
            while path:
                name, rest = next(reversed(path.items()))
                source = next((each for each in rest if each in self.sources and each not in done), None)
                if source is None:
                    done[name] = None
                    del path[name]
                elif source in path:
                    names = list(path)
                    return tuple(done), tuple(names[names.index(source) :])
                else:
                    path[source] = iter(self.sources[source])
        return tuple(done), ()


def _users(topology: Topology) -> dict[str, tuple[str, ...]]:
    """Map each source to the batteries and splitters that use it."""
    users: dict[str, dict[str, None]] = {}
    for spec in topology.batteries:
        for source in spec.source_names:
            users.setdefault(source, {})[spec.name] = None
    for splitter in topology.splitters:
        users.setdefault(splitter.source, {})[splitter.name] = None
    return {name: tuple(who) for name, who in users.items()}


def users_of(topology: Topology, name: str) -> tuple[str, ...]:
    """Return the aggregators and splitters that use a battery as a source."""
    return _users(topology).get(name, ())


def order(topology: Topology) -> tuple[str, ...]:
    """Return the names of all batteries and partitions, sources before their users. Raises CycleError."""
    return Graph(topology).order()


def cycle_error(cycle: tuple[str, ...]) -> CycleError:
    """Return the refusal of a cycle, spelled `a -> b -> a`, each resting on the next."""
    spelled = " -> ".join((*cycle, cycle[0]))
    return CycleError(f"a battery would rest on itself: {spelled}", cycle=spelled)
