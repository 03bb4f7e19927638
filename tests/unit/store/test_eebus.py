"""What the EEBUS state machine keeps, in a real store."""

from pathlib import Path

from bosd.limits.lpc.memory import StoredMemory
from bosd.limits.lpc.port import Kept, Published
from bosd.store.eebus import MOST_PUBLICATIONS, EebusTable
from bosd.store.store import Store

KEPT = Kept(
    failsafe_limit_w=1500.0,
    failsafe_duration_s=10800.0,
    bound_ski="a" * 40,
    limit_w=0.0,
    limit_until_utc_s=1_800_000_000.5,
    restored_utc_s=1_799_999_000.0,
    endpoint="localhost:4242",
    grpc_port=50051,
)


def published(number: int, limit_w: float | None = None) -> Published:
    """Return one line of the history."""
    return Published(number=number, at_utc_s=float(number), state="Limited", limit_w=limit_w, until_utc_s=None, reason="r")


async def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    """0 W and no limit are two things; a repeated save adds nothing twice."""
    store = await Store.open(tmp_path)
    memory = StoredMemory(EebusTable(store))
    assert await memory.load() == (Kept(), ())
    await memory.save(KEPT, [published(1, 0.0), published(2)])
    await memory.save(KEPT, [published(2), published(3, 4200.0)])
    await store.close()
    store = await Store.open(tmp_path)
    assert await StoredMemory(EebusTable(store)).load() == (KEPT, (published(1, 0.0), published(2), published(3, 4200.0)))
    await store.close()


async def test_the_history_is_bounded(tmp_path: Path) -> None:
    """The oldest go."""
    store = await Store.open(tmp_path)
    memory = StoredMemory(EebusTable(store))
    await memory.save(Kept(), [published(number) for number in range(1, MOST_PUBLICATIONS + 4)])
    _, found = await memory.load()
    assert (len(found), found[0].number) == (MOST_PUBLICATIONS, 4)
    await store.close()
