"""A part of a day of ten nodes: set points, a node killed, a cable pulled and a board without power now and then.

`BOSD_SIM_HOURS=24` makes it a whole day, as `make soak` does.
"""

import asyncio
import os

import pytest

from bosd.bal.spec import BatterySpec, Topology
from bosd.errors import BosError
from tests.support.fleet.fleet import Fleet, pack_spec, stub_spec, sum_spec
from tests.support.fleet.judges import FenceJudge, LimitJudge, Others, SumJudge, Top
from tests.support.fleet.process_loop import run_processes, this_loop
from tests.support.fleet.slow_world import slow_down

HOURS = float(os.environ.get("BOSD_SIM_HOURS", "0.4"))
SLOWER = 20.0
"""Every time of a session and every period, so that a day is seconds to minutes; the rules do not know the difference."""
SETTLE_S = 200.0


@pytest.mark.timeout(60 + 60 * HOURS)
def test_hours_of_ten_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine owners and who commands them: the sum is never above old and new, and all is whole at the end."""
    links = slow_down(monkeypatch, SLOWER)

    async def day() -> None:
        fleet = Fleet(this_loop(), 20, links)
        stubs: list[BatterySpec] = []
        owners = [f"o{number}" for number in range(1, 10)]
        for owner in owners:
            fleet.add_pack(owner, hold_s=30.0, capacity_ah=400.0, charge_ah=200.0)
            fleet.add_host(owner, Topology(batteries=(pack_spec("b", owner, period_s=60.0),), splitters=()))
            stubs.append(stub_spec(f"s{owner}", owner, "b"))
        total = sum_spec("all", *(stub.name for stub in stubs))
        main = fleet.add_host("main", Topology(batteries=(*stubs, total), splitters=()))
        top = Top(main, "all", tuple(fleet.packs.values()), tuple((owner, "main") for owner in owners))
        sums, fence = SumJudge(fleet, [top], SETTLE_S, Others(fleet.loop, SETTLE_S, lambda _pack: True)), FenceJudge(fleet)
        fleet.judges += [LimitJudge(), sums, fence]
        confirmed = 0
        try:
            fleet.start()
            await fleet.until(fleet.all_ready, within_s=120.0, because="all is ready", step_s=1.0)
            while fleet.loop.time() < HOURS * 3600.0:
                current_a = fleet.chance.uniform(-90.0, 90.0)
                answered = sums.asks(top, current_a)
                try:
                    answered(await fleet.set(main, "all", current_a, ttl_s=1800.0))
                    confirmed += 1
                except (BosError, TimeoutError):
                    pass
                await asyncio.sleep(500.0)
                await trouble(fleet, owners)
            await fleet.until(fleet.all_ready, within_s=300.0, because="all is whole", step_s=1.0)
            fleet.check_bugs()
        finally:
            await fleet.close()
        assert confirmed >= 3.0 * HOURS

    run_processes(day())


async def trouble(fleet: Fleet, owners: list[str]) -> None:
    """Do one thing to one owner, and undo it."""
    owner = fleet.hosts[fleet.chance.choice(owners)]
    kind = fleet.chance.choice(["kill", "power", "cut", "stall", "nothing"])
    lasts_s = fleet.chance.uniform(5.0, 400.0)
    if kind == "cut":
        fleet.cut("main", owner.name)
        await asyncio.sleep(lasts_s)
        fleet.heal("main", owner.name)
    elif kind == "stall":
        await fleet.stall(owner, lasts_s)
    elif kind != "nothing":
        owner.kill() if kind == "kill" else owner.cut_power()
        await asyncio.sleep(lasts_s)
        owner.start()
