"""Checks of what a driver commands: confirmed or refused, read back, held as declared, made safe."""

import asyncio

from bosd.bal.device import Device
from bosd.bal.spec import PhysicalSpec, RegulatorSpec
from bosd.drivers.kit.bench import Fault, Truth
from bosd.drivers.kit.result import CheckFailed, DoesNotApply
from bosd.drivers.kit.world import COMMAND_DEADLINE_S, World, good_sample, refused, within
from bosd.errors import BosError, UnsupportedError

_SET_A = 2.0
_FOREVER_S = 3600.0
_DWELL_S = 6.0
_MOST_OF_HOLD = 0.9


async def following(world: World) -> str:
    """A set point is confirmed when the device follows it, and refused where nothing could."""
    device = world.make()
    if world.control == "none":
        before = world.peer.truth()
        for current_a in (1.0, -1.0):
            error = await refused(COMMAND_DEADLINE_S, device.set_current(current_a), "set_current without control")
            if not isinstance(error, UnsupportedError):
                raise CheckFailed(f"set_current({current_a:g}) without control: {error!r}; it is refused as UnsupportedError")
        _unchanged(before, world.peer.truth())
        return "refused as UnsupportedError: no current control"
    await _holds_as_told(world, device, "before it was commanded ")
    return ", ".join([await _follow(world, device, current_a) for current_a in (_SET_A, -_SET_A, 0.0)])


async def _follow(world: World, device: Device, current_a: float) -> str:
    before = world.peer.truth()
    try:
        await within(COMMAND_DEADLINE_S, device.set_current(current_a), f"set_current({current_a:g})")
    except UnsupportedError as error:
        if current_a == 0.0:
            raise CheckFailed("set_current(0) is refused: every commanded device can stop") from error
        _unchanged(before, world.peer.truth())
        return f"{current_a:g} A refused: {error.message}"
    except BosError as error:
        raise CheckFailed(f"set_current({current_a:g}) of a healthy device: {error}") from error
    if said := not_following(world, world.peer.truth(), current_a):
        raise CheckFailed(f"set_current({current_a:g}) was confirmed, but {said}")
    await _holds_as_told(world, device, "")
    if world.control == "gate":
        await asyncio.sleep(_DWELL_S)
    return f"{current_a:g} A followed"


async def _holds_as_told(world: World, device: Device, when: str) -> None:
    """Raise CheckFailed unless the set point that is read back is the device's own; `when` begins the sentence."""
    held_a = await within(COMMAND_DEADLINE_S, device.held_current_a(), "held_current_a")
    true_a = world.peer.truth().held_a
    if (held_a is None) != (true_a is None):
        raise CheckFailed(f"{when}held_current_a says {held_a!r}, the device holds {true_a!r}")
    if held_a is not None and true_a is not None and abs(held_a - true_a) > world.trial.bench.tolerance.held_a + 1e-9:
        raise CheckFailed(f"{when}held_current_a says {held_a:g} A, the device holds {true_a:g} A")


def not_following(world: World, truth: Truth, current_a: float) -> str:
    """Return what shows that a device does not follow, nothing where it does."""
    if world.control == "gate":
        wanted = (current_a > 0.0, current_a < 0.0)
        if (truth.discharge_open, truth.charge_open) == wanted:
            return ""
        return f"the switches let discharge {_word(truth.discharge_open)} and charge {_word(truth.charge_open)} flow"
    if truth.held_a is None and current_a == 0.0:
        return ""
    if truth.held_a is None:
        return "the device holds nothing"
    slack_a = world.trial.bench.tolerance.held_a + 0.05
    return "" if abs(truth.held_a - current_a) <= slack_a else f"the device holds {truth.held_a:g} A"


async def honesty(world: World) -> str:
    """A command that is not followed, or not answered, is an error within the deadline."""
    _commanded(world)
    device, said = world.make(), []
    await good_sample(device, "reading")
    for fault in (Fault.DEAF, Fault.POWER):
        if not world.can(fault):
            continue
        await within(COMMAND_DEADLINE_S, device.set_current(0.0), "set_current(0)")
        if world.control == "gate":
            await asyncio.sleep(_DWELL_S)
        world.fault(fault, active=True)
        for current_a in (_SET_A, -_SET_A):
            error = await refused(COMMAND_DEADLINE_S, device.set_current(current_a), f"set_current with {fault.value}")
            if error is None and not_following(world, world.peer.truth(), current_a):
                raise CheckFailed(f"set_current({current_a:g}) was confirmed by a device with {fault.value}")
            if error is not None and not isinstance(error, UnsupportedError):
                said.append(f"{fault.value}: {error.reason}")
        world.fault(fault, active=False)
        await good_sample(device, f"reading after {fault.value}", attempts=6)
    if not said:
        raise DoesNotApply("the simulated device follows every command")
    return ", ".join(dict.fromkeys(said))


async def hold(world: World) -> str:
    """What a device goes on with when nobody writes is what its driver declares."""
    _commanded(world)
    device = world.make()
    if world.control == "gate":
        await within(COMMAND_DEADLINE_S, device.set_current(_SET_A), "set_current")
        await asyncio.sleep(_FOREVER_S)
        if said := not_following(world, world.peer.truth(), _SET_A):
            raise CheckFailed(f"after an hour {said}; hold_s says {device.hold_s!r}")
        if device.hold_s is not None:
            raise CheckFailed(f"hold_s says {device.hold_s:g} s; switches stood as they were for an hour")
        return "switches stay as they are: hold_s None"
    set_a = await first_possible(device)
    if device.hold_s is None:
        await asyncio.sleep(_FOREVER_S)
        if said := not_following(world, world.peer.truth(), set_a):
            raise CheckFailed(f"after an hour nobody wrote, {said}; hold_s None says that it holds for ever")
        return "holds for an hour and longer: hold_s None"
    await asyncio.sleep(device.hold_s * _MOST_OF_HOLD)
    if said := not_following(world, world.peer.truth(), set_a):
        raise CheckFailed(f"at {_MOST_OF_HOLD:.0%} of hold_s ({device.hold_s:g} s) {said}")
    await asyncio.sleep(device.hold_s * (1.0 - _MOST_OF_HOLD) + 1.0)
    if not_following(world, world.peer.truth(), 0.0):
        raise CheckFailed(f"1 s after hold_s ({device.hold_s:g} s) it still holds {world.peer.truth().held_a!r} A")
    await _holds_as_told(world, device, f"1 s after hold_s ({device.hold_s:g} s) ")
    return f"lets go within hold_s = {device.hold_s:g} s"


async def first_possible(device: Device) -> float:
    """Set a current in the first direction that can be commanded, and return it. Raises CheckFailed."""
    for current_a in (_SET_A, -_SET_A):
        if await refused(COMMAND_DEADLINE_S, device.set_current(current_a), "set_current") is None:
            return current_a
    raise CheckFailed("neither direction can be commanded")


async def safety(world: World) -> str:
    """The safe action is confirmed, may be repeated, and is an error where it cannot be confirmed."""
    device = world.make()
    if world.control == "none":
        words = await within(COMMAND_DEADLINE_S, device.make_safe(), "make_safe")
        return f'nothing to make safe: "{words}"'
    if world.control != "gate":
        await first_possible(device)
    said: list[object] = [await within(COMMAND_DEADLINE_S, device.make_safe(), "make_safe") for _ in range(2)]
    if not all(isinstance(words, str) and words for words in said):
        raise CheckFailed(f"make_safe returned {said!r}; it says in words what was done")
    spec = world.peer.spec()
    opens = isinstance(spec, PhysicalSpec) and spec.safe == "open"
    truth = world.peer.truth()
    if world.control == "gate":
        if opens and (truth.charge_open or truth.discharge_open):
            raise CheckFailed("make_safe was confirmed, but a switch lets current flow")
    elif said_not := not_following(world, truth, 0.0):
        raise CheckFailed(f"make_safe was confirmed, but {said_not}")
    if world.can(Fault.POWER) and (world.control != "gate" or opens):
        world.fault(Fault.POWER, active=True)
        if await refused(COMMAND_DEADLINE_S, device.make_safe(), "make_safe without power") is None:
            raise CheckFailed("make_safe of a device without power was confirmed")
        world.fault(Fault.POWER, active=False)
    return f'twice: "{said[1]}"'


def _commanded(world: World) -> None:
    if world.control == "none" and not isinstance(world.peer.spec(), RegulatorSpec):
        raise DoesNotApply("no current control")


def _unchanged(before: Truth, after: Truth) -> None:
    for key in ("held_a", "charge_open", "discharge_open"):
        if getattr(before, key) != getattr(after, key):
            raise CheckFailed(f"refused, but {key} went from {getattr(before, key)!r} to {getattr(after, key)!r}")


def _word(value: bool | None) -> str:  # noqa: FBT001 (a state)
    return "not" if value is False else "to"
