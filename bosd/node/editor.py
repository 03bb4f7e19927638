"""The editor: topology edits, one at a time, durable before they are applied."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import replace

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.consequences import consequences
from bosd.bal.directory import Directory, Replaced
from bosd.bal.edited import Edited
from bosd.bal.edits import Change, EditOperation, apply_edits, diff
from bosd.bal.graph import Graph
from bosd.bal.portions import Recuts
from bosd.bal.spec import AbsentSpec, Topology
from bosd.clock import Clock
from bosd.config.topology_toml import format_topology, parse_edit, parse_stored
from bosd.errors import ConfigError, InDoubtError, InvalidArgumentError, NoResourcesError, StaleRevisionError, StoreError
from bosd.node.answers import Answers
from bosd.node.api import ApplyResult, Edit, Entry, Revision, TopologyView
from bosd.node.bases import Bases
from bosd.node.drain import StopDevices, drained
from bosd.node.links import NetworkLeaf
from bosd.node.voltages import check_voltages
from bosd.policy.registry import POLICY_NAMES
from bosd.store.bases import SplitterBase
from bosd.store.store import Store

READ_ASIDE, MOST_READ = 16_384, 1_048_576
"""Characters of TOML of one transaction from which it is worked out beside the loop, and the most there may be: a loop that
stands still for a second is a dead one to the guard, and a megabyte takes longer than that."""
RETRY_S = 1.0
"""Pause after a disk did not answer to whether it has what was refused; it is waited for itself, too."""
MADE_AT_ONCE = 50
"""Devices that are tried before others have their turn."""


class Editor:
    """Plans and applies edits; `applied` is called with what an edit took out and put in, in the turn in which it happens.

    `stop` takes latched batteries to 0 A within a time and returns the names of devices that did not confirm. `admit` raises for
    a topology that this node cannot have, `try_devices` for a device that cannot be made, which is asked of what was not
    accepted before; `is_latched` tells which batteries are stopped, `look` waits a moment for devices that nobody looked at
    since the start: what they run is to be brought to 0 A, too. `kept` has noted for a restart what goes and may run on, while
    its block runs. What must not meet an edit halfway holds `lock`.
    """

    def __init__(
        self,
        directory: Directory,
        store: Store,
        clock: Clock,
        applied: Callable[[Replaced], None],
        stop: StopDevices,
        admit: Callable[[Topology], None] = lambda _topology: None,
    ) -> None:
        self._directory = directory
        self._store = store
        self._clock = clock
        self._applied = applied
        self._stop = stop
        self._admit = admit
        self.try_devices: Callable[[Topology], None] = lambda _topology: None
        self.is_latched: Callable[[str], bool] = lambda _name: False
        self.kept: Callable[[Edited], AbstractAsyncContextManager[None]] = lambda _edited: nullcontext()
        self.look: Callable[[Sequence[Battery]], Awaitable[object]] | None = None
        self.bases = Bases(directory, store)
        self.lock = asyncio.Lock()
        self._answers: Answers[ApplyResult] = Answers()
        self._new_revision = asyncio.Condition()
        self._configured = Topology()
        self._doubted = asyncio.Event()
        self.revision = 0
        self._changed_utc_s = clock.utc_s()

    async def load(self, configured: Topology) -> str:
        """Put the stored topology in force, or on first start the configured one; return a warning where the two differ."""
        self._admit(configured)
        stored = await self._store.load_topology()
        if stored is None:
            _refuse_absent(configured)
            self.try_devices(configured)
            await self._append(
                configured, diff(Topology(), configured), (), expected=0, who="configuration", comment="first start"
            )
            topology = configured
        else:
            topology = parse_stored(stored.toml, f"stored topology, revision {stored.revision}")
            self._admit(topology)
            self.revision, self._changed_utc_s = stored.revision, stored.changed_utc_s
        self._directory.change(topology, self._clock.now_s())
        await self.bases.load()
        self._configured = configured
        return self._parted()

    def _parted(self) -> str:
        """Return in what the configuration file and the topology in force part ways, nothing where they do not."""
        differences = diff(self._directory.topology, self._configured)
        if not differences:
            return ""
        named = ", ".join(f"{change.action} {change.name}" for change in differences[:8])
        more = f" and {len(differences) - 8} more" if len(differences) > 8 else ""
        return (
            f"the configuration file differs from the stored topology, which is in force (the file would {named}{more}); "
            "to keep what is in force, put what `bosctl topology export` prints into the file; "
            "`bosctl topology apply FILE` does what the file says"
        )

    def view(self) -> TopologyView:
        """Return the topology in force."""
        whole = _view(self.revision, self._directory.topology, self._changed_utc_s)
        return replace(whole, parted=self._parted()) if self._configured != Topology() else whole

    async def stored_topology(self, revision: int) -> TopologyView:
        """Return the topology of a revision; see NodeApi."""
        stored = await self._store.load_topology(revision) if 0 < revision <= self.revision else None
        if stored is None:
            raise InvalidArgumentError(
                f"revision {revision} is not remembered; in force is {self.revision}, history lists the others",
                field="revision",
                revision=revision,
            )
        place = f"stored topology, revision {revision}"
        return _view(revision, parse_stored(stored.toml, place), stored.changed_utc_s)

    async def plan(self, edits: Sequence[Edit], expected_revision: int | None) -> ApplyResult:
        """Check edits whole and return the differences."""
        revision = self.revision
        topology, differences, recuts = await self._planned(edits, expected_revision)
        warnings = consequences(Edited(self._directory, topology), recuts.steps())
        return ApplyResult(revision=revision, changes=differences, warnings=warnings)

    async def _planned(self, edits: Sequence[Edit], expected_revision: int | None) -> tuple[Topology, tuple[Change, ...], Recuts]:
        if expected_revision is not None and expected_revision != self.revision:
            raise StaleRevisionError(
                f"made against revision {expected_revision}, in force is {self.revision}; look at it and try again",
                expected=expected_revision,
                actual=self.revision,
            )
        before = self._directory.topology
        now_s = self._clock.now_s()
        recuts = Recuts(lambda splitter: self._directory.portions(splitter, now_s))
        size = sum(len(edit.toml) for edit in edits)
        if size > MOST_READ:
            raise NoResourcesError(f"{size} characters of TOML in one transaction; at most {MOST_READ}", field="edits")
        if size < READ_ASIDE:
            topology, differences = _worked_out(before, edits, recuts)
        elif any(edit.recut is not None for edit in edits):  # what partitions have may be read on the loop alone
            message = f"a split or a merge beside {READ_ASIDE} characters of TOML or more: make it a transaction of its own"
            raise InvalidArgumentError(message, field="edits")
        else:
            topology, differences = await asyncio.to_thread(_worked_out, before, edits, recuts)
        self._admit(topology)
        for start in range(0, len(topology.batteries), MADE_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            self.try_devices(Topology(batteries=topology.batteries[start : start + MADE_AT_ONCE]))
        check_voltages(topology, differences, self._directory.batteries, now_s)
        return topology, differences, recuts

    async def apply(
        self, edits: Sequence[Edit], expected_revision: int | None, who: str, comment: str, request_id: str = ""
    ) -> ApplyResult:
        """Store and apply edits; nothing happens if they change nothing. A repeat with the same id gets the first answer."""
        async with self.lock:
            if (answered := self._answers.get(who, request_id)) is not None:
                return answered
            await self._end_doubt()
            return self._answers.keep(who, request_id, await self._apply(edits, expected_revision, who, comment))

    async def _apply(self, edits: Sequence[Edit], expected_revision: int | None, who: str, comment: str) -> ApplyResult:
        topology, differences, recuts = await self._planned(edits, expected_revision)
        edited = Edited(self._directory, topology)
        unread = edited.unread(now_s := self._clock.now_s())
        if self.look is not None and (may_run := [leaf for leaf in unread if _may_run(leaf, now_s)]):
            await self.look(may_run)
            edited = Edited(self._directory, topology)
        warnings = consequences(edited, recuts.steps())
        unconfirmed: tuple[str, ...] = ()
        if differences:
            async with drained(edited.held, self._stop, self.is_latched, self._clock) as held, self.kept(edited):
                warnings += tuple(map(_unseen, edited.unread(self._clock.now_s())))
                bases = self.bases.after(topology, recuts, self._clock.now_s())
                gone = await self._append(topology, differences, bases, expected=self.revision, who=who, comment=comment)
                held.let_go()
                self._applied(self._directory.change(topology, self._clock.now_s(), recuts.steps()))
                await self._tell_watchers()
                if gone is not None:
                    raise gone
            warnings += held.warnings()
            unconfirmed = tuple(held.unconfirmed)
        return ApplyResult(revision=self.revision, changes=differences, warnings=warnings, unconfirmed=unconfirmed)

    async def _append(
        self,
        topology: Topology,
        differences: tuple[Change, ...],
        bases: tuple[SplitterBase, ...],
        *,
        expected: int,
        who: str,
        comment: str,
    ) -> asyncio.CancelledError | None:
        """Store a revision; where its asker went meanwhile and it is stored all the same, return what is to be raised then.

        A disk that hangs already is not given it: it would take it later, and a restart put in force what was refused. One that
        hangs from then on may have it: it is in force where that is found out in time, else taken back, and the error says so.
        """
        await self._store.prove()
        now_utc_s, toml = self._clock.utc_s(), format_topology(topology)
        gone: asyncio.CancelledError | None = None
        try:
            self.revision = await self._store.append_revision(
                expected, toml=toml, changes=differences, who=who, comment=comment, changed_utc_s=now_utc_s, bases=bases
            )
        except (asyncio.CancelledError, StoreError) as error:
            if isinstance(error, StoreError) and not isinstance(error, InDoubtError):
                raise
            self._doubted.set()
            try:
                stored = await self._store.load_topology()
            except StoreError as later:
                raise (_unknown(later, expected + 1) if isinstance(error, StoreError) else error) from later
            self._doubted.clear()
            if stored is None or (stored.revision, stored.toml) != (expected + 1, toml):
                if isinstance(error, StoreError):
                    raise StoreError(error.message, **error.metadata) from error
                raise
            self.revision, gone = stored.revision, error if isinstance(error, asyncio.CancelledError) else None
        self._changed_utc_s = now_utc_s
        return gone

    async def _end_doubt(self) -> None:
        """Take back a revision that was refused, as the disk did not answer, and is stored all the same. Raises StoreError."""
        stored = await self._store.load_topology() if self._doubted.is_set() else None
        if stored is not None and stored.revision != self.revision:
            topology, now_s = self._directory.topology, self._clock.now_s()
            bases = self.bases.after(topology, Recuts(lambda splitter: self._directory.portions(splitter, now_s)), now_s)
            back = diff(parse_stored(stored.toml, f"stored topology, revision {stored.revision}"), topology)
            comment = f"revision {stored.revision} was refused, as the disk did not answer: taken back"
            gone = await self._append(topology, back, bases, expected=stored.revision, who="bosd", comment=comment)
            await self._tell_watchers()
            if gone is not None:
                raise gone
        self._doubted.clear()

    async def _tell_watchers(self) -> None:
        async with self._new_revision:
            self._new_revision.notify_all()

    async def run(self) -> None:
        """Take back, soon after the disk answers again, what was refused and may be stored; and write the bases; for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.bases.run(), name="bases")
            while True:
                await self._doubted.wait()
                with suppress(StoreError):
                    async with self.lock:
                        await self._end_doubt()
                    continue
                await asyncio.sleep(RETRY_S)

    async def history(self, limit: int) -> tuple[Revision, ...]:
        """Return the newest revisions, newest first."""
        return tuple(
            Revision(
                revision=stored.revision,
                changed_utc_s=stored.changed_utc_s,
                who=stored.who,
                comment=stored.comment,
                changes=tuple(stored.changes),
            )
            for stored in await self._store.history(limit)
        )

    async def watch(self) -> AsyncIterator[TopologyView]:
        """Yield the topology at once, then each new revision, latest wins."""
        while True:
            seen = self.revision
            yield self.view()
            async with self._new_revision:
                while self.revision == seen:
                    await self._new_revision.wait()


def _unknown(error: StoreError, revision: int) -> InDoubtError:
    return InDoubtError(
        f"{error.message}: it is not known whether revision {revision} is stored; it is not in force, and is taken back when the "
        "disk answers, but a restart before that may put it in force",
        revision=revision,
    )


def _may_run(leaf: DeviceLeaf, now_s: float) -> bool:
    """Return whether one that nobody has looked at is to be looked at: of a stub it is known whether it may run anything."""
    return not isinstance(leaf, NetworkLeaf) or leaf.left_for_s(now_s) > 0.0


def _unseen(battery: Battery) -> str:
    return f"{battery.name} was not heard since this node started and may run what it was asked for before: look at it"


def _worked_out(before: Topology, edits: Sequence[Edit], recuts: Recuts) -> tuple[Topology, tuple[Change, ...]]:
    """Return what edits make of a topology, and the differences; without recuts it reads nothing but its arguments."""
    topology = apply_edits(before, [_operation(edit) for edit in edits], POLICY_NAMES, recuts)
    return topology, diff(before, topology)


def _operation(edit: Edit) -> EditOperation:
    if edit.recut is not None:
        return edit.recut
    assert edit.action != "recut"  # noqa: S101 (narrowing: a recut says what)
    return parse_edit(edit.action, edit.name, edit.toml)


def _refuse_absent(topology: Topology) -> None:
    """Refuse a first topology with a battery that has no driver: nothing runs yet that could suffer from it."""
    absent = [spec.why for spec in topology.batteries if isinstance(spec, AbsentSpec)]
    if absent:
        raise ConfigError("\n  ".join(absent), faults=len(absent))


def _view(revision: int, topology: Topology, changed_utc_s: float) -> TopologyView:
    graph = Graph(topology)
    return TopologyView(
        revision=revision,
        toml=format_topology(topology),
        entries=tuple(
            Entry(
                name=name,
                kind=kind,
                sources=graph.sources[name],
                users=graph.users[name],
                splitter=graph.splitter_of.get(name, ""),
            )
            for name, kind in graph.kinds.items()
        ),
        changed_utc_s=changed_utc_s,
    )
