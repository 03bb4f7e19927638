"""Devices of batteries that an edit took out and that did not confirm their safe action: told until they do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

import structlog

from bosd.bal.battery import DeviceLeaf
from bosd.bal.directory import Directory
from bosd.bal.physical import PhysicalBattery
from bosd.bal.pseudo import InPlace, NullBattery
from bosd.bal.spec import PhysicalSpec
from bosd.node.faults import Severity
from bosd.node.noticed import Noticed

AGAIN_S = 2.0
LONGEST_STEM = 48
"""Characters of a name that are kept where it is lengthened: names have 63 at most."""

_log = structlog.get_logger("node")


class Kept(Protocol):
    """What keeps them over restarts, and what null batteries stand in place of; `left` and `in_place` are of an earlier run."""

    left: tuple[PhysicalSpec, ...]
    in_place: tuple[InPlace, ...]

    async def note(self, specs: tuple[PhysicalSpec, ...], in_place: tuple[InPlace, ...]) -> None:
        """Keep these and no others, durably. Raises StoreError where that cannot be."""
        ...

    def note_soon(self, specs: tuple[PhysicalSpec, ...], in_place: tuple[InPlace, ...]) -> None:
        """Keep these and no others; never waits."""
        ...


class _NotKept:
    """For a node that keeps nothing over its restarts."""

    left: tuple[PhysicalSpec, ...] = ()
    in_place: tuple[InPlace, ...] = ()

    async def note(self, specs: tuple[PhysicalSpec, ...], in_place: tuple[InPlace, ...]) -> None:
        """Keep nothing."""

    def note_soon(self, specs: tuple[PhysicalSpec, ...], in_place: tuple[InPlace, ...]) -> None:
        """Keep nothing."""


class Orphans:
    """The batteries whose devices may go on with what a battery that is gone was asked.

    `make_safe` tries once and says whether that was confirmed. One whose device is another battery's by now is that one's to
    look at: what it runs is `UNOWNED` there (adopt.py). `leaving` are batteries whose devices are told for the first time: they
    are no error yet, and the guard's like the others. `book` keeps all of them for a run after this one.
    """

    def __init__(self, directory: Directory, make_safe: Callable[[PhysicalBattery], Awaitable[bool]]) -> None:
        self.batteries: dict[PhysicalBattery, None] = {}
        self.leaving: dict[PhysicalBattery, None] = {}
        self.book: Kept = _NotKept()
        self._going: tuple[PhysicalBattery, ...] = ()
        self._directory = directory
        self._make_safe = make_safe

    def inherit(self, specs: Sequence[PhysicalSpec]) -> None:
        """Take over what an earlier run could not make safe, unless a battery here has it; they are told from `start` on."""
        known = {_commanded(battery) for battery in self.batteries}
        for spec in specs:
            if spec.commanded_place in known:
                continue
            battery = self._directory.make_leaf(spec)
            if isinstance(battery, PhysicalBattery) and battery.controllable and not self.is_had_again(battery):
                self.batteries[battery] = None
                self._stand_in(battery)
                _log.warning("orphan_inherited", battery=spec.name, place=spec.commanded_place)

    def _stand_in(self, battery: PhysicalBattery) -> None:
        """Have a null battery that stood in place of one of an earlier run say again what that may run."""
        for name, place, may_run_a in self.book.in_place:
            null = self._directory.batteries.get(name)
            if isinstance(null, NullBattery) and place == _commanded(battery):
                battery.unconfirmed_a, null.left = may_run_a, battery
                null.touch()

    @asynccontextmanager
    async def going(self, batteries: Sequence[PhysicalBattery]) -> AsyncIterator[None]:
        """Have kept what may become one of them by an edit that the block stores. Raises StoreError where that cannot be."""
        self._going = tuple(batteries)
        try:
            if self._going:
                await self.book.note(*self._to_keep())
            yield
        finally:
            was, self._going = self._going, ()
            if was:
                self.keep()

    def keep(self) -> None:
        """Have those that are left kept: one was made safe, or is another battery's."""
        self.book.note_soon(*self._to_keep())

    def _to_keep(self) -> tuple[tuple[PhysicalSpec, ...], tuple[InPlace, ...]]:
        """Return what may run on, and what stands in its place; of what an edit takes out one may, where the edit says so."""
        going = [battery.spec for battery in self._going if isinstance(battery.spec, PhysicalSpec)]
        nulls = [(each.name, each.left) for each in self._directory if isinstance(each, NullBattery) and each.left is not None]
        nulls += [(battery.name, battery) for battery in self._going]
        in_place = [InPlace(name, _commanded(left), left.counts_at_a) for name, left in nulls if left.counts_at_a != 0.0]
        return (*self.specs(), *going), tuple(in_place)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Tell those that are there already, at once, in tasks of `group`."""
        for battery in self.batteries:
            group.create_task(self.see_to(battery, after_s=0.0), name=f"see to {battery.name}")

    async def see_to(self, battery: PhysicalBattery, *, after_s: float = AGAIN_S) -> None:
        """Tell its device until it confirms, or is another battery's, and let go of it; cancelled it stays one of them."""
        self.batteries[battery] = None
        while not self.is_had_again(battery):
            await asyncio.sleep(after_s)
            after_s = AGAIN_S
            if await self._make_safe(battery):
                _log.info("orphan_made_safe", battery=battery.name)
                break
        del self.batteries[battery]
        await self.let_go(battery)
        self.keep()

    async def let_go(self, battery: PhysicalBattery) -> None:
        """Close the device of one that is safe, or another battery's: what stands in its place counts nothing any more."""
        for each in self._directory:
            if isinstance(each, NullBattery) and each.left is battery:
                each.left = None
                each.touch()
        await battery.device.close()

    def all(self) -> tuple[PhysicalBattery, ...]:
        """Return those that are told for the first time, and those that are told again."""
        return (*self.leaving, *self.batteries)

    def specs(self) -> tuple[PhysicalSpec, ...]:
        """Return what the guard is to look after beside the topology, as `called`: what no battery of that commands."""
        return tuple(
            replace(battery.spec, name=called)
            for battery, called in self._names()
            if isinstance(battery.spec, PhysicalSpec) and not self.is_had_again(battery)
        )

    def called(self, battery: PhysicalBattery) -> str:
        """Return the name that means one of them alone: a battery of its old name may be there."""
        return dict(self._names())[battery]

    def _names(self) -> Iterator[tuple[PhysicalBattery, str]]:
        taken = {each.name for each in self._directory}
        for battery in self.all():
            name, number = battery.name, 1
            while name in taken:
                name = f"{battery.name[:LONGEST_STEM]}-removed" + (f"-{number}" if number > 1 else "")
                number += 1
            taken.add(name)
            yield battery, name

    def noticed(self) -> Iterable[Noticed]:
        """Yield each of them."""
        for battery in self.batteries:
            counted = f"counted at {battery.counts_at_a:g} A, " if battery.counts_at_a else ""
            message = f"{battery.name} was taken out and its device did not confirm its safe action: {counted}"
            message += f"told again each {AGAIN_S:g} s; look at it"
            yield Noticed("NOT_FOLLOWED", Severity.HIGH, message, "removed", battery.name)

    def is_had_again(self, battery: PhysicalBattery) -> bool:
        """Return whether what it commanded is another battery's by now."""
        held = _commanded(battery)
        return any(isinstance(each, PhysicalBattery) and _commanded(each) == held for each in self._directory)


def _commanded(battery: DeviceLeaf) -> str:
    return battery.spec.commanded_place if isinstance(battery.spec, PhysicalSpec) else ""
