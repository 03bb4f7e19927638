"""Limits judged from outside: what flows in truth is never above the tightest limit for longer than its bound (control.md)."""

import asyncio
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.support.fleet.fleet import Fleet, Host, Judge
from tests.support.fleet.judges import ViolationError, Way, below
from tests.support.fleet.packs import Pack

TOLERANCE, TOLERANCE_W = 0.02, 20.0
"""control.md, "Limits over a distance"."""
SESSION_S = 2.0
VOLTAGE_V = 48.0


@dataclass(eq=False)
class Limited:
    """A battery at `host` over packs, and the limits of it that were acknowledged: by direction, in watts."""

    host: Host
    name: str
    packs: tuple[Pack, ...]
    ways: tuple[Way, ...] = ()
    limits_w: dict[bool, float] = field(default_factory=dict)
    from_s: dict[bool, float] = field(default_factory=dict)
    put_s: dict[bool, float] = field(default_factory=dict)
    granted: set[tuple[bool, Pack]] = field(default_factory=set)
    """Whose owners surely have their parts of the limit now in force."""
    over_since_s: dict[bool, float] = field(default_factory=dict)
    taken_out: set[Pack] = field(default_factory=set)
    """Which are not below it any more, by an edit: no limit of it counts on them."""
    joined_s: dict[Pack, float] = field(default_factory=dict)
    parts: dict[Pack, float] = field(default_factory=dict)
    """What part of the power arrives on the other side of all converters between it and a pack, either way; 1 where not named."""

    def of_now(self, fleet: Fleet) -> list[Pack]:
        """Return the packs that are below it now. Whose owner has a part of a limit yet is open again once one is back."""
        found = {pack for pack, _ in below(fleet, self.host, self.name, now=True)}
        for pack in self.packs:
            if pack not in found:
                self.taken_out.add(pack)
            elif pack in self.taken_out:
                self.taken_out.discard(pack)
                self.joined_s[pack] = fleet.loop.time()
                self.granted -= {(False, pack), (True, pack)}
        return [pack for pack in self.packs if pack in found]

    def limit(self, discharging: bool, limit_w: float | None, grace_s: float = SESSION_S) -> None:
        """Note that a limit counts: `grace_s` from now on at the latest; None is none."""
        if limit_w is None:
            self.limits_w.pop(discharging, None)
            self.put_s.pop(discharging, None)
            return
        if limit_w != self.limits_w.get(discharging):
            self.put_s[discharging] = asyncio.get_running_loop().time()
            self.granted = {each for each in self.granted if each[0] is not discharging}
        if limit_w < self.limits_w.get(discharging, math.inf):
            self.from_s[discharging] = asyncio.get_running_loop().time() + grace_s
        self.limits_w[discharging] = limit_w

    def flows_w(self, packs: Iterable[Pack], *, discharging: bool) -> float:
        """Return what flows in a direction at the grid, in all of these packs that it flows in."""
        sign = 1.0 if discharging else -1.0
        return VOLTAGE_V * math.fsum(max(0.0, sign * pack.true_a) * self.parts.get(pack, 1.0) ** sign for pack in packs)


class LimitsJudge(Judge):
    """No power above a limit by more than the tolerance for longer than `bound_s`.

    A pack that is `excused` can be reached by nobody, and nothing bounds it: what it runs is set aside, the others have the rest.
    One that an edit took out from below a limited battery runs beside its limit.
    """

    def __init__(
        self,
        fleet: Fleet,
        limited: list[Limited],
        bound_s: float = SESSION_S,
        excused: Callable[[Limited, Pack, bool], bool] = lambda _limited, _pack, _discharging: False,
    ) -> None:
        self._fleet = fleet
        self._limited = limited
        self._bound_s = bound_s
        self._excused = excused
        self.worst_w = 0.0

    def look(self) -> None:
        """Look at all, also where nothing changed."""
        for limited in self._limited:
            for discharging in tuple(limited.limits_w):
                self._check(limited, discharging=discharging)

    def edited(self) -> None:
        """Look at all: some may have other packs below."""
        self.look()

    def current_changed(self, pack: Pack) -> None:
        """Look at what the pack is part of."""
        for limited in self._limited:
            if pack in limited.packs:
                for discharging in tuple(limited.limits_w):
                    self._check(limited, discharging=discharging)

    def _check(self, limited: Limited, *, discharging: bool) -> None:
        now_s = self._fleet.loop.time()
        limit_w = limited.limits_w[discharging]
        packs = limited.of_now(self._fleet)
        beyond = [pack for pack in packs if self._excused(limited, pack, discharging)]
        rest = [pack for pack in packs if pack not in beyond]
        left_w = max(0.0, limit_w - limited.flows_w(beyond, discharging=discharging))
        over_w = limited.flows_w(rest, discharging=discharging) - left_w - limit_w * TOLERANCE - TOLERANCE_W
        since_s = limited.over_since_s.get(discharging)
        from_s = limited.from_s.get(discharging, 0.0)
        if since_s is not None and now_s > max(since_s + self._bound_s, from_s):
            flows_a = {each.name: each.true_a for each in packs}
            raise ViolationError(
                f"{now_s:.3f}: {limited.host.name}/{limited.name} above {limit_w} W since {since_s:.3f}: now {flows_a}"
            )
        if over_w <= 0.0:
            limited.over_since_s.pop(discharging, None)
        else:
            self.worst_w = max(self.worst_w, over_w)
            limited.over_since_s.setdefault(discharging, now_s)
