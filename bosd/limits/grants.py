"""Grants: a limit over several nodes is a budget, of which each battery of another node has a part that stays in force there.

A part counts from before it is sent until a smaller one is confirmed, over restarts too: so what a node does that is not heard is
set aside, and all parts together are never above the limit. Lowered first, then raised (control.md, "Limits over a distance").
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence

import structlog

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import Grant
from bosd.bal.caps import amperes, voltage_v
from bosd.bal.directory import Directory
from bosd.bal.spec import NetworkSpec
from bosd.bal.status import HEARD
from bosd.clock import Clock
from bosd.errors import BosError, StaleRevisionError, StoreError
from bosd.limits.entry import SOURCE
from bosd.limits.granted import Amount, Granted, Part, stepped
from bosd.limits.left_behind import At, LeftBehind, MakeStub, OwnerRun, stubs_at
from bosd.limits.parts import (
    BUDGET,
    at_grid_w,
    beside_uncertain,
    from_owner_w,
    has_stubs,
    held_here,
    is_stub,
    lost_below,
    parts_of,
    running,
    to_owner_w,
    unreached_behind,
    whole_of,
)
from bosd.store.limits import CHARGE, DISCHARGE, LimitTable, StoredGrant

RETRY_S = 0.5
CALL_S = 2.0

_log = structlog.get_logger("limits")

MOST_REVISION = 2**62
"""An owner that says that it has a later one says nonsense; the store holds 63 bits."""

Place = tuple[str, str, bool]
Wanted = tuple[float | None, float | None]
"""In watts and in amperes."""
Send = Callable[[Battery, Grant], Awaitable[None]]
Way = tuple[Battery, bool, bool]
"""A leaf, whether it discharges, and whether this is in watts."""
_WAYS = ((True, True), (True, False), (False, True), (False, False))


class Grants:
    """Divides the limits that lie over other nodes.

    The first of `ways` puts a grant in force at a stub's owner, durable on return; the second reaches a battery that this node
    has no stub of any more, but granted something: to withdraw that; the third says who answers a stub.
    """

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        table: LimitTable,
        ways: tuple[Send, MakeStub, OwnerRun],
        changed: Callable[[Iterable[Battery]], None],
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._table = table
        self._send, make_stub, owner_run = ways
        self._left = LeftBehind(make_stub, owner_run)
        self._changed = changed
        self._granted: dict[Place, Granted] = {}
        self._local: dict[Way, float] = {}
        self._group: asyncio.TaskGroup | None = None

    async def load(self) -> None:
        """Know what may be in force at other nodes since an earlier run."""
        for each in await self._table.load_grants():
            self._granted[each.target, each.remote_name, each.direction == DISCHARGE] = Granted(
                watts=Amount.of_stored(each.limit_w), amperes=Amount.of_stored(each.limit_a), revision=each.revision
            )

    def start(self, group: asyncio.TaskGroup) -> None:
        """Send from now on, in tasks of `group`."""
        self._group = group

    @property
    def busy(self) -> bool:
        """Whether something is granted, or still to be withdrawn."""
        return any(not granted.clean for granted in self._granted.values())

    # --- dividing

    def attend(self) -> None:
        """Divide each limit anew as it is now, put the parts in force here, and have those of other nodes sent."""
        now_s = self._clock.now_s()
        stubs = [each for each in self._directory if isinstance(each, DeviceLeaf) and isinstance(each.spec, NetworkSpec)]
        stubs += self._left_behind(stubs, now_s)
        parts: dict[Way, Part] = {}
        for battery in self._directory:
            if battery.caps and has_stubs(battery):
                for out in (True, False):
                    for way, part in self._divided(battery, now_s, discharging=out):
                        if way not in parts or part.amount < parts[way].amount:
                            parts[way] = part
        changed: dict[Battery, None] = {}
        for battery in self._directory:
            mine = [parts[battery, out, watts] for out, watts in _WAYS if (battery, out, watts) in parts]
            if (mine or battery.caps) and battery.put_caps(BUDGET, tuple(part.cap for part in mine)):
                changed |= dict.fromkeys(self._directory.tops_with(battery))
        self._local = {way: part.amount for way, part in parts.items() if not is_stub(way[0])}
        if changed:
            self._changed(changed)
        self._have_sent(stubs, now_s)

    def _divided(self, battery: Battery, now_s: float, *, discharging: bool) -> Iterator[tuple[Way, Part]]:
        """Yield the parts of the tightest limit in each unit on one battery, as they may be in force now.

        Both units are divided as the limit that binds, so that no leaf is held by its watts and another by its amperes.
        """
        caps = [cap for cap in battery.caps if cap.source == SOURCE and cap.discharging is discharging]
        if not caps:
            return
        most_a = min(amperes(cap, battery, now_s) for cap in caps)
        fractions = parts_of(battery, most_a, now_s, discharging=discharging)
        for watts in (True, False):
            wholes = [(whole_of(cap, battery), cap) for cap in caps if (cap.limit_w is not None) is watts]
            if wholes:
                (_, whole), cap = min(wholes, key=lambda each: each[0])
                for leaf, amount in self._amounts(battery, whole, fractions, now_s, watts=watts, discharging=discharging).items():
                    yield (leaf, discharging, watts), Part(amount, watts, discharging, cap.text, cap.at_grid)

    def _amounts(
        self,
        battery: Battery,
        whole: float,
        fractions: Mapping[Battery, float],
        now_s: float,
        *,
        watts: bool,
        discharging: bool,
    ) -> dict[Battery, float]:
        """Return what each leaf that is reached may be asked by its part of `whole`; have those of stubs sent."""
        aside = held_here(battery, now_s, watts=watts, discharging=discharging)
        for lost in lost_below(battery, now_s):
            most = self.aside(lost, now_s, watts=watts, discharging=discharging)
            self._want(lost, min(most, whole), watts=watts, discharging=discharging)  # sent where its owner is heard all the same
            aside += most
        left = max(0.0, whole - aside)
        wanted = {leaf: fraction * left for leaf, fraction in fractions.items()}
        if not any(wanted.values()) and left > 0.0:
            wanted = dict.fromkeys(fractions, left / len(fractions)) if fractions else {}
        wanted = beside_uncertain(wanted, left, now_s, watts=watts, discharging=discharging)
        counted = {leaf: self._counted(leaf, watts=watts, discharging=discharging) for leaf in wanted}
        now = stepped(wanted, counted, whole, left)
        for leaf, amount in now.items():
            if is_stub(leaf):
                self._want(leaf, amount, watts=watts, discharging=discharging)
        return {leaf: self._in_force(leaf, amount, watts=watts, discharging=discharging) for leaf, amount in now.items()}

    def _place(self, leaf: Battery, *, discharging: bool) -> Place:
        spec = leaf.spec
        assert isinstance(spec, NetworkSpec)  # noqa: S101 (narrowing: callers looked)
        return spec.target, spec.remote_name, discharging

    def _counted(self, leaf: Battery, *, watts: bool, discharging: bool) -> float | None:
        """Return what a leaf that is reached may be running by its part; None for one that has none yet."""
        if not is_stub(leaf):
            return self._local.get((leaf, discharging, watts))
        granted = self._granted.get(self._place(leaf, discharging=discharging))
        counted = None if granted is None else granted.of(watts=watts).counted
        return from_owner_w(leaf, counted, discharging=discharging) if counted is not None and watts else counted

    def aside(self, leaf: DeviceLeaf, now_s: float, *, watts: bool, discharging: bool, settled: bool = False) -> float:
        """Return what a stub that is not reached draws or may draw, in the unit of a limit.

        Once it is `settled`, what lets go by itself of what it was told has done so.
        """
        most = self._aside(leaf, now_s, watts=watts, discharging=discharging, settled=settled)
        return max(most, unreached_behind(leaf, watts=watts, discharging=discharging))

    def _aside(self, leaf: DeviceLeaf, now_s: float, *, watts: bool, discharging: bool, settled: bool) -> float:
        at_v = voltage_v(leaf, now_s) if watts else leaf.status(now_s).voltage_v or 0.0  # amperes are most at the lower one
        runs = running(leaf, now_s, watts=watts, discharging=discharging)
        if settled and leaf.let_go_s is not None:
            runs = 0.0
        granted = self._granted.get(self._place(leaf, discharging=discharging), Granted())
        far = leaf.far_efficiency(discharging=discharging)
        most, sure = granted.most(watts=watts, at_v=at_v * far if discharging else at_v / far)
        if watts and most is not None:
            most = from_owner_w(leaf, most, discharging=discharging)
        if leaf.lost_behind:  # its part is in force at a node that does not reach it either
            return max(most or 0.0, runs)
        alone_w = leaf.alone_limit_w(discharging=discharging)
        if alone_w is not None:
            alone = at_grid_w(leaf, alone_w, discharging=discharging) if watts else alone_w / at_v if at_v > 0.0 else math.inf
            alone = max(alone, runs)  # until it is in force there, or for ever where the board died and its device holds
            if leaf.status(now_s).link in HEARD:  # it is not alone: somebody else commands it there, say
                return most if sure and most is not None else max(most or 0.0, alone)
            return min(most, alone) if sure and most is not None else alone
        return runs if most is None else most if sure else max(most, runs)

    def _in_force(self, leaf: Battery, amount: float, *, watts: bool, discharging: bool) -> float:
        """Return what may be asked of a leaf here: of a stub no more than its owner is known to allow."""
        if not is_stub(leaf):
            return amount
        confirmed = self._granted[self._place(leaf, discharging=discharging)].of(watts=watts).confirmed
        if confirmed is None:
            return amount
        return min(amount, from_owner_w(leaf, confirmed, discharging=discharging) if watts else confirmed)

    def _want(self, leaf: Battery, amount: float, *, watts: bool, discharging: bool) -> None:
        granted = self._granted.setdefault(self._place(leaf, discharging=discharging), Granted())
        granted.of(watts=watts).want(to_owner_w(leaf, amount, discharging=discharging) if watts else amount)

    # --- sending

    def _left_behind(self, stubs: list[DeviceLeaf], now_s: float) -> list[DeviceLeaf]:
        """Return by which stubs grants are withdrawn that are none of the topology's.

        What may be of the same battery as one that is left behind counts as that did; what is known to be has its grant.
        """
        granted_at = {place[:2] for place, granted in self._granted.items() if not granted.clean or granted.sending}
        found = []
        for left in self._left.follow(stubs, granted_at):
            for at in left.came:
                self._inherit(left.at, at)
            if left.same is not None:
                _log.info("grant_moved", target=left.at[0], now=left.same[0], battery=left.at[1])
                self._drop(left.at, left.same)
            elif left.is_gone(now_s):
                _log.info("grant_gone", target=left.at[0], battery=left.at[1])
                self._drop(left.at)
            elif not left.waits:
                found.append(left.stub)
        return found

    def _inherit(self, old: At, new: At) -> None:
        for out in (True, False):
            was = self._granted.get((*old, out))
            if was is None or not (now := self._granted.setdefault((*new, out), Granted())).clean:
                continue
            now.watts, now.amperes = was.watts.inherited(), was.amperes.inherited()
            now.revision = max(now.revision, was.revision)

    def _drop(self, *places: At) -> None:
        """Forget what is granted at the first of these places, nothing being sent; keep what is at the others."""
        old = [granted for out in (True, False) if (granted := self._granted.get((*places[0], out))) is not None]
        if self._group is None or any(granted.sending for granted in old):
            return
        for amount in [each for granted in old for each in granted.both]:
            amount.become(None)
        self._have_kept(places)

    def _have_kept(self, places: Sequence[At]) -> None:
        """Have it stored what counts at these places, the last one first."""
        kept = [(*at, out) for at in reversed(places) for out in (True, False) if (*at, out) in self._granted]
        if self._group is not None:
            self._group.create_task(self._keep(kept), name=f"keep grants {places[0][1]}")

    def forget(self, targets: Collection[str]) -> list[str]:
        """Count no more what is granted at these targets, as a person says that nothing runs there; return it in words.

        At a stub that is still there it is granted anew, or withdrawn, at the next contact; at one that was removed it is
        withdrawn where another stub of its node comes into contact (`Forgotten.ask_again`).
        """
        present = stubs_at(self._directory)
        words = []
        for (target, name, out), granted in self._granted.items():
            if target not in targets or granted.clean:
                continue
            later = "" if (target, name) in present else ", withdrawn should another stub of that node be heard"
            words.append(f"{granted.words} {DISCHARGE if out else CHARGE} of {name} at {target}{later}")
            for amount in granted.both:
                amount.become(None if amount.clean else 0.0)
        for at in {place[:2] for place in self._granted if place[0] in targets}:
            self._drop(at) if at not in present else self._have_kept([at])
        return words

    async def _keep(self, places: Iterable[Place]) -> None:
        for place in places:
            with contextlib.suppress(StoreError):
                await self._save(place, self._granted[place])

    def _have_sent(self, stubs: Iterable[DeviceLeaf], now_s: float) -> None:
        """Send what differs from what is in force; withdraw where no limit is any more, or no stub."""
        for battery in stubs:
            for out in (True, False):
                granted = self._granted.get(self._place(battery, discharging=out))
                if granted is None:
                    continue
                heard = battery.status(now_s).link in HEARD
                if not heard:
                    granted.watts.confirmed = granted.amperes.confirmed = None  # it is sent again when its owner is heard
                granted.hurry()
                due = not granted.in_force and not granted.sending and now_s >= granted.failed_s + RETRY_S
                if due and heard and self._group is not None:
                    granted.sending = True
                    sending = self._sent(battery, granted, granted.next(), discharging=out)
                    self._group.create_task(sending, name=f"grant {battery.name}")
                granted.watts.wanted = granted.amperes.wanted = None

    async def _sent(self, stub: DeviceLeaf, granted: Granted, wanted: Wanted, *, discharging: bool) -> None:
        try:
            await self._grant(stub, granted, wanted, discharging=discharging)
        except (BosError, TimeoutError) as error:
            if isinstance(error, StaleRevisionError) and (newest := _newest(error)) >= granted.revision:
                granted.revision = newest
                return
            why = str(error) or "no answer in time"
            if granted.failed(why, self._clock.now_s()):
                _log.warning("grant_failed", battery=stub.name, detail=why)
        else:
            granted.succeeded()
        finally:
            granted.sending = False

    def remember(self, at: At, same: Iterable[At], grant: Grant) -> None:
        """Count what an owner says is in force there, though nobody knows of it at any of the `same`: so that it is withdrawn."""
        granted = self._granted.setdefault((*at, grant.discharging), Granted())
        known = [self._granted.get((*each, grant.discharging)) for each in (at, *same)]
        if not any(each is not None and (each.sending or not each.clean) for each in known):
            _log.warning("grant_forgotten", target=at[0], battery=at[1], limit_w=grant.limit_w, limit_a=grant.limit_a)
            for amount, there in zip(granted.both, (grant.limit_w, grant.limit_a), strict=True):
                amount.become(there)
                amount.confirmed = there
            self._have_kept([at])

    async def _grant(self, stub: DeviceLeaf, granted: Granted, wanted: Wanted, *, discharging: bool) -> None:
        """Put one grant in force: counted, and kept, before it is sent where it is looser; after it is confirmed where not."""
        place = self._place(stub, discharging=discharging)
        looser = any(each.loosened_by(amount) for each, amount in zip(granted.both, wanted, strict=True))
        granted.revision += 1
        for each, amount in zip(granted.both, wanted, strict=True):
            each.send(amount)
        if looser:
            granted.saving = asyncio.current_task()
            try:
                await self._save(place, granted)
            except (StoreError, asyncio.CancelledError):
                for each in granted.both:
                    each.unsent()
                raise
            finally:
                granted.saving = None
        else:  # what is tighter waits for no disk
            self._have_kept([place[:2]])
        grant = Grant(discharging=discharging, revision=granted.revision, limit_w=wanted[0], limit_a=wanted[1])
        async with asyncio.timeout(CALL_S):
            await self._send(stub, grant)
        for each in granted.both:
            each.answered()
        self._have_kept([place[:2]])

    async def _save(self, place: Place, granted: Granted) -> None:
        """Keep what counts. Raises StoreError."""
        target, remote_name, discharging = place
        stored = StoredGrant(
            target=target,
            remote_name=remote_name,
            direction=DISCHARGE if discharging else CHARGE,
            limit_w=granted.watts.stored,
            limit_a=granted.amperes.stored,
            revision=granted.revision,
        )
        await self._table.save_grant(stored)

    # --- what is known of it

    def bounds(self, stub: Battery, *, discharging: bool) -> bool:
        """Tell whether a part is known to be in force at a stub's owner."""
        granted = self._granted.get(self._place(stub, discharging=discharging))
        return granted is not None and any(each.bounds for each in granted.both)

    def refusal(self, stub: Battery, now_s: float, *, discharging: bool) -> str:
        """Return why a stub's owner takes no part, for longer than one may take; empty where it does, or has a smaller one."""
        granted = self._granted.get(self._place(stub, discharging=discharging))
        if granted is None or granted.holds_less or now_s < granted.failing_s + CALL_S:
            return ""
        return granted.why


def _newest(error: StaleRevisionError) -> int:
    """Return which revision an owner says that it has; -1 where that is none."""
    told = error.metadata.get("actual", "")
    newest = int(told) if told.isdecimal() and len(told) < 20 else -1
    return newest if newest <= MOST_REVISION else -1
