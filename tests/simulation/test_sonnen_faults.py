"""A Sonnen battery on a bad network: twenty minutes of readings and commands while every kind of fault strikes at random."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from bosd.errors import DriverError, NotFollowedError, UnavailableError
from tests.support.sonnen import TOKEN, World, world

FAULTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("error", {}),
    ("slow", {}),
    ("slow_body", {}),
    ("reset", {}),
    ("truncated", {}),
    ("garbage", {}),
    ("text", {"body": "null"}),
    ("html", {}),
    ("huge", {}),
    ("redirect", {}),
    ("field", {"field": "Pac_total_W", "value": "NaN"}),
    ("field", {"field": "systemdcvoltage", "value": -1}),
    ("late", {}),
)
SHARE = 0.005
"""Of each fault: together 6.5 % of the requests."""
READINGS = 300
LATE_S = 5.0
"""Two requests of 2 s each, and the second for which a measurement stands."""


def record(here: World) -> list[tuple[int, int, float]]:
    """Return what the battery measures from now on: simulated second, AC power in W, voltage in V."""
    told: list[tuple[int, int, float]] = []
    documents = here.simulator._documents

    def recording() -> dict[str, dict[str, object]]:
        found = documents()
        power_w, voltage_v = found["status"]["Pac_total_W"], found["battery"]["systemdcvoltage"]
        assert isinstance(power_w, int)
        assert isinstance(voltage_v, float)
        told.append((here.simulator._measured_s, power_w, voltage_v))
        return found

    here.simulator._documents = recording  # type: ignore[method-assign]
    return told


async def readings(here: World, seen: Counter[str]) -> None:
    """Read every 4 s; each value is one that the battery measured lately, and no older than the sample says."""
    loop = asyncio.get_running_loop()
    told = record(here)
    reasons: list[str] = []
    for _ in range(READINGS):
        try:
            sample = await here.driver.read()
        except (DriverError, UnavailableError) as error:
            seen[error.reason] += 1
            reasons.append(error.message)
        else:
            seen["read"] += 1
            assert sample.voltage_v is not None
            assert sample.current_a is not None
            lately = [each for each in told if each[0] >= int(sample.sampled_s - here.simulator._began_s) - LATE_S]
            assert round(sample.current_a * sample.voltage_v) in {power_w for _, power_w, _ in lately}
            assert sample.voltage_v in {voltage_v for _, _, voltage_v in lately}
            assert loop.time() - sample.sampled_s < LATE_S
        await asyncio.sleep(4.0)
    assert not [reason for reason in reasons if TOKEN in reason or here.simulator.url not in reason]


async def commands(here: World, seen: Counter[str]) -> None:
    """Command every 20 s; a command that was confirmed is one that the battery follows."""
    for place in range(READINGS // 5):
        asked_a = (6.0, -6.0, 0.0, 3.0)[place % 4]
        try:
            await here.driver.set_current(asked_a)
        except NotFollowedError:
            seen["not followed"] += 1
        except (DriverError, UnavailableError):
            seen["failed"] += 1
        else:
            seen["followed"] += 1
            assert here.simulator.model.set_point_w == pytest.approx(asked_a * 210.5, abs=15.0)
        await asyncio.sleep(20.0)


@pytest.mark.jumping
@pytest.mark.parametrize("seed", [1])
async def test_no_wrong_value_and_no_false_confirmation_on_a_bad_network(tmp_path: Path, seed: int) -> None:
    """Nothing is made up, most gets through, and it ends in the state that was asked for."""
    seen: Counter[str] = Counter()
    async with world(tmp_path, options={"seed": seed, "soc": 0.6, "capacity_wh": 20_000.0}) as here:
        await here.driver.read()
        for fault, parameters in FAULTS:
            here.fault(fault, probability=SHARE, **parameters)
        async with asyncio.TaskGroup() as group:
            group.create_task(readings(here, seen), name="readings")
            group.create_task(commands(here, seen), name="commands")
        struck = here.simulator.faults.struck
        here.simulator.faults.clear()
        await here.driver.set_current(0.0)
        await here.driver.make_safe()
        assert (here.simulator.model.mode, here.simulator.model.set_point_w) == ("2", 0.0)
        assert (await here.driver.read()).notes == ()
    assert len(struck) >= 10, struck
    assert seen["read"] > 0.8 * READINGS, (seed, seen, struck)
    assert seen["followed"] > 0.6 * READINGS / 5, (seed, seen, struck)
