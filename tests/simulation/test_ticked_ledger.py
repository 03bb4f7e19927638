"""The ledger of a node whose time jumps."""

import asyncio

import pytest

from bosd.bal.schedule import Moment
from bosd.bal.spec import PseudoSpec, Topology
from tests.support.node_world import NodeWorld

BATTERY = PseudoSpec(
    name="bk",
    voltage_v=50.0,
    charge_ah=5000.0,
    capacity_ah=10_000.0,
    max_discharge_current_a=400.0,
    max_charge_current_a=400.0,
)


def test_what_flows_out_and_in_again_is_not_netted() -> None:
    """200 A for 20 min out, then as much in, in one tick and within one hour: 66.7 Ah each way, 3333 Wh at 50 V."""

    async def go() -> None:
        world = NodeWorld(1, Topology(batteries=(BATTERY,)))
        await world.start()
        for current_a, start_s in ((200.0, 300.0), (-200.0, 1500.0)):
            await world.node.book("bk", current_a, Moment(in_s=start_s), Moment(in_s=start_s + 1200.0), holder="h")
        await world.node.time.tick(3000.0)
        (outside,) = (await world.node.ledger.statement("bk", since_utc_s=None, until_utc_s=None)).counterparties
        charge_ah = 200.0 * 1200.0 / 3600.0
        assert [outside.out_ah, outside.in_ah] == pytest.approx([charge_ah] * 2)
        assert [outside.out_wh, outside.in_wh] == pytest.approx([charge_ah * 50.0] * 2)
        await world.end()

    asyncio.run(go())
