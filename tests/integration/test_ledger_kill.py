"""The ledger through `kill -9`: entries and meters are of one moment, and nothing that was acknowledged is gone."""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from bosd.bal.ledger import DEVIATION, UNATTRIBUTED
from bosd.store.ledger import LedgerFilter, LedgerTable
from bosd.store.store import Store

WRITER = """
import asyncio, random, sys
from pathlib import Path
from bosd.store.store import Store
from bosd.store.ledger import LedgerFilter
from tests.unit.node.test_ledger import HandClock, Home, split_topology

EVERYTHING = LedgerFilter(accounts=("sp",))

async def main():
    chance = random.Random(int(sys.argv[2]))
    store = await Store.open(Path(sys.argv[1]))
    clock = HandClock(float(sys.argv[3]))
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
        print("written", max([entry.number for entry in stored], default=0), clock.at_s, flush=True)

asyncio.run(main())
"""
ROUNDS = 10
BEGUN_AH = {"p1": 80.0, "p2": 20.0, "sp": 0.0}


async def written_until_killed(state_dir: Path, seed: int, at_s: float, wanted: int) -> tuple[int, float]:
    """Run a writer, kill it after it has acknowledged so many writes; return the last number and time it acknowledged."""
    writer = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WRITER,
        str(state_dir),
        str(seed),
        str(at_s),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert writer.stdout is not None
    lines: list[bytes] = []
    while len(lines) < wanted and (line := await writer.stdout.readline()):
        lines += [line] if line.startswith(b"written") else []
    os.kill(writer.pid, signal.SIGKILL)
    lines += (await writer.stdout.read()).splitlines()
    await writer.wait()
    last = [line.split() for line in lines if line.startswith(b"written") and len(line.split()) == 3][-1]
    return int(last[1]), float(last[2])


@pytest.mark.timeout(240)
async def test_entries_and_meters_are_of_one_moment(tmp_path: Path) -> None:
    """After twenty kills, each meter is where it began, with all that its entries brought and took; none of them is lost."""
    chance = random.Random(5)
    at_s = 0.0
    for seed in range(ROUNDS):
        number, at_s = await written_until_killed(tmp_path, seed, at_s, chance.randint(1, 12))
        store = await Store.open(tmp_path)
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
