"""Worlds of several hops: relays of relays, stubs of stubs, sums and devices between; what people do at those in the middle.

Chances of their own: worlds without them keep their course.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING

from bosd.bal.spec import BatterySpec, Topology
from bosd.errors import BosError
from tests.support.fleet.bookings import Booker
from tests.support.fleet.fleet import Fleet, Host, Judge, pack_spec, stub_spec
from tests.support.fleet.judges import Others, Request, Top, ViolationError, below
from tests.support.fleet.limit_judge import Limited
from tests.support.fleet.packs import Pack

if TYPE_CHECKING:
    from tests.support.fleet.random_faults import RandomFaults

EVERY_S = 6.0
TTLS_S = (2.0, 6.0, 15.0)
STOPPED_S = (0.5, 4.0, 12.0, 25.0)
OWN_SUM_CHANCE = 0.4
"""Of an owner with two packs: it exports their sum."""
LOCAL_CHANCE = 0.4
BARE_CHANCE = 0.3
"""Of a relay that it exports a stub as it is."""
MOST_LIMITED = 4


def top_of(fleet: Fleet, host: Host, name: str) -> Top:
    """Return a battery as what a person commands."""
    found = below(fleet, host, name)
    return Top(host, name, tuple(pack for pack, _ in found), tuple(way for _, way in found))


class DeepWorld:
    """Builds the topology: owners, two or three relays in a row, a controller; `exported` are the relays' batteries."""

    def __init__(self, world: "RandomFaults") -> None:
        self._world = world
        self._fleet: Fleet = world.fleet
        self.chance = random.Random(f"{world.seed} deep")
        self.exported: list[tuple[Host, str]] = []

    def build(self) -> Top:
        """Put all hosts there; return what a person commands at the controller."""
        there = [each for number in range(1, self.chance.randint(2, 3) + 1) for each in self._owner(number)]
        self.chance.shuffle(there)
        highest: list[tuple[str, str]] = []
        for level in range(1, self.chance.choice([2, 2, 3]) + 1):
            taken = highest + [there.pop() for _ in range(min(len(there), self.chance.randint(0 if highest else 1, 2)))]
            highest = [self._relay(f"r{level}", taken, bare=self.chance.random() < BARE_CHANCE)]
        host, name = self._relay("m", [*highest, *there], bare=False)
        self.exported.pop()
        return top_of(self._fleet, self._fleet.hosts[host], name)

    def _owner(self, number: int) -> list[tuple[str, str]]:
        """Put an owner there; return what it exports."""
        names = [f"p{number}{letter}" for letter in "ab"[: self.chance.randint(1, 2)]]
        specs = tuple(pack_spec(self._world.put_pack(name).name, name) for name in names)
        host = f"o{number}"
        if len(names) > 1 and self.chance.random() < OWN_SUM_CHANCE:
            self._fleet.add_host(host, self._world.added_up("all", specs))
            self.exported.append((self._fleet.hosts[host], "all"))
            return [(host, "all")]
        self._fleet.add_host(host, Topology(batteries=specs, splitters=()))
        return [(host, name) for name in names]

    def _relay(self, name: str, taken: Sequence[tuple[str, str]], *, bare: bool) -> tuple[str, str]:
        """Put a node over these; return what it exports: their sum, or the stub itself where it is one and `bare`."""
        specs: list[BatterySpec] = [stub_spec(f"s{battery}-{host}", host, battery) for host, battery in taken]
        if bare and len(specs) == 1:
            self._fleet.add_host(name, Topology(batteries=tuple(specs), splitters=()))
            self.exported.append((self._fleet.hosts[name], specs[0].name))
            return name, specs[0].name
        if self.chance.random() < LOCAL_CHANCE:
            specs.append(pack_spec("own", self._world.put_pack(f"local-{name}").name))
        host = self._fleet.add_host(name, self._world.added_up("all", specs))
        self.exported.append((host, "all"))
        return name, "all"

    def limited(self) -> list[Limited]:
        """Return what is limited: the top, and some of all batteries of all nodes."""
        every = [
            (host, name)
            for host in self._fleet.hosts.values()
            for name in (
                *(each.name for each in host.topology.batteries),
                *(part.name for each in host.topology.splitters for part in each.partitions),
            )
        ]
        chosen = self.chance.sample(every, min(MOST_LIMITED, len(every)))
        tops = [top_of(self._fleet, host, name) for host, name in chosen if name != "all" or host.name != "m"]
        return [Limited(top.host, top.name, top.packs, top.ways) for top in (*self._world.tops, *tops)]


class MiddleStopJudge(Judge):
    """What was stopped between stays at 0 A until somebody begins to release it, but for what others ask of a pack below it."""

    def __init__(self, others: Others) -> None:
        self._others = others
        self.stopped: dict[tuple[str, str], frozenset[Pack]] = {}

    def current_changed(self, pack: Pack) -> None:
        """Look at one pack."""
        for (host, name), packs in self.stopped.items():
            if pack in packs and pack.true_a != 0.0 and not self._others.alive(pack):
                raise ViolationError(f"{host}/{name} is stopped and {pack.name} runs {pack.true_a} A")


class MiddlePeople:
    """People at the nodes between: they take claims there by force, book, and stop what is added up; `done` counts."""

    def __init__(self, world: "RandomFaults", deep: DeepWorld) -> None:
        self._world = world
        self._fleet: Fleet = world.fleet
        self._deep = deep
        self.chance = deep.chance
        self.done: Counter[str] = Counter()
        self._booker = Booker(world, self.chance, self.done)
        self._stopping: set[tuple[str, str]] = set()
        self._judge = MiddleStopJudge(world.others)
        world.fleet.judges.append(self._judge)

    def died(self, host: Host) -> None:
        """Note that a node died: a stop that its disk did not take is forgotten."""
        for node, name in tuple(self._judge.stopped):
            if node == host.name and name not in host.store.stops:
                del self._judge.stopped[node, name]

    async def run(self, until_s: float, group: asyncio.TaskGroup) -> None:
        """Do something now and then."""
        kinds: Sequence[Callable[[], Coroutine[None, None, None]]] = (self._force, self._book, self._stop)
        while True:
            await asyncio.sleep(self.chance.expovariate(1.0 / EVERY_S))
            if self._fleet.loop.time() >= until_s:
                return
            group.create_task(self.chance.choice(kinds)())

    def _somewhere(self) -> Top:
        host, name = self.chance.choice(self._deep.exported)
        return top_of(self._fleet, host, name)

    def _serves(self, host: Host) -> bool:
        return host.process is not None and host.process.serving and host.process.life.runs

    async def _force(self) -> None:
        """Take the claim of what another node commands."""
        middle = self._somewhere()
        if not self._serves(middle.host):
            return
        status = middle.host.up.node.status(middle.name)
        low_a, high_a = -status.max_charge_current_a, status.max_discharge_current_a
        ttl_s, current_a = self.chance.choice(TTLS_S), self.chance.uniform(low_a, high_a)
        self._world.others.asks_of(middle.packs, current_a, ttl_s)
        force = middle.host.up.node.force_current(middle.name, current_a, ttl_s=ttl_s, holder="other")
        try:
            await self._fleet.within(middle.host, force)
            self.done["claims taken in the middle"] += 1
        except (BosError, TimeoutError):
            pass

    async def _book(self) -> None:
        """Book what another node commands, at its own."""
        middle = self._somewhere()
        if not self._serves(middle.host):
            return
        status = middle.host.up.node.status(middle.name)
        most_a, least_a = status.ideal_max_discharge_current_a, status.ideal_max_charge_current_a
        if most_a is None or least_a is None:
            return
        current_a = self.chance.uniform(-least_a, most_a)
        requests: list[Request] = [self._world.others.asks_of(middle.packs, current_a)]
        await self._booker.book(middle.host, middle.name, middle.host, middle.name, current_a, requests)

    async def _stop(self) -> None:
        """Stop what another node commands; release it after a while, whatever that takes."""
        middle = self._somewhere()
        key = middle.host.name, middle.name
        packs = {pack.name for pack in middle.packs}
        if not self._serves(middle.host) or key in self._stopping or packs & self._world.stopping:
            return
        self._stopping.add(key)
        self._world.stopping |= packs
        try:
            answer = await self._fleet.within(middle.host, middle.host.up.node.stop([middle.name], holder="other"))
            if (
                not (answer.unconfirmed or answer.not_at_owner)
                and "may still run" not in middle.host.up.node.status(middle.name).reason
            ):
                self._judge.stopped[key] = frozenset(middle.packs)
                self.done["stops in the middle"] += 1
        except (BosError, TimeoutError, AssertionError):
            pass
        await asyncio.sleep(self.chance.choice(STOPPED_S))
        self._judge.stopped.pop(key, None)
        while not await self._world.released(middle.host, middle.name):  # noqa: ASYNC110 (a person tries again)
            await asyncio.sleep(1.0)
        self._world.stopping -= packs
        self._stopping.discard(key)
