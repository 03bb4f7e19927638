"""Whatever happens: applied power is above no limit in force by more than the tolerance for longer than its bound (control.md).

The judge sees what flows in the packs in truth and what was asked of the books; of the code under test it knows nothing.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Literal

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from bosd.bal.schedule import Moment
from bosd.bal.spec import Topology
from bosd.errors import BosError, StoreError
from bosd.store.limits import Direction, Limit
from tests.support.fleet.fleet import Fleet, Host, Judge, pack_spec, stub_spec, sum_spec
from tests.support.fleet.judges import ViolationError
from tests.support.fleet.packs import Pack
from tests.support.fleet.stories import owners, ready, told

VOLTAGE_V = 48.0
"""What a pack of the simulation measures."""
TOLERANCE, TOLERANCE_W = 0.02, 20.0
OWN_S, SESSION_S = 1.0, 2.0
"""control.md, "Limits over a distance": of what the node owns, and through a ready session."""
UNSEEN_S = 12.0
"""Longer than `safe_within_s` here: 4.03 s to the end of a lease, 5 s for a device to answer, 2 s to notice and tell."""
MARGIN_S = 0.1
"""Ends are counted a little early: clocks of hosts drift."""

Key = tuple[str, str, str, Direction]
PLACES = (("m", "all"), ("m", "x"), ("m", "sa"), ("a", "b"))


@dataclass(eq=False)
class InForce:
    """A limit that counts from `from_s` to `until_s`, and since when more flows."""

    limit_w: float
    from_s: float
    until_s: float
    over_since_s: float | None = None


@dataclass
class Facts(Judge):
    """What was asked of the books, and what flows."""

    fleet: Fleet
    packs: dict[tuple[str, str], tuple[Pack, ...]]
    limits: dict[Key, InForce] = field(default_factory=dict)
    trouble_until_s: float = 0.0

    def trouble(self, for_s: float) -> None:
        """Note that something is cut, dead or deaf for so long."""
        self.trouble_until_s = max(self.trouble_until_s, self.fleet.loop.time() + for_s)

    def current_changed(self, pack: Pack) -> None:
        """Look, as something else flows."""
        del pack
        self.look()

    def look(self) -> None:
        """Hold what flows against every limit."""
        now_s = self.fleet.loop.time()
        for (host, battery, _, direction), limit in self.limits.items():
            if not limit.from_s <= now_s < limit.until_s:
                limit.over_since_s = None
                continue
            sign = 1.0 if direction == "discharge" else -1.0
            packs = self.packs[host, battery]
            flows_w = VOLTAGE_V * sum(max(0.0, sign * pack.true_a) for pack in packs)
            since_s, bound_s = limit.over_since_s, self.bound_s(host, battery, now_s)
            if since_s is not None and now_s > since_s + bound_s + MARGIN_S:
                found = {pack.name: round(pack.true_a, 2) for pack in packs}
                message = f"{now_s:.2f} s: {host}/{battery} {direction} above {limit.limit_w} W since {since_s:.2f} s: {found}"
                raise ViolationError(message)
            if flows_w <= limit.limit_w * (1.0 + TOLERANCE) + TOLERANCE_W:
                limit.over_since_s = None
            elif since_s is None:
                limit.over_since_s = now_s

    def bound_s(self, host: str, battery: str, now_s: float) -> float:
        """Return within what time a limit is to be kept."""
        if now_s < self.trouble_until_s + UNSEEN_S:
            return UNSEEN_S
        return OWN_S if (host, battery) in (("m", "x"), ("a", "b")) else SESSION_S


LIMITS = st.tuples(
    st.sampled_from(["put", "put", "post", "remove"]),
    st.sampled_from(PLACES),
    st.sampled_from(["operator", "house"]),
    st.sampled_from(["charge", "discharge"]),
    st.sampled_from([0.0, 100.0, 480.0, 720.0, 1500.0]),
    st.sampled_from([None, None, 3.0]),
    st.sampled_from([None, None, 2.0, 8.0, 30.0]),
    st.booleans(),
)
ASKED = st.tuples(st.sampled_from(["set", "set", "book", "book there"]), st.sampled_from([-40.0, -20.0, -5.0, 0.0, 10.0, 40.0]))
TIMES = st.tuples(st.just("wait"), st.sampled_from([0.1, 0.7, 1.5, 4.0, 15.0]))
FAULTS = st.tuples(
    st.sampled_from(["cut", "kill m", "kill a", "deaf x", "deaf a", "mute x", "distrust", "disk"]),
    st.sampled_from([0.5, 6.0, 20.0, 40.0]),
)
EVENTS = st.lists(st.one_of(LIMITS, ASKED, TIMES, TIMES, FAULTS), min_size=4, max_size=25)


class World:
    """Node m with a pack of its own and a stub of node a's, both as `all`."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        owners(fleet, "a")
        fleet.add_pack("x", hold_s=2.0)
        batteries = (pack_spec("x", "x"), stub_spec("sa", "a", "b"), sum_spec("all", "x", "sa"))
        self.main = fleet.add_host("m", Topology(batteries=batteries, splitters=()))
        x, a = fleet.packs["x"], fleet.packs["a"]
        self.facts = Facts(fleet, {("m", "all"): (x, a), ("m", "x"): (x,), ("m", "sa"): (a,), ("a", "b"): (a,)})
        fleet.judges.append(self.facts)

    async def look(self) -> None:
        """Look ten times a second, also where nothing changes."""
        while True:
            self.facts.look()
            await asyncio.sleep(0.1)

    async def play(self, event: tuple[object, ...]) -> None:
        """Let one thing happen."""
        match event:
            case ("put" | "post" | "remove" as how, (str(host), str(battery)), str(source), direction, float(limit_w), *rest):
                begins_in_s, lasts_s, amperes = rest
                await self._limit(
                    how,
                    (host, battery, "house-box" if how == "post" else source, direction),  # type: ignore[arg-type]
                    limit_w,
                    (begins_in_s if how == "put" else None, lasts_s),  # type: ignore[arg-type]
                    amperes=bool(amperes),
                )
            case ("set", float(current_a)):
                with contextlib.suppress(BosError, TimeoutError):
                    await self.fleet.set(self.main, "all", current_a)
            case ("book" | "book there" as where, float(current_a)):
                booker, name = (self.main, "all") if where == "book" else (self.fleet.hosts["a"], "b")
                begin, end = Moment(in_s=0.5), Moment(in_s=200.0)
                with contextlib.suppress(BosError, TimeoutError):
                    await self.fleet.within(booker, booker.up.node.book(name, current_a, begin, end, holder="somebody"))
            case ("wait", float(seconds)):
                await asyncio.sleep(seconds)
            case (str(fault), float(seconds)):
                await self._fault(fault, seconds)

    async def _limit(
        self,
        how: Literal["put", "post", "remove"],
        key: Key,
        limit_w: float,
        times: tuple[float | None, float | None],
        *,
        amperes: bool,
    ) -> None:
        host_name, battery, source, direction = key
        host, facts = self.fleet.hosts[host_name], self.facts
        limits = host.up.limits
        if limits is None:
            return
        begins_in_s, lasts_s = times
        before, asked_s = facts.limits.get(key), self.fleet.loop.time()
        from_s = asked_s + (begins_in_s or 0.0)
        until_s = from_s + lasts_s - MARGIN_S if lasts_s is not None else float("inf")
        facts.limits.pop(key, None)  # while it is replaced either may be in force
        begins = None if begins_in_s is None else Moment(in_s=begins_in_s)
        ends = None if lasts_s is None else Moment(in_s=(begins_in_s or 0.0) + lasts_s)
        limit_a = limit_w / VOLTAGE_V if amperes and how != "remove" else None
        in_w = limit_w if not amperes and how != "remove" else None
        wanted = Limit(source=source, battery=battery, direction=direction, limit_w=in_w, limit_a=limit_a)
        try:
            if how == "post":
                await self.fleet.within(host, self._posted(host, wanted, ends))
            else:
                await self.fleet.within(host, limits.book.put(wanted, begins=begins, ends=ends))
        except StoreError as error:
            if "in force" not in error.message:  # looser: what was, is
                if before is not None:
                    facts.limits[key] = before
                return
        except (BosError, TimeoutError):
            return
        if how != "remove":
            facts.limits[key] = InForce(limit_w, from_s, until_s)

    @staticmethod
    async def _posted(host: Host, wanted: Limit, ends: Moment | None) -> None:
        assert host.up.limits is not None
        host.up.limits.book.post(wanted, ends=ends)

    async def _fault(self, fault: str, seconds: float) -> None:
        fleet = self.fleet
        kind, _, name = fault.partition(" ")
        match kind:
            case "cut":
                self.facts.trouble(seconds)
                fleet.cut("m", "a")
                await asyncio.sleep(seconds)
                fleet.heal("m", "a")
            case "kill":
                await self._disks(failed=False)
                self.facts.trouble(seconds + 1.0)
                fleet.hosts[name].kill()
                await asyncio.sleep(seconds)
                fleet.hosts[name].start()
                await asyncio.sleep(1.0)
            case "deaf" | "mute":
                self.facts.trouble(seconds)
                fleet.packs[name].change(**{kind: True})
                await asyncio.sleep(seconds)
                fleet.packs[name].change(**{kind: False})
            case "distrust":
                for host in fleet.hosts.values():
                    host.clock_trusted = not host.clock_trusted
            case "disk":
                await self._disks(failed=not self.main.store.failed)

    async def _disks(self, *, failed: bool) -> None:
        was = self.main.store.failed
        for host in self.fleet.hosts.values():
            host.store.failed = failed
        if was and not failed:
            await asyncio.sleep(6.0)  # what was in force is recorded, too: it is tried again every 5 s

    async def ends_whole(self) -> None:
        """Without limits what is asked flows, and nothing is granted any more."""
        fleet = self.fleet
        await self._disks(failed=False)
        for host in fleet.hosts.values():
            host.clock_trusted = True
        await fleet.until(fleet.all_ready, within_s=60.0, because=f"whole: {fleet.why_not(fleet.hosts.values())}")
        for host in fleet.hosts.values():
            assert host.up.limits is not None
            for each in host.up.limits.book.standing():
                limit = each.limit
                if not limit.source.startswith("node:"):
                    await self._limit(
                        "remove", (host.name, limit.battery, limit.source, limit.direction), 0.0, (None, None), amperes=False
                    )
        packs = self.facts.packs["m", "all"]
        await fleet.set(self.main, "all", -20.0)
        await fleet.until(
            lambda: abs(sum(pack.true_a for pack in packs) + 20.0) < 0.1, within_s=20.0, because="what is asked flows"
        )
        far = fleet.hosts["a"].up.limits
        assert far is not None
        await fleet.until(lambda: far.book.standing() == (), within_s=5.0, because="no grant is left")


def put(
    place: tuple[str, str], direction: str, limit_w: float, begins_in_s: float | None = None, lasts_s: float | None = None
) -> tuple[object, ...]:
    """Return the event of a limit that is put."""
    return "put", place, "operator", direction, limit_w, begins_in_s, lasts_s, False


@given(events=EVENTS)
@example(events=[put(("m", "all"), "charge", 480.0), ("wait", 4.0), ("book there", -20.0), ("cut", 40.0), ("kill a", 0.5)])
@example(events=[put(("m", "sa"), "charge", 480.0), ("wait", 4.0), ("book there", -20.0), ("kill m", 40.0)])
@example(
    events=[("set", 40.0), put(("m", "x"), "discharge", 100.0), ("kill m", 0.5), ("wait", 15.0), ("set", 40.0), ("wait", 4.0)]
)
@example(
    events=[
        put(("m", "all"), "charge", 0.0, 3.0, 30.0),
        ("wait", 15.0),
        ("disk", 0.5),
        put(("m", "x"), "charge", 0.0),
        ("wait", 4.0),
    ]
)
@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
    suppress_health_check=[HealthCheck.too_slow],
)
def test_no_limit_is_exceeded_for_longer_than_its_bound(events: list[tuple[object, ...]]) -> None:
    """Any order of limits put, begun, ended and removed, set points, bookings, silence, cuts, restarts and full disks."""

    async def story(fleet: Fleet) -> None:
        world = World(fleet)
        await ready(fleet)
        await fleet.set(world.main, "all", -40.0)
        looking = asyncio.create_task(world.look())
        for event in events:
            await world.play(event)
            fleet.check_bugs()
            if looking.done():
                looking.result()
        await world.ends_whole()
        looking.cancel()

    told(story)
