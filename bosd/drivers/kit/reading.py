"""Checks of what a driver reads: units, signs, limits, unknown values, time, bytes, memory."""

import asyncio
import gc
import tracemalloc

from bosd.drivers.impossible import VALUES
from bosd.drivers.kit.bench import Fault
from bosd.drivers.kit.result import CheckFailed, DoesNotApply, joined
from bosd.drivers.kit.world import READ_DEADLINE_S, World, good_sample, within

_LOADS_A = (0.0, 10.0, -10.0, 2.5, -2.5, 0.0)
_NEEDED = ("voltage_v", "current_a")
"""What a battery is of no use without, where its device knows it."""
_POLLS = 100
_WARM_READS = 300
_GROWTH_BYTES = 32_768
"""A reading that keeps 32 bytes shows after a thousand of them; caches fill in those before."""


def no_board(world: World) -> None:
    """Raise DoesNotApply for a regulator, which reads no battery."""
    if world.trial.is_regulator:
        raise DoesNotApply("a regulator reads no battery")


async def units(world: World) -> str:
    """Every value is true in its unit, at several loads or, where none can be set, at several times."""
    no_board(world)
    device, judge = world.make(), world.judge()
    told: set[str] = set()
    for load_a in _LOADS_A:
        if not world.peer.load(load_a):
            await asyncio.sleep(47.0)
        await asyncio.sleep(world.period_s)
        sample = await good_sample(device, "reading", judge=judge)
        told |= {key for key in (*VALUES, "cells_v") if getattr(sample, key) is not None}
    truth = world.peer.truth()
    silent = [key for key in (*VALUES, "cells_v") if getattr(truth, key) is not None and key not in told]
    if missing := [key for key in _NEEDED if key in silent]:
        raise CheckFailed(f"never told: {', '.join(missing)}, which the device knows")
    return f"{', '.join(sorted(told))} true at {len(_LOADS_A)} points" + (f"; never told: {', '.join(silent)}" if silent else "")


async def signs(world: World) -> str:
    """Discharge is positive, charge negative."""
    no_board(world)
    device = world.make()
    seen: dict[str, float] = {}
    for number in range(60):
        if not world.peer.load(10.0 if number % 2 else -10.0):
            await asyncio.sleep(61.0)
        await asyncio.sleep(world.period_s)
        true_a = world.peer.truth().current_a
        sample = await good_sample(device, "reading")
        if true_a is None or sample.current_a is None:
            raise DoesNotApply("the device does not tell its current")
        if true_a and world.peer.truth().current_a == true_a:
            if true_a * sample.current_a <= 0.0:
                word = "discharges" if true_a > 0 else "charges"
                raise CheckFailed(
                    f"it {word} with {abs(true_a):g} A and current_a says {sample.current_a:g}: discharge is positive"
                )
            seen["discharge" if true_a > 0 else "charge"] = sample.current_a
        if len(seen) == 2:
            return f"{seen['discharge']:g} A discharging, {seen['charge']:g} A charging"
    raise DoesNotApply("the simulated device never both charged and discharged")


async def limits(world: World) -> str:
    """What the device blocks is not allowed, with a reason, in that direction alone."""
    no_board(world)
    device = world.make()
    said = []
    for fault, key, other in (
        (Fault.BLOCK_CHARGE, "charge_allowed", "discharge_allowed"),
        (Fault.BLOCK_DISCHARGE, "discharge_allowed", "charge_allowed"),
    ):
        if not world.can(fault):
            continue
        world.fault(fault, active=True)
        await asyncio.sleep(world.period_s)
        sample = await good_sample(device, "reading")
        limit_a = sample.limit_charge_a if fault is Fault.BLOCK_CHARGE else sample.limit_discharge_a
        if getattr(sample, key) and limit_a != 0.0:
            raise CheckFailed(f"{fault.value}: {key} is still true")
        if not getattr(sample, other):
            raise CheckFailed(f"{fault.value}: {other} is false, too: {', '.join(sample.blocked_by)}")
        if not sample.blocked_by and not sample.limited_by:
            raise CheckFailed(f"{fault.value}: neither blocked_by nor limited_by says why")
        said += [*sample.blocked_by, *sample.limited_by]
        world.fault(fault, active=False)
        await asyncio.sleep(world.period_s)
    if not said:
        raise DoesNotApply("the simulated device blocks no direction")
    sample = await good_sample(device, "reading")
    if not (sample.charge_allowed and sample.discharge_allowed):
        raise CheckFailed(f"still blocked when nothing blocks: {', '.join(sample.blocked_by)}")
    return f"says {', '.join(dict.fromkeys(said))}"


async def unknown(world: World) -> str:
    """What the device does not know is None, never 0."""
    no_board(world)
    device = world.make()
    if world.can(Fault.UNKNOWN):
        world.fault(Fault.UNKNOWN, active=True)
        await asyncio.sleep(world.period_s)
    truth = world.peer.truth()
    hidden = [key for key in (*VALUES, "cells_v") if getattr(truth, key) is None]
    if not hidden:
        raise DoesNotApply("the simulated device knows every value")
    sample = await good_sample(device, "reading")
    if wrong := [f"{key} says {getattr(sample, key)!r}" for key in hidden if getattr(sample, key) is not None]:
        raise CheckFailed(f"{joined(wrong)}, which the device cannot know; unknown is None")
    return f"None: {', '.join(hidden)}"


async def budget(world: World) -> str:
    """A reading takes less than the refresh period."""
    device = world.make()
    await good_sample(device, "reading")
    loop = asyncio.get_running_loop()
    before, begun_s = world.faults.counters.copy(), loop.time()
    for _ in range(_POLLS):
        await within(READ_DEADLINE_S, device.read(), "reading")
    each_s = (loop.time() - begun_s) / _POLLS
    counted = world.faults.counters - before
    size = (counted["bytes_out"] + counted["bytes_in"]) / _POLLS
    if each_s >= world.period_s:
        raise CheckFailed(f"a reading takes {each_s * 1000:.0f} ms, longer than the refresh period of {world.period_s:g} s")
    wire = f"{size:.0f} bytes and {counted['messages'] / _POLLS:g} requests, " if world.has_lines else ""
    return f"{wire}{each_s * 1000:.1f} ms a reading"


async def memory(world: World, reads: int) -> str:
    """Reading keeps nothing."""
    device = world.make()
    for _ in range(_WARM_READS):
        await good_sample(device, "reading")
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        await _settled()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(reads):
            await good_sample(device, "reading")
        await _settled()
        growth = tracemalloc.get_traced_memory()[0] - before
    finally:
        if not tracing:
            tracemalloc.stop()
    if growth > _GROWTH_BYTES:
        raise CheckFailed(f"{growth} bytes more after {reads} readings")
    return f"{growth} bytes more after {reads} readings"


async def _settled() -> None:
    """Let what is left of deadlines go: the loop keeps a cancelled timer until its time has come."""
    await asyncio.sleep(2 * READ_DEADLINE_S)
    gc.collect()
