"""The ledger through `kill -9`: entries and meters are of one moment, and nothing that was acknowledged is gone."""

import random
from pathlib import Path

import pytest

from bosd.bal.ledger import DEVIATION, UNATTRIBUTED
from bosd.store.ledger import LedgerFilter, LedgerTable
from bosd.store.store import Store
from tests.support.killed_writers import writers

WRITER = """
import random
from pathlib import Path
from bosd.store.store import Store
from bosd.store.ledger import LedgerFilter
from tests.unit.node.test_ledger import HandClock, Home, split_topology

EVERYTHING = LedgerFilter(accounts=("sp",))

async def main(state_dir, seed, at_s):
    chance = random.Random(int(seed))
    store = await Store.open(Path(state_dir))
    clock = HandClock(float(at_s))
    node = Home(store, clock, split_topology())
    await node.ledger.load()
    while True:
        node.run(*[chance.choice([0.0, 0.01, -0.01, 0.02, -0.03]) for _ in range(2)])
        node.pass_hours(chance.uniform(0.0, 0.7))
        if chance.random() < 0.2:
            charge_ah = chance.uniform(60.0, 140.0)
            node.directory["s"].modify({"charge_ah": charge_ah}, clock.now_s())
        if chance.random() < 0.1:
            await node.ledger.reset_meter("s", holder="h")
        await node.ledger.write(whole=chance.random() < 0.3)
        stored = await node.table.page(EVERYTHING, 0, 10**6)
        print("done", max([entry.number for entry in stored], default=0), clock.at_s, flush=True)
"""
ROUNDS = 10
BEGUN_AH = {"p1": 80.0, "p2": 20.0, "sp": 0.0}


async def of_one_moment(state_dir: Path, number: int) -> None:
    """Find each meter where it began, with all that its entries brought and took, and the entries up to that number."""
    store = await Store.open(state_dir)
    table = LedgerTable(store)
    meters = await table.load()
    entries = await table.page(LedgerFilter(accounts=("sp",)), 0, 1_000_000)
    await store.close()
    assert max(entry.number for entry in entries) >= number
    expected = dict(BEGUN_AH)
    for entry in entries:
        for party, sign in ((entry.giver, -1.0), (entry.taker, 1.0)):
            name = "sp" if party == UNATTRIBUTED else party
            if name in expected and DEVIATION not in (entry.giver, entry.taker):
                expected[name] += sign * entry.charge_ah
    assert {name: meters[name].charge_ah for name in expected} == pytest.approx(expected, abs=1e-7)


@pytest.mark.timeout(240)
async def test_entries_and_meters_are_of_one_moment(tmp_path: Path) -> None:
    """After each kill, each meter is where it began, with all that its entries brought and took; none of them is lost."""
    chance = random.Random(5)
    at_s = 0.0
    async with writers(WRITER) as killed:
        for seed in range(ROUNDS):
            lines = await killed.until_killed(tmp_path, seed, at_s, wanted=chance.randint(1, 12))
            number, at_s = int(lines[-1][0]), float(lines[-1][1])
            await of_one_moment(tmp_path, number)
