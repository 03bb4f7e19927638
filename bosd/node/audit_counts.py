"""Equal records of a minute as one with their number: a flood of refusals costs one record a minute and asker."""

import json
import math
from collections.abc import Iterable
from dataclasses import replace

from bosd.store.audit_chain import Entry, Record, seal

COUNTED_S = 60.0
MAX_COUNTED = 256
"""How many different ones are counted at the same time; what is more is counted without its asker and its batteries."""
_OTHERS = "(others)"


class Counts:
    """Records that are being counted, by what makes them equal; instants are the loop's."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._due_s: dict[str, float] = {}
        self._unkept: set[str] = set()

    @property
    def due_s(self) -> float:
        """When the oldest is to be closed; infinite if none is."""
        return next(iter(self._due_s.values()), math.inf)

    @property
    def unkept(self) -> bool:
        """Whether one began or ended that the store does not know of."""
        return bool(self._unkept)

    def add(self, entry: Entry, now_s: float) -> bool:
        """Count an entry; return whether it is the first of its kind."""
        key = _key(entry)
        if key not in self._records and len(self._records) >= MAX_COUNTED:
            entry = replace(entry, who=_OTHERS, names=(), message="", asked="", before="", after="")
            key = _key(entry)
        old = self._records.get(key)
        if old is not None:
            self._records[key] = replace(old, count=old.count + 1, until_utc_s=entry.until_utc_s)
            return False
        self._records[key] = seal(entry, 0, "")
        self._due_s[key] = now_s + COUNTED_S
        self._unkept.add(key)
        return True

    def forget(self, record: Record) -> None:
        """Have the store forget a record that an earlier run counted."""
        self._unkept.add(_key(record))

    def close(self, now_s: float = math.inf) -> list[Record]:
        """Return those whose minute is over, and count them no more."""
        keys = [key for key, due_s in self._due_s.items() if due_s <= now_s]
        self._unkept.update(keys)
        for key in keys:
            del self._due_s[key]
        return [self._records.pop(key) for key in keys]

    def take_unkept(self) -> dict[str, Record | None]:
        """Return what the store is to keep, None for what it is to forget; `give_back` where that failed."""
        taken = {key: self._records.get(key) for key in self._unkept}
        self._unkept.clear()
        return taken

    def give_back(self, keys: Iterable[str]) -> None:
        """Let the store be told of these again."""
        self._unkept.update(keys)

    def newest_first(self) -> list[Record]:
        """Return all that are being counted."""
        return list(reversed(self._records.values()))


def _key(entry: Entry) -> str:
    """Return what makes two records equal, as one text."""
    return json.dumps([entry.who, entry.action, entry.outcome, entry.names, entry.reason])
