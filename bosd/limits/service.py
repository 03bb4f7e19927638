"""Limits as one part of a node: the book, the grants to other nodes, the switches of packs that cannot regulate, and the view."""

import asyncio
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery
from bosd.bal.caps import amperes
from bosd.bal.directory import Directory
from bosd.bal.physical import PhysicalBattery
from bosd.clock import Clock
from bosd.errors import NotAllowedError
from bosd.limits.book import LimitBook
from bosd.limits.entry import Standing, caps_of
from bosd.limits.forgotten import AskOwner, Forgotten
from bosd.limits.gates import Gates
from bosd.limits.grants import Grants, Send
from bosd.limits.left_behind import MakeStub, OwnerRun
from bosd.limits.meters import Meters, is_heard, meters_of
from bosd.limits.own import OwnLimits
from bosd.limits.parts import stubs_below, whole_of
from bosd.limits.unreached import Reach
from bosd.store.limits import Direction, Limit, LimitTable
from bosd.store.store import Store

OWN_S = 1.0
SESSION_S = 2.0
"""Bounds of control.md, "Limits over a distance"."""
NOT_PROVABLE = "NOT_PROVABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitView:
    """A limit as people are shown it; `limit_a` is what it is in amperes now, None where its battery is not there."""

    standing: Standing
    limit_a: float | None
    applied_a: float | None
    enforceable: bool
    provable: bool
    bound_s: float | None
    reason: str


class Limits:
    """All limits of one node; `changed` has what rests on batteries put in force again, `ways` and `granted` lead elsewhere."""

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        store: Store,
        doubt: Callable[[float], str],
        changed: Callable[[Iterable[Battery]], None],
        ways: tuple[Send, MakeStub, OwnerRun],
        granted: AskOwner,
    ) -> None:
        self.clock = clock
        self._directory = directory
        table = LimitTable(store)
        self.book = LimitBook(directory, clock, table, doubt, changed)
        self.grants = Grants(directory, clock, table, ways, changed)
        self._forgotten = Forgotten(directory, clock, (granted, ways[2]), self.grants.remember)
        self._reach = Reach(directory, clock, self.grants)
        self._own = OwnLimits(directory, clock)
        self.gates = Gates(directory, clock, changed)
        self.meters = Meters(directory, clock)
        self._changed = changed
        self.is_heard: Callable[[str], bool] = lambda _source: False
        """Tells whether a source is a node that keeps a session here."""

    async def load(self) -> None:
        """Put in force what was, and know what may be in force at other nodes. Raises StoreError."""
        await self.book.load()
        await self.grants.load()

    def topology_changed(self) -> None:
        """Limit batteries that are new, and divide limits anew."""
        self.book.attend_due()
        self.grants.attend()

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start every task inside `group`."""
        self.grants.start(group)
        self.gates.start(group)
        group.create_task(self.book.run(self._look), name="limit book")
        group.create_task(self._forgotten.run(), name="forgotten grants")

    def _look(self) -> bool:
        """Look at meters, divide limits over nodes and look at switches; return whether looks may not be rare."""
        self.gates.adopt()
        for battery in self.meters.attend():
            battery.touch()
            self._changed(self._directory.tops_with(battery))
        busy = self.grants.busy or self.gates.busy or any(battery.caps for battery in self._directory)
        if busy:
            self.grants.attend()
            self.gates.attend()
        self._reach.attend()
        self._own.attend()
        return busy or self.meters.busy

    async def remove(
        self, source: str, battery: str, direction: Direction | None, *, identity: str = "", who: str = "", comment: str = ""
    ) -> tuple[Limit, ...]:
        """End limits as a person; see LimitBook.remove. Raises NotAllowedError where their source is there to end them."""
        if source in self.book.at_work:
            message = f"limits of {source} end when {source} says so; without its section they end, too"
            raise NotAllowedError(message, source=source)
        if self.is_heard(source):
            message = f"a part of a limit at {source}, which counts on it: end the limit there; here nobody may while it is heard"
            raise NotAllowedError(message, source=source)
        return await self.book.remove(source, battery, direction, identity=identity, who=who, comment=comment)

    def forget_granted(self, targets: Collection[str]) -> list[str]:
        """Count no more what is granted at these targets, as a person says that nothing runs there; return it in words.

        What stands there all the same is withdrawn once their node is heard.
        """
        self._forgotten.ask_again(targets)
        return self.grants.forget(targets)

    def granted_by(self) -> dict[str, set[str]]:
        """Return by battery the nodes that granted it a part of a limit, which stands here."""
        nodes: dict[str, set[str]] = {}
        for limit in self.book.grants():
            nodes.setdefault(limit.battery, set()).add(limit.source)
        return nodes

    def views(self) -> tuple[LimitView, ...]:
        """Return all limits, as they stand."""
        now_s = self.clock.now_s()
        return tuple(self.view(standing, now_s) for standing in self.book.standing())

    def view_of(self, limit: Limit) -> LimitView:
        """Return a limit that was just put, or removed."""
        for standing in self.book.standing():
            if standing.limit.number == limit.number:
                return self.view(standing, self.clock.now_s())
        return self.view(
            Standing(limit=limit, in_force=False, durable=True, restored=False, begins_in_s=0.0, ends_in_s=None),
            self.clock.now_s(),
        )

    def view(self, standing: Standing, now_s: float) -> LimitView:
        """Return a limit with what it comes to now, and what can be said of its being kept."""
        limit = standing.limit
        battery = self._directory.batteries.get(limit.battery)
        reasons = [] if standing.durable else ["not recorded yet"]
        if not standing.in_force and not limit.is_none:
            reasons.append(f"begins in {standing.begins_in_s:.0f} s")
        if standing.ends_in_s is None and limit.until_utc_s is not None and (doubt := self.book.doubt()):
            reasons.append(f"goes on while the clock is not trusted: {doubt}")
        if battery is None:
            reasons.append("no such battery here")
            return LimitView(
                standing=standing,
                limit_a=None,
                applied_a=None,
                enforceable=False,
                provable=False,
                bound_s=None,
                reason="; ".join(reasons),
            )
        reasons += [
            f"{each} is not heard: efficiency counts, and the load that it saw last"
            for each in self._meters_unheard(battery, now_s)
        ]
        unable = [each.name for each in members_of(battery) if isinstance(each, PhysicalBattery) and not each.controllable]
        if unable:
            reasons.append(f"no current control: {', '.join(unable)}")
        if opened := self.gates.opened(battery, discharging=limit.discharging):
            reasons.append(f"{limit.direction} direction opened, as it was above the limit: {', '.join(opened)}")
        bound_s, why = self._bound(battery, limit, now_s)
        if bound_s is None:
            reasons.append(f"{NOT_PROVABLE}: {why}")
        return LimitView(
            standing=standing,
            limit_a=min((amperes(cap, battery, now_s) + 0.0 for cap in caps_of(limit)), default=None),
            applied_a=battery.status(now_s).applied_current_a,
            enforceable=not unable,
            provable=not unable and bound_s is not None,
            bound_s=None if unable else bound_s,
            reason="; ".join(reasons),
        )

    def _meters_unheard(self, battery: Battery, now_s: float) -> list[str]:
        return [
            f"meter {name}"
            for name in dict.fromkeys(meters_of(battery))
            if not is_heard(self._directory.batteries.get(name), now_s)
        ]

    def _bound(self, battery: Battery, limit: Limit, now_s: float) -> tuple[float | None, str]:
        """Return within what time a limit is kept, whatever died; None, and why, where nobody can say."""
        ready_s = SESSION_S if stubs_below(battery) else OWN_S
        out = limit.discharging
        unreached = self._reach.unreached_below(battery, now_s, discharging=out)
        if unreached is None:
            return ready_s, ""
        if unreached.why:
            return None, unreached.why
        for watts, whole in (whole_of(cap, battery) for cap in caps_of(limit)):
            asides = self._reach.asides(battery, now_s, watts=watts, discharging=out)
            if (aside := math.fsum(asides.values())) > whole * (1.0 + 1e-9):
                unit = "W" if watts else "A"
                return (
                    None,
                    f"{', '.join(asides)}: {aside:.4g} {unit} may run there unreached, and {whole:.4g} {unit} are allowed",
                )
        return max(ready_s, unreached.within_s), ""
