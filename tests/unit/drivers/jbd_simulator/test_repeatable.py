"""Same seed, same options, same requests: the same log, to the byte and to the microsecond."""

import asyncio
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.jbd.simulator.fault_kinds import FAULTS
from tests.support.jumping_loop import run_jumping
from tests.unit.drivers.jbd_simulator.bench_pack import BASIC, CELLS, read, write

REQUESTS = (BASIC, CELLS, read(0x05), read(0xAA), write(0xE1, "0001"), write(0xE1, "0000"), write(0x00, "5678"), BASIC[:4])
RULES = st.tuples(st.sampled_from(sorted(FAULTS)), st.floats(0.05, 1.0))


async def _run(options: SimulatorOptions, rules: list[tuple[str, float]], seed: int) -> bytes:
    """Play sixty requests into a pack with faults and return what came back."""
    rng, heard = random.Random(seed), bytearray()
    async with JbdSimulator(options) as simulator:
        for fault, probability in rules:
            simulator.inject(fault=fault, probability=probability)
        simulator.set(load_current_a=20.0)
        simulator.memory.on_bytes = heard.extend
        for _ in range(60):
            simulator.memory.write(rng.choice(REQUESTS))
            await asyncio.sleep(rng.uniform(0.01, 0.5))
        await asyncio.sleep(40.0)
    return bytes(heard)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 20), st.lists(RULES, max_size=4), st.sampled_from(["none", "standard", "clone"]), st.integers(1, 32))
def test_a_run_can_be_repeated(seed: int, rules: list[tuple[str, float]], tail: str, series: int) -> None:
    """Twice the same log and the same bytes."""
    logs, heard = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "again"):
            options = SimulatorOptions(
                seed=seed, series=series, tail=tail, wake_artefact="zeros", sleep_after_s=0.4, log=Path(folder) / name
            )
            heard.append(run_jumping(_run(options, rules, seed)))
            logs.append((Path(folder) / name).read_text().replace(name, "log"))
    assert heard[0] == heard[1]
    assert logs[0] == logs[1]
    assert logs[0].count('"event": "request"') > 0


def test_another_seed_is_another_run() -> None:
    """Or the property above would hold for a simulator without chance."""
    runs = [run_jumping(_run(SimulatorOptions(seed=seed), [("flip_bit", 0.5)], 7)) for seed in (1, 2)]
    assert runs[0] != runs[1]
