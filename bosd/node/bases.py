"""What splitters expect of their sources outlives the node: kept with each edit, and once it becomes known."""

import asyncio

import structlog

from bosd.bal.directory import Directory
from bosd.bal.graph import Graph
from bosd.bal.portions import Recuts
from bosd.bal.recut import follow
from bosd.bal.spec import Topology
from bosd.errors import StoreError
from bosd.store.bases import SplitterBase, load_bases, save_bases
from bosd.store.store import Store

LOOK_S = 5.0
"""How often it is looked whether a capacity has become known; until then a new splitter's is taken again after a crash."""

_log = structlog.get_logger("bases")


class Bases:
    """Loads and saves what the splitters of a directory expect."""

    def __init__(self, directory: Directory, store: Store) -> None:
        self._directory = directory
        self._store = store
        self._saved: tuple[SplitterBase, ...] = ()

    async def load(self) -> None:
        """Have splitters expect what they did; one whose partitions are others begins anew. Raises StoreError."""
        self._saved = await self._store.transact(load_bases)
        for base in self._saved:
            splitter = self._directory.splitters.get(base.name)
            if splitter is not None and list(base.settled_ah) == [part.name for part in splitter.partitions]:
                splitter.base_ah = base.capacity_ah
                splitter.settled_ah = list(base.settled_ah.values())

    def after(self, topology: Topology, recuts: Recuts, now_s: float) -> tuple[SplitterBase, ...]:
        """Return what is to be kept with an edit: splitters that stay as they are, and those split or merged."""
        changed = recuts.portions()
        anew = self._anew(topology, set(changed))
        found = []
        for spec in topology.splitters:
            splitter = self._directory.splitters.get(spec.name)
            if splitter is None or (splitter.spec != spec and spec.name not in changed):
                continue
            names, capacity_ah, settled_ah = [part.name for part in spec.partitions], splitter.base_ah, splitter.settled_ah
            if spec.name in changed:
                before = [part.name for part in splitter.spec.partitions]
                deviations_ah = splitter.allocation(now_s).deviations_ah or settled_ah
                settled_ah = follow(deviations_ah, before, changed[spec.name].steps, names)
                capacity_ah = changed[spec.name].totals["capacity"] or capacity_ah
            if spec.source in anew:
                settled_ah = [0.0] * len(names)
            settled = dict(zip(names, settled_ah, strict=True))
            found.append(SplitterBase(name=spec.name, capacity_ah=capacity_ah, settled_ah=settled))
        return tuple(found)

    def _anew(self, topology: Topology, recut: set[str]) -> set[str]:
        """Return the batteries that an edit makes anew and all that will rest on them: there meters begin anew."""
        old = self._directory.topology
        kept = set(old.batteries)
        kept_splitters = {spec.name for spec in topology.splitters if spec in old.splitters or spec.name in recut}
        anew = {spec.name for spec in topology.batteries if spec not in kept}
        anew |= {part.name for spec in topology.splitters if spec.name not in kept_splitters for part in spec.partitions}
        graph = Graph(topology)
        for name in graph.order():
            if not anew.isdisjoint(graph.sources[name]):
                anew.add(name)
        return anew

    async def run(self) -> None:
        """Keep what has changed, for ever; a disk that fails is tried again."""
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._now()
            if now == self._saved:
                continue
            try:
                await self._store.transact(lambda connection, now=now: save_bases(connection, now))  # type: ignore[misc]
            except StoreError as error:
                _log.error("store_failed", detail=error.message)
            else:
                self._saved = now

    def _now(self) -> tuple[SplitterBase, ...]:
        return tuple(
            SplitterBase(
                name=name,
                capacity_ah=splitter.base_ah,
                settled_ah=dict(zip((part.name for part in splitter.partitions), splitter.settled_ah, strict=True)),
            )
            for name, splitter in sorted(self._directory.splitters.items())
        )
