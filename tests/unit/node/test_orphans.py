"""Devices that nobody has any more and that did not confirm: told again, handed over, guarded."""

import asyncio
from dataclasses import replace
from typing import NoReturn

import pytest

from bosd.bal.directory import Directory
from bosd.bal.physical import PhysicalBattery
from bosd.bal.pseudo import InPlace
from bosd.bal.spec import BatterySpec, JbdSpec, PhysicalSpec, SimulatedRegulatorSpec, Topology
from bosd.clock import LoopClock
from bosd.drivers.absent import AbsentDevice
from bosd.drivers.rd6006.regulator import Rd6006Regulator
from bosd.node.leaves import Leaves
from bosd.node.orphans import AGAIN_S, Orphans
from bosd.safeguard.device_list import Devices, decode, devices_of, encode
from tests.support.bal_makers import jbd_spec

pytestmark = pytest.mark.jumping

SPEC = jbd_spec("b1", 5.0, current_control="external", regulator=SimulatedRegulatorSpec(port="/run/load"))


def leaf(spec: BatterySpec) -> PhysicalBattery:
    """Return a battery whose device nobody reads."""
    assert isinstance(spec, JbdSpec)
    return PhysicalBattery(spec, AbsentDevice(spec.name, "not here"))


def directory_of(*specs: BatterySpec) -> Directory:
    """Return the batteries of a topology of packs."""

    def no_policy(*_arguments: object) -> NoReturn:
        raise AssertionError

    found = Directory(leaf, no_policy, no_policy)
    found.change(Topology(batteries=specs), 0.0, {})
    return found


async def test_told_until_it_confirms() -> None:
    """It is noticed and guarded meanwhile, and forgotten then."""
    answers = [False, False, True]
    told_s: list[float] = []

    async def make_safe(_battery: PhysicalBattery) -> bool:
        told_s.append(asyncio.get_running_loop().time() - begun_s)
        assert [each.battery for each in orphans.noticed()] == ["b1"]
        assert orphans.specs() == (SPEC,)
        return answers.pop(0)

    orphans, begun_s = Orphans(directory_of(), make_safe), asyncio.get_running_loop().time()
    await orphans.see_to(leaf(SPEC))
    assert told_s == pytest.approx([AGAIN_S, 2 * AGAIN_S, 3 * AGAIN_S])
    assert (list(orphans.noticed()), orphans.specs()) == ([], ())


class Book:
    """Notes what it is to keep."""

    def __init__(self) -> None:
        self.left: tuple[PhysicalSpec, ...] = ()
        self.in_place: tuple[InPlace, ...] = ()

    @property
    def names(self) -> list[str]:
        """Of what is kept."""
        return [spec.name for spec in self.left]

    async def note(self, specs: tuple[PhysicalSpec, ...], in_place: tuple[InPlace, ...]) -> None:
        """Keep them, as a disk does."""
        await asyncio.sleep(0.1)
        self.note_soon(specs, in_place)

    def note_soon(self, specs: tuple[PhysicalSpec, ...], in_place: tuple[InPlace, ...]) -> None:
        """Keep them."""
        self.left, self.in_place = specs, in_place


async def test_kept_from_before_the_edit_until_it_confirms() -> None:
    """It is on the disk when the edit is stored, beside one that is there already; which of both confirms goes from there."""
    answers = [True]

    async def make_safe(_battery: PhysicalBattery) -> bool:
        return answers.pop(0)

    other = replace(SPEC, name="b2", regulator=SimulatedRegulatorSpec(port="/run/other"))
    directory = directory_of(SPEC)
    orphans, leaves = Orphans(directory, make_safe), leaf(SPEC)
    orphans.book = book = Book()
    orphans.inherit((other,))
    async with orphans.going([leaves]):
        assert book.names == ["b2", "b1"]
        await orphans.see_to(next(iter(orphans.batteries)))
        assert book.names == ["b1"]
        directory.change(Topology(), 0.0, {})
        orphans.leaving[leaves] = None
    assert book.names == ["b1"]
    del orphans.leaving[leaves]
    orphans.keep()
    assert book.names == []
    async with orphans.going([]):
        assert book.names == []


async def test_another_batterys_is_left_to_that_one() -> None:
    """The regulator counts, whatever the battery before it is called; a pack without it leaves it an orphan."""

    async def never(_battery: PhysicalBattery) -> NoReturn:
        raise AssertionError

    moved = replace(SPEC, name="b2", port="/dev/b2")
    orphans = Orphans(directory_of(moved), never)
    await asyncio.wait_for(orphans.see_to(leaf(SPEC)), AGAIN_S / 2)
    bare = replace(SPEC, current_control="none", regulator=None)
    orphans = Orphans(directory_of(bare), never)
    assert not orphans.is_had_again(leaf(SPEC))
    orphans.batteries[leaf(SPEC)] = None
    assert orphans.specs() == (replace(SPEC, name="b1-removed"),), "a guard's list holds a name once"
    orphans.leaving[leaf(replace(SPEC, regulator=SimulatedRegulatorSpec(port="/run/other")))] = None
    assert [spec.name for spec in orphans.specs()] == ["b1-removed", "b1-removed-2"]
    assert devices_of(orphans.specs()) == decode(encode(Devices(orphans.specs()))).specs  # type: ignore[union-attr]


class Slow(AbsentDevice):
    """A supply on a line that spoils two of three requests (rd6006: five exchanges of three attempts)."""

    failsafe_time_s = Rd6006Regulator.failsafe_time_s

    async def make_safe(self) -> str:
        """Take almost as long as it may."""
        await asyncio.sleep(0.95 * self.failsafe_time_s)
        return "regulator at 0 A"


async def test_one_whose_driver_needs_longer_has_that_time() -> None:
    """An rd6006 takes up to 6.25 s to 0 A and its read-back: told for 3 s at a time it never confirmed."""
    clock = LoopClock(asyncio.get_running_loop())
    leaves = Leaves(directory_of(), clock, lambda _battery: None, lambda _leaf, _error: None)
    begun_s = clock.now_s()
    async with asyncio.timeout(60.0):
        await leaves.orphans.see_to(PhysicalBattery(SPEC, Slow("b1", "not here")))
    assert clock.now_s() - begun_s == pytest.approx(AGAIN_S + 0.95 * Rd6006Regulator.failsafe_time_s)
    assert leaves.orphans.specs() == ()


async def test_what_an_earlier_run_left_is_told_from_the_start() -> None:
    """At once, then again, unless a battery has it; it stays an orphan, and the guard's, where the run ends before."""
    told: list[tuple[str, float]] = []

    async def fails(battery: PhysicalBattery) -> bool:
        told.append((battery.name, asyncio.get_running_loop().time() - begun_s))
        return False

    other = replace(SPEC, name="b2", port="/dev/b2", regulator=SimulatedRegulatorSpec(port="/run/other"))
    orphans, begun_s = Orphans(directory_of(replace(other, name="b3")), fails), asyncio.get_running_loop().time()
    orphans.inherit((SPEC, other))
    assert orphans.specs() == (SPEC,), "the guard has it before the first word"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5 * AGAIN_S), asyncio.TaskGroup() as group:
            orphans.start(group)
    assert told == [("b1", 0.0), ("b1", pytest.approx(AGAIN_S))]
    assert orphans.specs() == (SPEC,)
    (noticed,) = orphans.noticed()
    assert (noticed.kind, noticed.battery) == ("NOT_FOLLOWED", "b1")
    assert "counted at" not in noticed.message, "what it runs is not known"
