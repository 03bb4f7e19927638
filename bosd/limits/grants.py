"""Grants: a limit over several nodes is a budget, of which each battery of another node has a part that stays in force there.

A part counts from before it is sent until a smaller one is confirmed, over restarts too: so what a node does that is not heard is
set aside, and all parts together are never above the limit. Lowered first, then raised (control.md, "Limits over a distance").
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

import structlog

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import Cap, Grant
from bosd.bal.caps import amperes, voltage_v
from bosd.bal.directory import Directory
from bosd.bal.spec import NetworkSpec
from bosd.bal.status import HEARD
from bosd.clock import Clock
from bosd.errors import BosError, StaleRevisionError, StoreError
from bosd.limits.entry import SOURCE
from bosd.limits.granted import MOVE, Granted, Part
from bosd.limits.left_behind import At, LeftBehind, MakeStub, OwnerRun
from bosd.limits.parts import BUDGET, at_grid_w, has_stubs, held_here, lost_below, parts_of, running, whole_of
from bosd.store.limits import CHARGE, DISCHARGE, LimitTable, StoredGrant

RETRY_S = 0.5
CALL_S = 2.0
UNSURE = math.inf
"""What is stored while nobody knows whether a grant is in force."""

_log = structlog.get_logger("limits")

Place = tuple[str, str, bool]
Send = Callable[[Battery, Grant], Awaitable[None]]


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
        self._send, make_stub, self._owner_run = ways
        self._left = LeftBehind(make_stub, self._owner_run)
        self._changed = changed
        self._granted: dict[Place, Granted] = {}
        self._local: dict[tuple[Battery, bool], float] = {}
        self._group: asyncio.TaskGroup | None = None

    async def load(self) -> None:
        """Know what may be in force at other nodes since an earlier run."""
        for each in await self._table.load_grants():
            value = each.limit_w if each.limit_w is not None else each.limit_a
            sure = value != UNSURE
            self._granted[each.target, each.remote_name, each.direction == DISCHARGE] = Granted(
                watts=each.limit_a is None,
                counted=value if sure else None,
                clean=value is None,
                sure=sure,
                revision=each.revision,
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
        parts: dict[tuple[Battery, bool], Part] = {}
        for battery in self._directory:
            if battery.caps and has_stubs(battery):
                for out in (True, False):
                    for leaf, part in self._divided(battery, now_s, discharging=out).items():
                        self._tighter(parts, (leaf, out), part, now_s)
        changed: dict[Battery, None] = {}
        for battery in self._directory:
            mine = [(out, parts[battery, out]) for out in (True, False) if (battery, out) in parts]
            if (mine or battery.caps) and battery.put_caps(BUDGET, tuple(part.cap(discharging=out) for out, part in mine)):
                changed |= dict.fromkeys(self._directory.tops_with(battery))
        self._local = {key: part.amount for key, part in parts.items() if not isinstance(key[0].spec, NetworkSpec)}
        if changed:
            self._changed(changed)
        self._have_sent(stubs, now_s)

    @staticmethod
    def _tighter(parts: dict[tuple[Battery, bool], Part], key: tuple[Battery, bool], part: Part, now_s: float) -> None:
        """Keep the tighter of two parts of one leaf."""
        known = parts.get(key)
        in_a = [amperes(each.cap(discharging=key[1]), key[0], now_s) for each in (part, known) if each is not None]
        if known is None or in_a[0] < in_a[1]:
            parts[key] = part

    def _divided(self, battery: Battery, now_s: float, *, discharging: bool) -> dict[Battery, Part]:
        """Return the parts of the tightest limit on one battery, as they may be in force now."""
        caps = [cap for cap in battery.caps if cap.source == SOURCE and cap.discharging is discharging]
        if not caps:
            return {}
        cap = min(caps, key=lambda each: amperes(each, battery, now_s))
        watts, whole = whole_of(cap, battery)
        aside = held_here(battery, now_s, watts=watts, discharging=discharging)
        for lost in lost_below(battery, now_s):
            most = self.aside(lost, now_s, watts=watts, discharging=discharging)
            self._want(lost, min(most, whole), watts=watts, discharging=discharging)  # sent where its owner is heard all the same
            aside += most
        fractions = parts_of(battery, amperes(cap, battery, now_s), now_s, discharging=discharging)
        left = max(0.0, whole - aside)
        wanted = {leaf: fraction * left for leaf, fraction in fractions.items()}
        if not any(wanted.values()) and left > 0.0:
            wanted = dict.fromkeys(fractions, left / len(fractions)) if fractions else {}
        wanted = self._beside_uncertain(wanted, left, now_s, watts=watts, discharging=discharging)
        counted = {leaf: self._counted(leaf, watts=watts, discharging=discharging) for leaf in wanted}
        now = self._stepped(wanted, counted, whole, left)
        for leaf, amount in now.items():
            if isinstance(leaf.spec, NetworkSpec):
                self._want(leaf, amount, watts=watts, discharging=discharging)
        return {
            leaf: Part(self._in_force(leaf, amount, watts=watts, discharging=discharging), watts, cap.text, cap.at_grid)
            for leaf, amount in now.items()
        }

    def _beside_uncertain(
        self, wanted: dict[Battery, float], left: float, now_s: float, *, watts: bool, discharging: bool
    ) -> dict[Battery, float]:
        """Return the parts that the others have where one may run more than its own: what its node does not reach, say."""
        beyond = {}
        for leaf, amount in wanted.items():
            if isinstance(leaf, DeviceLeaf) and leaf.unconfirmed_a is not None:
                runs = running(leaf, now_s, watts=watts, discharging=discharging)
                if runs > amount:
                    beyond[leaf] = runs
        rest = math.fsum(amount for leaf, amount in wanted.items() if leaf not in beyond)
        if not beyond or not rest:
            return wanted
        part = min(1.0, max(0.0, left - math.fsum(beyond.values())) / rest)
        return {leaf: amount if leaf in beyond else amount * part for leaf, amount in wanted.items()}

    @staticmethod
    def _stepped(
        wanted: dict[Battery, float], known: dict[Battery, float | None], whole: float, left: float
    ) -> dict[Battery, float]:
        """Return what each leaf is to have next: lowered at once, raised by what the others do not count at any more.

        One that has no part yet, None in `known`, is raised from nothing.
        """
        least = MOVE * whole
        counted = {leaf: amount or 0.0 for leaf, amount in known.items()}
        steady = math.fsum(counted.values()) <= left * (1.0 + 1e-9)
        now = {}
        for leaf, amount in wanted.items():
            small = abs(amount - counted[leaf]) <= least
            now[leaf] = counted[leaf] if small and steady else min(amount, counted[leaf])
        room = max(0.0, left - math.fsum(counted.values()))
        more = {leaf: amount - counted[leaf] for leaf, amount in wanted.items()}
        more = {leaf: amount for leaf, amount in more.items() if amount > (0.0 if known[leaf] is None else least)}
        asked = math.fsum(more.values())
        for leaf, amount in more.items():
            now[leaf] = counted[leaf] + amount * min(1.0, room / asked)
        return now

    def _place(self, leaf: Battery, *, discharging: bool) -> Place:
        spec = leaf.spec
        assert isinstance(spec, NetworkSpec)  # noqa: S101 (narrowing: callers looked)
        return spec.target, spec.remote_name, discharging

    def _counted(self, leaf: Battery, *, watts: bool, discharging: bool) -> float | None:
        """Return what a leaf that is reached may be running by its part; None for one that has none yet."""
        if not isinstance(leaf.spec, NetworkSpec):
            return self._local.get((leaf, discharging))
        granted = self._granted.get(self._place(leaf, discharging=discharging))
        return None if granted is None else granted.counted_as(watts=watts, at_v=voltage_v(leaf, self._clock.now_s()))

    def aside(self, leaf: DeviceLeaf, now_s: float, *, watts: bool, discharging: bool) -> float:
        """Return what a stub that is not reached draws or may draw, in the unit of a limit."""
        at_v = voltage_v(leaf, now_s) if watts else leaf.status(now_s).voltage_v or 0.0  # amperes are most at the lower one
        runs = running(leaf, now_s, watts=watts, discharging=discharging)
        granted = self._granted.get(self._place(leaf, discharging=discharging))
        most = None if granted is None else granted.counted_as(watts=watts, at_v=at_v)
        if leaf.lost_behind:  # its part is in force at a node that does not reach it either
            return max(most or 0.0, runs)
        sure = granted is not None and granted.sure
        alone_w = leaf.alone_limit_w(discharging=discharging)
        if alone_w is not None:
            alone = at_grid_w(leaf, alone_w, discharging=discharging) if watts else alone_w / at_v if at_v > 0.0 else math.inf
            alone = max(alone, runs)  # until it is in force there, or for ever where the board died and its device holds
            return min(most, alone) if sure and most is not None else alone
        return runs if most is None else most if sure else max(most, runs)

    def _in_force(self, leaf: Battery, amount: float, *, watts: bool, discharging: bool) -> float:
        """Return what may be asked of a leaf here: of a stub no more than its owner is known to allow."""
        if not isinstance(leaf.spec, NetworkSpec):
            return amount
        granted = self._granted[self._place(leaf, discharging=discharging)]
        return amount if granted.confirmed is None or granted.watts is not watts else min(amount, granted.confirmed)

    def _want(self, leaf: Battery, amount: float, *, watts: bool, discharging: bool) -> None:
        place = self._place(leaf, discharging=discharging)
        granted = self._granted.setdefault(place, Granted())
        granted.want(amount, watts=watts, at_v=voltage_v(leaf, self._clock.now_s()))

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
            now.watts, now.counted, now.clean, now.sure = was.watts, was.counted, was.clean, was.sure
            now.revision = max(now.revision, was.revision)

    def _drop(self, *places: At) -> None:
        """Forget what is granted at the first of these places, nothing being sent; keep what is at the others."""
        old = [granted for out in (True, False) if (granted := self._granted.get((*places[0], out))) is not None]
        if self._group is None or any(granted.sending for granted in old):
            return
        for granted in old:
            granted.counted, granted.confirmed, granted.clean, granted.sure = None, None, True, True
        self._have_kept(places)

    def _have_kept(self, places: Sequence[At]) -> None:
        """Have it stored what counts at these places, the last one first."""
        kept = [(*at, out) for at in reversed(places) for out in (True, False) if (*at, out) in self._granted]
        if self._group is not None:
            self._group.create_task(self._keep(kept), name=f"keep grants {places[0][1]}")

    def forget(self, targets: Collection[str]) -> list[str]:
        """Count no more what is granted at these targets, as a person says that nothing runs there; return it in words.

        At a stub that is still there it is granted anew, or withdrawn, at the next contact; at one that was removed never.
        """
        present = {(each.spec.target, each.spec.remote_name) for each in self._directory if isinstance(each.spec, NetworkSpec)}
        words = []
        for (target, name, out), granted in self._granted.items():
            if target not in targets or granted.clean:
                continue
            amount = "an unknown part" if granted.counted is None else f"{granted.counted:.4g} {'W' if granted.watts else 'A'}"
            words.append(f"{amount} {DISCHARGE if out else CHARGE} of {name} at {target}")
            granted.counted, granted.confirmed, granted.sure = 0.0, None, True
        for at in {place[:2] for place in self._granted if place[0] in targets}:
            self._drop(at) if at not in present else self._have_kept([at])
        return words

    async def _keep(self, places: Iterable[Place]) -> None:
        for place in places:
            granted = self._granted[place]
            await self._save(place, granted, granted.counted, must=False)

    def _have_sent(self, stubs: Iterable[DeviceLeaf], now_s: float) -> None:
        """Send what differs from what is in force; withdraw where no limit is any more, or no stub."""
        for battery in stubs:
            for out in (True, False):
                granted = self._granted.get(self._place(battery, discharging=out))
                if granted is None:
                    continue
                heard = battery.status(now_s).link in HEARD
                if not heard:
                    granted.confirmed = None  # it is sent again when its owner is heard
                due = not granted.in_force and not granted.sending and now_s >= granted.failed_s + RETRY_S
                if due and heard and self._group is not None:
                    granted.turn(at_v=voltage_v(battery, now_s))
                    granted.sending = True
                    sending = self._sent(battery, granted, granted.wanted, discharging=out)
                    self._group.create_task(sending, name=f"grant {battery.name}")
                granted.wanted = None

    async def _sent(self, stub: DeviceLeaf, granted: Granted, wanted: float | None, *, discharging: bool) -> None:
        try:
            await self._grant(stub, granted, wanted, discharging=discharging)
        except StaleRevisionError as error:
            granted.revision = max(granted.revision, int(error.metadata.get("actual", granted.revision)))
        except (BosError, TimeoutError) as error:
            granted.failed_s = self._clock.now_s()
            why = str(error) or "no answer in time"
            if why != granted.why:
                granted.why = why
                _log.warning("grant_failed", battery=stub.name, detail=why)
        else:
            granted.why = ""
        finally:
            granted.sending = False

    def remember(self, stub: DeviceLeaf, grant: Grant) -> None:
        """Count what a stub's owner says is in force there, though nobody here knows of it: so that it is withdrawn."""
        place = self._place(stub, discharging=grant.discharging)
        granted = self._granted.setdefault(place, Granted())
        known = [self._granted.get(self._place(each, discharging=grant.discharging)) for each in self._same(stub)]
        if not any(each is not None and (each.sending or not each.clean) for each in known):
            _log.warning("grant_forgotten", battery=stub.name, limit_w=grant.limit_w, limit_a=grant.limit_a)
            granted.watts, granted.clean, granted.sure = grant.limit_a is None, False, True
            granted.counted = granted.confirmed = grant.limit_w if granted.watts else grant.limit_a
            self._have_kept([place[:2]])

    def _same(self, stub: DeviceLeaf) -> list[Battery]:
        """Return the stubs that may be of the battery of one, that one included: its owner knows a grant by who granted it."""
        run, name = self._owner_run(stub), self._place(stub, discharging=True)[1]
        stubs = [(each, each.spec) for each in self._directory if self._owner_run(each) in {run, ""}]
        return [each for each, spec in stubs if isinstance(spec, NetworkSpec) and spec.remote_name == name]

    async def _grant(self, stub: DeviceLeaf, granted: Granted, wanted: float | None, *, discharging: bool) -> None:
        """Put one grant in force: counted, and kept, before it is sent where it is looser; after it is confirmed where not."""
        place = self._place(stub, discharging=discharging)
        looser = wanted is None or (granted.counted is not None and wanted > granted.counted)
        granted.revision += 1
        if wanted is None or granted.counted is None:
            granted.sure = False
        if wanted is not None and (looser or granted.counted is None):
            granted.counted, granted.clean = max(wanted, granted.counted or 0.0), False
        if looser:
            await self._save(place, granted, granted.counted, must=wanted is not None)
        else:  # what is tighter waits for no disk
            self._have_kept([place[:2]])
        grant = Grant(
            discharging=discharging,
            revision=granted.revision,
            limit_w=wanted if granted.watts else None,
            limit_a=None if granted.watts else wanted,
        )
        async with asyncio.timeout(CALL_S):
            await self._send(stub, grant)
        granted.counted = granted.confirmed = wanted
        granted.clean, granted.sure = wanted is None, True
        self._have_kept([place[:2]])

    async def _save(self, place: Place, granted: Granted, value: float | None, *, must: bool) -> None:
        """Keep what counts; where that must be before something is raised, raises StoreError."""
        target, remote_name, discharging = place
        value = value if granted.sure else UNSURE
        stored = StoredGrant(
            target=target,
            remote_name=remote_name,
            direction=DISCHARGE if discharging else CHARGE,
            limit_w=value if granted.watts else None,
            limit_a=None if granted.watts else value,
            revision=granted.revision,
        )
        try:
            await self._table.save_grant(stored)
        except StoreError:
            if must:
                raise

    # --- what is known of it

    def bound_below(self, battery: Battery, cap: Cap, now_s: float) -> bool:
        """Tell whether what is not reached below a battery has parts that, with all others, fit into a limit."""
        if not has_stubs(battery):
            return False
        watts, whole = whole_of(cap, battery)
        known = [held_here(battery, now_s, watts=watts, discharging=cap.discharging)]
        for leaf in lost_below(battery, now_s):
            granted = self._granted.get(self._place(leaf, discharging=cap.discharging))
            if granted is None or granted.counted is None or not granted.sure:
                return False
            known.append(self.aside(leaf, now_s, watts=watts, discharging=cap.discharging))
        return math.fsum(known) <= whole * (1.0 + 1e-9)
