"""The store as the machine's memory."""

from collections.abc import Sequence
from dataclasses import asdict

from bosd.limits.lpc.port import Kept, Published
from bosd.store.eebus import EebusTable


class StoredMemory:
    """What is kept, in the tables of the store; every method raises StoreError as they do."""

    def __init__(self, table: EebusTable) -> None:
        self._table = table

    async def load(self) -> tuple[Kept, tuple[Published, ...]]:
        """Return what was kept, and the history, oldest first."""
        kept, publications = await self._table.load()
        return Kept(**kept), tuple(Published(**each) for each in publications)

    async def save(self, kept: Kept, news: Sequence[Published]) -> None:
        """Keep this, and add to the history what is not there yet, in one transaction."""
        await self._table.save(asdict(kept), [asdict(each) for each in news])
