"""Devices that nobody has any more and that did not confirm: told again, handed over, guarded."""

import asyncio
from dataclasses import replace
from typing import NoReturn

import pytest

from bosd.bal.directory import Directory
from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import BatterySpec, JbdSpec, SimulatedRegulatorSpec, Topology
from bosd.drivers.absent import AbsentDevice
from bosd.node.orphans import AGAIN_S, Orphans

pytestmark = pytest.mark.jumping

SPEC = JbdSpec(
    name="b1",
    port="/dev/b1",
    current_control="external",
    max_discharge_current_a=5.0,
    max_charge_current_a=5.0,
    regulator=SimulatedRegulatorSpec(port="/run/load"),
)


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
    assert orphans.specs() == (), "a guard's list holds a name and a port once"
