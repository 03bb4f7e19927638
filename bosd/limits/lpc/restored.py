"""The limit of an earlier run: how long it goes on after a restart, when the wall clock may be wrong."""

from dataclasses import dataclass

from bosd.limits.lpc.port import Kept

LONGEST_S = 86400.0
"""Nothing that nobody repeats is kept longer than 24 h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A limit in force until `until_s` (monotonic) at the latest, and until `until_utc_s` by a wall clock that is trusted."""

    limit_w: float
    until_s: float
    until_utc_s: float | None
    since_utc_s: float

    def over(self, now_s: float, utc_s: float, doubt: str) -> bool:
        """Tell whether it has ended; what a doubtful clock says does not count."""
        return now_s >= self.until_s or (not doubt and self.until_utc_s is not None and utc_s >= self.until_utc_s)

    def seen_until_utc_s(self, now_s: float, utc_s: float) -> float:
        """Return its end as people see it."""
        return utc_s + self.until_s - now_s if self.until_utc_s is None else self.until_utc_s


def restored_of(kept: Kept, now_s: float, utc_s: float, doubt: str) -> Restored | None:
    """Return what goes on of an earlier run, None where nothing was in force or its end is provably past."""
    if kept.limit_w is None:
        return None
    since_utc_s = utc_s if kept.restored_utc_s is None else kept.restored_utc_s
    left_s = LONGEST_S if doubt else min(LONGEST_S, since_utc_s + LONGEST_S - utc_s)
    if kept.limit_until_utc_s is not None and not doubt:
        left_s = min(left_s, kept.limit_until_utc_s - utc_s)
    if left_s <= 0.0:
        return None
    return Restored(
        limit_w=kept.limit_w, until_s=now_s + left_s, until_utc_s=kept.limit_until_utc_s, since_utc_s=min(since_utc_s, utc_s)
    )
