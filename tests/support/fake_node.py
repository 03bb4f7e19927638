"""A node without devices: statuses held in a dictionary, calls recorded, the NodeApi of the edges' own tests."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from bosd.bal.device import DeviceFacts
from bosd.bal.edits import Change
from bosd.bal.explain import Explanation, InForce, Step
from bosd.bal.facts import Facts
from bosd.bal.schedule import Moment
from bosd.bal.setpoint import Claim, Fence, Lease
from bosd.bal.status import BatteryStatus, Quality, SetpointSource
from bosd.clock import Clock, SystemClock
from bosd.errors import BadNameError, UnsupportedError
from bosd.fleet.owner import OwnerSessions
from bosd.node.api import (
    ApplyResult,
    BookingView,
    BookResult,
    DeviceView,
    Edit,
    Entry,
    LeafCommand,
    ReleaseResult,
    Revision,
    SetCurrentResult,
    StopResult,
    TimeView,
    TopologyView,
    WatchBatch,
)
from bosd.node.statement import Statement
from bosd.store.ledger import LedgerEntry


class FakeTime:
    """A clock that is only read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def view(self) -> TimeView:
        return TimeView(simulated=False, utc_s=self._clock.utc_s(), now_s=self._clock.now_s(), rate=1.0)

    async def tick(self, duration_s: float, *, holder: str = "") -> TimeView:
        del holder
        raise UnsupportedError(f"no tick of {duration_s} s")

    async def adjust(
        self, *, follow: bool | None = None, utc_s: float | None = None, rate: float | None = None, holder: str = ""
    ) -> TimeView:
        del holder
        raise UnsupportedError(f"no {follow}, {utc_s}, {rate}")


class FakeCommands:
    """Set points of peers: none that were not put here."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[Claim, ...]] = {}
        self.rebound: list[tuple[str, dict[str, float]]] = []

    def of(self, holder: str) -> tuple[Claim, ...]:
        return self.held.get(holder, ())

    def taken(self, holder: str) -> Mapping[str, str]:
        return {}

    def told(self, holder: str) -> None:
        pass

    def rebind(self, holder: str, kept: Mapping[str, float], lease: Lease) -> None:
        del lease
        self.rebound.append((holder, dict(kept)))


class FakeLedger:
    """A ledger in which nothing stands."""

    async def entries(
        self, name: str, *, since_utc_s: float | None, until_utc_s: float | None, after_number: int, limit: int
    ) -> tuple[LedgerEntry, ...]:
        return ()

    async def statement(self, name: str, *, since_utc_s: float | None, until_utc_s: float | None) -> Statement:
        return Statement(name=name, counterparties=(), transfers=(), unpriced_ah=0.0)


class FakeNode:
    """Holds statuses; `put` changes one and wakes the watchers; `raises` is what the next call raises."""

    def __init__(self, name: str = "n1", clock: Clock | None = None, beat_s: float = 0.1) -> None:
        self.name = name
        self.clock: Clock = clock or SystemClock()
        self.time = FakeTime(self.clock)
        self.ledger = FakeLedger()
        self.peer_commands = FakeCommands()
        self.beat_s = beat_s
        self.unread: set[str] = set()
        self.statuses: dict[str, BatteryStatus] = {}
        self.calls: list[tuple[object, ...]] = []
        self.raises: BaseException | None = None
        self.hang: asyncio.Event | None = None
        self.watching = 0
        self.silent = False
        self.revision = 1
        self.booked: dict[str, BookingView] = {}
        self._wakers: set[asyncio.Event] = set()
        self._versions: dict[str, int] = {}
        self._version = 0

    def sessions(self) -> OwnerSessions:
        """Return the sessions other nodes keep at this one."""
        return OwnerSessions(self.clock, self.peer_commands, boot_id=f"boot of {self.name}", config_digest=self.config_digest)

    def config_digest(self) -> str:
        return f"{self.name}/{self.revision}"

    def facts(self, unheard_s: float, names: Sequence[str] = ()) -> dict[str, Facts]:
        return dict.fromkeys(names or self.statuses, Facts(safe_within_s=unheard_s))

    async def first_look(self, names: Sequence[str] = (), *, within_s: float) -> tuple[str, ...]:
        del within_s
        return tuple(name for name in names if name in self.unread)

    def put(self, name: str, **fields: object) -> None:
        """Change a battery, sampled now, and wake the watchers."""
        now_s, utc_s = self.clock.now_s(), self.clock.utc_s()
        fresh: dict[str, object] = {
            "kind": "pseudo",
            "quality": Quality.GOOD,
            "sampled_from_s": now_s,
            "sampled_to_s": now_s,
            "sampled_from": utc_s,
            "sampled_to": utc_s,
            "setpoint_source": SetpointSource.SAFE,
            "max_staleness_s": 1.5,
        }
        self.put_status(BatteryStatus(name=name, **{**fresh, **fields}))  # type: ignore[arg-type]

    def put_status(self, status: BatteryStatus) -> None:
        self.statuses[status.name] = status
        self._version += 1
        self._versions[status.name] = self._version
        self._wake()

    def drop(self, name: str) -> None:
        """Remove a battery."""
        del self.statuses[name]
        self._wake()

    def _wake(self) -> None:
        for waker in self._wakers:
            waker.set()

    async def _gate(self, *call: object) -> None:
        self.calls.append(call)
        if self.hang is not None:
            await self.hang.wait()
        if self.raises is not None:
            raise self.raises

    async def reset_meter(self, name: str, *, holder: str) -> float:
        raise UnsupportedError(f"{holder} resets no {name}")

    def names(self) -> tuple[str, ...]:
        return tuple(self.statuses)

    def status(self, name: str) -> BatteryStatus:
        if name not in self.statuses:
            raise BadNameError(f"no battery {name}", name=name)
        return self.statuses[name]

    def device(self, name: str) -> DeviceView:
        status = self.status(name)
        return DeviceView(name=name, kind=status.kind, port="memory", facts=DeviceFacts())

    async def fresh_status(self, name: str, max_age_s: float | None = None) -> BatteryStatus:
        await self._gate("fresh_status", name, max_age_s)
        return self.status(name)

    async def watch(
        self, names: Sequence[str] | None, *, min_interval_s: float = 0.0, max_staleness_s: float = 0.0
    ) -> AsyncIterator[WatchBatch]:
        self.calls.append(("watch", names, min_interval_s, max_staleness_s))
        waker = asyncio.Event()
        waker.set()
        self._wakers.add(waker)
        self.watching += 1
        seen: dict[str, int] = {}
        try:
            while True:
                if self.silent:
                    await asyncio.Event().wait()
                wanted = self.names() if names is None else tuple(names)
                present = [name for name in wanted if name in self.statuses]
                changed = [name for name in present if seen.get(name) != self._versions[name]]
                removed = tuple(name for name in seen if name not in self.statuses)
                for name in removed:
                    del seen[name]
                seen.update((name, self._versions[name]) for name in changed)
                waker.clear()
                told = tuple(self.statuses[name] for name in (changed or present))
                yield WatchBatch(statuses=told, removed=removed, beat_s=self.beat_s)
                await asyncio.sleep(min_interval_s)
                try:
                    async with asyncio.timeout(self.beat_s):
                        await waker.wait()
                except TimeoutError:
                    continue
        finally:
            self.watching -= 1
            self._wakers.discard(waker)

    async def set_current(
        self,
        name: str,
        current_a: float,
        *,
        ttl_s: float | None,
        holder: str,
        request_id: str = "",
        dry_run: bool = False,
        fence: Fence | None = None,
    ) -> SetCurrentResult:
        await self._gate("set_current", name, current_a, ttl_s, holder, request_id, dry_run)
        return SetCurrentResult(
            name=name,
            requested_current_a=current_a,
            applied_current_a=current_a,
            setpoint_ends_s=self.clock.now_s() + (60.0 if ttl_s is None else ttl_s),
            reason="",
            leaves=(LeafCommand(name=name, old_current_a=0.0, new_current_a=current_a),),
        )

    async def force_current(
        self, name: str, current_a: float, *, ttl_s: float | None, holder: str, request_id: str = "", dry_run: bool = False
    ) -> SetCurrentResult:
        await self._gate("force_current", name, current_a, ttl_s, holder, request_id, dry_run)
        return SetCurrentResult(
            name=name,
            requested_current_a=current_a,
            applied_current_a=current_a,
            setpoint_ends_s=self.clock.now_s() + (60.0 if ttl_s is None else ttl_s),
            reason="",
            leaves=(),
            taken_from="ann",
        )

    async def clear_current(self, name: str, *, holder: str) -> SetCurrentResult:
        await self._gate("clear_current", name, holder)
        return SetCurrentResult(
            name=name, requested_current_a=0.0, applied_current_a=0.0, setpoint_ends_s=None, reason="", leaves=()
        )

    async def book(
        self, name: str, current_a: float, start: Moment, end: Moment, *, holder: str, request_id: str = ""
    ) -> BookResult:
        await self._gate("book", name, current_a, start, end, holder, request_id)
        start_s, end_s = start.resolved(self.clock.utc_s()), end.resolved(self.clock.utc_s())
        view = BookingView(
            booking_id=str(len(self.booked) + 1),
            name=name,
            current_a=current_a,
            start_utc_s=start_s,
            end_utc_s=end_s,
            who=holder,
            booked_utc_s=self.clock.utc_s(),
            running=False,
            in_force=((start_s, end_s),),
        )
        self.booked[view.booking_id] = view
        return BookResult(booking=view, survives=f"node {self.name}", lower_a=-30.0, upper_a=50.0, warnings=("mind it",))

    async def bookings(self, name: str = "") -> tuple[BookingView, ...]:
        await self._gate("bookings", name)
        return tuple(view for view in self.booked.values() if not name or view.name == name)

    async def cancel_booking(self, booking_id: str, *, holder: str) -> BookingView:
        await self._gate("cancel_booking", booking_id, holder)
        return self.booked.pop(booking_id)

    async def stop(
        self,
        names: Sequence[str],
        *,
        node: bool = False,
        everything: bool = False,
        reason: str = "",
        holder: str = "",
        via: Sequence[str] = (),
    ) -> StopResult:
        await self._gate("stop", tuple(names), node, everything, reason, holder, *via)
        return StopResult(stopped=tuple(names), unconfirmed=())

    async def release(self, names: Sequence[str], *, holder: str = "", via: Sequence[str] = ()) -> ReleaseResult:
        await self._gate("release", tuple(names), holder, *via)
        return ReleaseResult(released=tuple(names))

    async def refresh(self, name: str, *, recursive: bool = False) -> BatteryStatus:
        await self._gate("refresh", name, recursive)
        return self.status(name)

    async def explain(self, name: str, *, within_s: float = 1.0) -> Explanation:
        await self._gate("explain", name, within_s)
        status = self.status(name)
        limit_a, ideal_a = status.max_discharge_current_a, status.ideal_max_discharge_current_a
        step = Step(
            battery=name, kind=status.kind, depth=0, limit_a=limit_a, ideal_a=ideal_a, cause="configured", by=(name,), text="so"
        )
        force = InForce(source="", requested_a=None, applied_a=None, holder="", ends_s=None, limited_by="", text="nothing asked")
        return Explanation(
            name=name, discharge=(step,), charge=(), in_force=force, empty_in_s=None, full_in_s=None, node=self.name
        )

    async def modify_pseudo(self, name: str, values: Mapping[str, float], *, holder: str = "") -> BatteryStatus:
        await self._gate("modify_pseudo", name, dict(values))
        self.put_status(replace(self.status(name), **values))  # type: ignore[arg-type]
        return self.status(name)

    def topology(self) -> TopologyView:
        entries = tuple(Entry(name=name, kind="pseudo", sources=(), users=(), splitter="") for name in self.statuses)
        return TopologyView(revision=self.revision, toml="", entries=entries, changed_utc_s=1.0)

    async def plan(self, edits: Sequence[Edit], *, expected_revision: int | None = None) -> ApplyResult:
        self.calls.append(("plan", tuple(edits), expected_revision))
        changes = tuple(Change(action="remove", name=edit.name, kind="pseudo", detail="") for edit in edits)
        return ApplyResult(revision=self.revision, changes=changes)

    async def apply(
        self, edits: Sequence[Edit], *, expected_revision: int | None, holder: str, comment: str = "", request_id: str = ""
    ) -> ApplyResult:
        await self._gate("apply", tuple(edits), expected_revision, holder, comment, request_id)
        self.revision += 1
        return ApplyResult(revision=self.revision, changes=(), warnings=("mind the gap",))

    async def stored_topology(self, revision: int) -> TopologyView:
        await self._gate("stored_topology", revision)
        return replace(self.topology(), revision=revision)

    async def history(self, limit: int) -> tuple[Revision, ...]:
        await self._gate("history", limit)
        return (Revision(revision=1, changed_utc_s=1.0, who="someone", comment="first", changes=()),)

    async def watch_topology(self) -> AsyncIterator[TopologyView]:
        yield self.topology()
        await asyncio.Event().wait()
