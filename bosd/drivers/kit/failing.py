"""Checks of what a driver does when its device or its connection fails: deadlines, noise, loss, cancellation, sharing a line."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from bosd.bal.device import Device
from bosd.drivers.kit.bench import Fault
from bosd.drivers.kit.commanding import first_possible
from bosd.drivers.kit.result import CheckFailed, DoesNotApply, joined
from bosd.drivers.kit.stepping import cancelled_at
from bosd.drivers.kit.world import COMMAND_DEADLINE_S, READ_DEADLINE_S, STALL_S, World, good_sample, refused, within
from bosd.errors import DriverError, TransientError, UnavailableError

Operation = Callable[[], Coroutine[Any, Any, object]]

_NOISY_READS = 60
_SHARED_READS = 30
_MOST_WAITS = 300
_BACK_S = 10.0
_STALLS_TOGETHER_S = (0.4, 0.8, 1.2, 1.6, 2.0, 2.4, STALL_S)
"""One of them ends while the second device waits: the first one's attempts take a second or so."""
_MOST_OF_A_LINE = 0.15
"""What a dead device may take of a line that others use."""


async def timeouts(world: World) -> str:
    """A device that says nothing is an error of the port within the deadline, each time."""
    world.need(Fault.POWER)
    device = world.make()
    await good_sample(device, "reading")
    world.fault(Fault.POWER, active=True)
    loop, longest_s = asyncio.get_running_loop(), 0.0
    for _ in range(3):
        begun_s = loop.time()
        error = await refused(READ_DEADLINE_S, device.read(), "reading a device without power")
        if error is None:
            raise CheckFailed("a sample came from a device without power")
        if not isinstance(error, UnavailableError | DriverError):
            raise CheckFailed(f"raised {type(error).__name__}; no answer is UnavailableError")
        longest_s = max(longest_s, loop.time() - begun_s)
    world.fault(Fault.POWER, active=False)
    back_s = await _recovered(world, device, "after the power came back")
    return f"given up within {longest_s:.2f} s; a sample {back_s:.1f} s after the power is back"


async def garbage(world: World) -> str:
    """Noise is an error or is not heard; no value comes of it, and the next good answer counts."""
    world.need(Fault.GARBAGE)
    device = world.make()
    judge = world.judge()
    world.fault(Fault.GARBAGE, active=True)
    errors = 0
    for _ in range(_NOISY_READS):
        judge.begin()
        try:
            sample = await within(READ_DEADLINE_S, device.read(), "reading in noise")
        except TransientError:
            errors += 1
        else:
            if wrong := judge.wrong(sample):
                raise CheckFailed(f"a value came of noise: {joined(wrong)}")
        await asyncio.sleep(0.1)
    world.fault(Fault.GARBAGE, active=False)
    back_s = await _recovered(world, device, "after noise")
    return f"{errors} of {_NOISY_READS} readings refused, no wrong value; a sample {back_s:.1f} s after it ends"


async def unplug(world: World) -> str:
    """A connection that goes is an error, also in the middle of a request; when it is back the next readings work."""
    world.need(Fault.UNPLUG)
    device, took = world.make(), []
    await good_sample(device, "reading")
    loop = asyncio.get_running_loop()
    for after_s in (None, 0.005, 0.02, 0.05):
        if after_s is None:
            world.fault(Fault.UNPLUG, active=True)
        else:
            loop.call_later(after_s, lambda: world.fault(Fault.UNPLUG, active=True))
        begun_s = loop.time()
        error = await refused(READ_DEADLINE_S, device.read(), "reading while it is unplugged")
        if error is None and after_s is None:
            raise CheckFailed("a sample came from an unplugged device")
        if error is not None and not isinstance(error, UnavailableError | DriverError):
            raise CheckFailed(f"raised {type(error).__name__}; no connection is UnavailableError")
        await asyncio.sleep(max(0.0, begun_s + 1.0 - loop.time()))
        world.fault(Fault.UNPLUG, active=False)
        took.append(await _recovered(world, device, "after it was plugged in again"))
    return f"back within {max(took):.1f} s, {len(took)} times"


async def restart(world: World) -> str:
    """A device that starts anew is read again without a new driver."""
    fault = Fault.RESTART if world.can(Fault.RESTART) else Fault.POWER
    world.need(fault)
    device = world.make()
    judge = world.judge()
    await good_sample(device, "reading")
    loop = asyncio.get_running_loop()
    for after_s in (0.0, 0.01, 0.04):
        loop.call_later(after_s, lambda: world.fault(fault, active=True))
        loop.call_later(after_s + 0.5, lambda: world.fault(fault, active=False))
        await refused(READ_DEADLINE_S, device.read(), "reading while it starts anew")
        await asyncio.sleep(1.0)
        await good_sample(device, "reading after a restart", attempts=5, judge=judge)
    return "three restarts, read again without a new driver"


async def stall(world: World) -> str:
    """Answers that come too late belong to no later request."""
    world.need(Fault.STALL)
    device = world.make()
    judge = world.judge(memory_s=STALL_S)
    loop = asyncio.get_running_loop()
    for number in range(8):
        judge.look()
        world.peer.load(3.0 if number % 2 else -3.0)
        world.fault(Fault.STALL, active=True)
        loop.call_later(STALL_S, lambda: world.fault(Fault.STALL, active=False))
        until_s = loop.time() + STALL_S + 2.0
        while loop.time() < until_s:
            judge.begin()
            try:
                sample = await within(READ_DEADLINE_S, device.read(), "reading in a stall")
            except TransientError:
                await asyncio.sleep(0.2)
                continue
            if wrong := judge.wrong(sample):
                raise CheckFailed(f"an answer that was {STALL_S:g} s late and longer: {joined(wrong)}")
            await asyncio.sleep(0.2)
        await _recovered(world, device, "after a stall")
    return f"8 stalls of {STALL_S:g} s, no value older than a stall"


async def sleeping(world: World) -> str:
    """A device that went to sleep is woken by asking it."""
    world.need(Fault.SLEEP)
    device = world.make()
    await good_sample(device, "reading")
    loop, longest_s = asyncio.get_running_loop(), 0.0
    for _ in range(5):
        world.fault(Fault.SLEEP, active=True)
        begun_s = loop.time()
        await good_sample(device, "reading a device that sleeps", attempts=2)
        longest_s = max(longest_s, loop.time() - begun_s)
    return f"a sample within {longest_s:.2f} s"


async def cancellation(world: World) -> str:
    """Each operation may be cancelled wherever it waits; the next one works."""
    device = world.make()
    await good_sample(device, "reading")
    said = [await _cancelled(world, device, "read", device.read)]
    if world.control != "none":
        current_a = await first_possible(device)
        said.append(await _cancelled(world, device, "set_current", lambda: device.set_current(current_a)))
        said.append(await _cancelled(world, device, "held_current_a", device.held_current_a))
        said.append(await _cancelled(world, device, "make_safe", device.make_safe, before=lambda: device.set_current(current_a)))
    return ", ".join(said)


async def _cancelled(world: World, device: Device, name: str, operation: Operation, *, before: Operation | None = None) -> str:
    """Cancel an operation where it waits for the first time, the second time, and so on, each time after `before`."""
    judge = world.judge()
    for at in range(_MOST_WAITS):
        if before is not None:
            await within(COMMAND_DEADLINE_S, before(), f"what goes before {name}")
        judge.look()
        try:
            reached = await cancelled_at(operation(), at)
        except TransientError as failed:  # what an earlier cancellation left may cost one attempt
            if at == 0:
                raise CheckFailed(f"{name}: {failed}") from failed
            reached = True
        except Exception as error:
            raise CheckFailed(f"{name} cancelled at wait {at + 1}: {type(error).__name__}: {error}") from error
        await good_sample(device, f"reading after {name} was cancelled at wait {at + 1}", judge=judge)
        if not reached:
            return f"{name} at {at} waits"
        if world.control != "none":
            left = await refused(COMMAND_DEADLINE_S, device.make_safe(), f"make_safe after {name} was cancelled")
            if left is not None:
                raise CheckFailed(f"make_safe after {name} was cancelled at wait {at + 1}: {left}")
    return f"{name} at the first {_MOST_WAITS} waits"


async def sharing(world: World) -> str:
    """Two devices on one line are read at the same time, each its own values, also while the other is dead."""
    if world.trial.bench.most < 2:
        raise DoesNotApply("one device a connection")
    world.need(Fault.POWER)
    devices = [world.make(number) for number in range(2)]
    world.peer.load(6.0, 0)
    world.peer.load(-4.0, 1)
    await _read_all(world, devices)
    if world.can(Fault.STALL):
        await _stalled_together(world, devices)
    world.fault(Fault.POWER, active=True, number=1)
    await refused(READ_DEADLINE_S, devices[1].read(), "reading the dead one")
    loop, begun_s, dead_s = asyncio.get_running_loop(), asyncio.get_running_loop().time(), 0.0
    for _ in range(_SHARED_READS):
        await good_sample(devices[0], "reading beside a dead one", attempts=1)
        at_s = loop.time()
        if await refused(READ_DEADLINE_S, devices[1].read(), "reading the dead one") is None:
            raise CheckFailed("a sample came from the device without power")
        dead_s += loop.time() - at_s
        await asyncio.sleep(2.0)
    share = dead_s / (loop.time() - begun_s)
    if share > _MOST_OF_A_LINE:
        raise CheckFailed(f"a dead one tried each 2 s takes {share:.1%} of the line; {_MOST_OF_A_LINE:.0%} at most")
    world.fault(Fault.POWER, active=False, number=1)
    await _recovered(world, devices[1], "after the dead one's power came back")
    await _read_all(world, devices)
    return f"each its own values; a dead one tried each 2 s takes {share:.1%} of the line"


async def _read_all(world: World, devices: list[Device]) -> None:
    """Read all at the same time, judged each by itself."""
    judges = [world.judge(number) for number in range(len(devices))]

    async def one(number: int) -> None:
        for _ in range(_SHARED_READS):
            await good_sample(devices[number], f"reading device {number + 1} of {len(devices)}", judge=judges[number])
            await asyncio.sleep(0.05)

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(len(devices)):
                group.create_task(one(number), name=f"read {number}")
    except* CheckFailed as failed:
        raise failed.exceptions[0] from None


async def _stalled_together(world: World, devices: list[Device]) -> None:
    """Answers that come late meet the request of another device: none is taken for its own."""
    loop = asyncio.get_running_loop()
    judges = [world.judge(number, memory_s=STALL_S) for number in range(len(devices))]
    for stall_s in _STALLS_TOGETHER_S:
        world.fault(Fault.STALL, active=True)
        loop.call_later(stall_s, lambda: world.fault(Fault.STALL, active=False))
        until_s = loop.time() + stall_s + 2.0
        while loop.time() < until_s:
            for device, judge in zip(devices, judges, strict=True):
                judge.begin()
                try:
                    sample = await within(READ_DEADLINE_S, device.read(), "reading two in a stall")
                except TransientError:
                    continue
                if wrong := judge.wrong(sample):
                    raise CheckFailed(f"a late answer of the other one: {joined(wrong)}")
            await asyncio.sleep(0.2)
        for device in devices:
            await _recovered(world, device, "after a stall of both")


async def closing(world: World) -> str:
    """Closing twice is closing once; nothing stays open, no task is left."""
    device = world.make()
    before = asyncio.all_tasks()
    await good_sample(device, "reading")
    await within(COMMAND_DEADLINE_S, device.close(), "closing")
    await within(COMMAND_DEADLINE_S, device.close(), "closing again")
    await asyncio.sleep(1.0)
    if world.faults.transports:
        raise CheckFailed("its line is still open")
    if left := [task.get_name() for task in asyncio.all_tasks() - before if not task.done()]:
        raise CheckFailed(f"tasks left behind: {', '.join(left)}")
    never = world.make()
    await within(COMMAND_DEADLINE_S, never.close(), "closing one that was never read")
    return "twice, and one that was never read"


async def _recovered(world: World, device: Device, what: str) -> float:
    """Return how long it takes to the next sample, read at the period of a node that lost it."""
    del world
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    last: Exception | None = None
    while loop.time() < begun_s + _BACK_S:
        try:
            await within(READ_DEADLINE_S, device.read(), f"reading {what}")
        except TransientError as error:
            last = error
            await asyncio.sleep(1.0)
        else:
            return loop.time() - begun_s
    raise CheckFailed(f"{what}: no sample within {_BACK_S:g} s: {last}")
