"""Puts alone limits in force, and ends them, as who commands a battery falls silent and is heard again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Protocol

import structlog

from bosd.bal.alone import UNLIMITED, AloneW, alone_w, has_alone_limit
from bosd.bal.battery import Battery
from bosd.bal.caps import is_late
from bosd.bal.directory import Directory
from bosd.bal.edited import Edited
from bosd.clock import Clock
from bosd.node.ramps import Ramps

LOOK_S = 0.25
"""A quarter of what a limit over what the node owns may take (control.md, "Limits over a distance")."""
IDLE_S = 1.0
"""While no battery has an alone limit and nothing is away or comes back."""

_log = structlog.get_logger("alone")


class Peers(Protocol):
    """Who commands this node's batteries, or limits them, and is not heard."""

    @property
    def announced(self) -> Collection[str]:
        """The batteries of which somebody knows an alone limit."""
        ...

    def unheard(self, batteries: Sequence[str], limiters: Iterable[str] = ()) -> str:
        """Return who of those that command batteries by these names, or limit them, is not heard; empty while all are."""
        ...

    def known_alone(self, battery: str, batteries: Sequence[str], limiters: Iterable[str] = ()) -> AloneW:
        """Return the alone limits of a battery that those count on who are not heard, the tightest that they may know of."""
        ...

    def kept_alone(self, coming: Mapping[str, AloneW]) -> AbstractAsyncContextManager[None]:
        """Have kept for a restart what they count on beside `coming`, the limits by name. Raises StoreError."""
        ...


class _Nobody:
    """No peers."""

    announced = ()

    def unheard(self, batteries: Sequence[str], limiters: Iterable[str] = ()) -> str:
        del batteries, limiters
        return ""

    def known_alone(self, battery: str, batteries: Sequence[str], limiters: Iterable[str] = ()) -> AloneW:
        del battery, batteries, limiters
        return UNLIMITED

    def kept_alone(self, coming: Mapping[str, AloneW]) -> AbstractAsyncContextManager[None]:
        del coming
        return nullcontext()


class AloneLimits:
    """Looks four times a second where something is limited.

    `peers` know who is not heard; `changed` has what rests on a battery put in force again. `limiters` tells by battery the nodes
    that granted it a part of a limit: they count on its alone limit while they do not hear it, whoever commands it by then.
    What a node that is not heard was told of an alone limit holds until it is heard again, whatever an edit makes of it.
    """

    def __init__(self, directory: Directory, clock: Clock, changed: Callable[[Iterable[Battery]], None]) -> None:
        self._directory = directory
        self._clock = clock
        self._changed = changed
        self._late: dict[Battery, bool] = {}
        self._ramps = Ramps(directory, clock, changed)
        self.peers: Peers = _Nobody()
        self.limiters: Callable[[], Mapping[str, Collection[str]]] = dict

    @asynccontextmanager
    async def kept(self, edited: Edited, more: Callable[[Edited], AbstractAsyncContextManager[None]]) -> AsyncIterator[None]:
        """Have what others count on kept for a restart while an edit is stored, and `more`. Raises StoreError, and as `more`."""
        coming = {name: AloneW(spec.alone_discharge_limit_w, spec.alone_charge_limit_w) for name, spec in edited.specs.items()}
        async with self.peers.kept_alone(coming), more(edited):
            yield

    def configured(self) -> Mapping[str, AloneW]:
        """Return the alone limits of the topology, by battery."""
        return {battery.name: alone_w(battery) for battery in self._directory if has_alone_limit(battery)}

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            limited = self.attend()
            await asyncio.sleep(LOOK_S if limited else IDLE_S)

    def attend(self) -> bool:
        """Put in force, or end, what is due; also where a sample has grown late, or is fresh again. Return if any is limited."""
        ramped = self._ramps.attend()
        self._late = {
            battery: late for battery, late in self._late.items() if self._directory.batteries.get(battery.name) is battery
        }
        return self._attend(self._directory) or ramped

    def attend_with(self, name: str) -> None:
        """Put in force what is due of a battery and of all that is connected with it, without a look at the others.

        The lease of a node that is lost is that of all it asked for: each end of a set point looks at its own batteries alone.
        """
        if (battery := self._directory.batteries.get(name)) is not None:
            self._attend(each for each in self._directory if each.component == battery.component)

    def _attend(self, batteries: Iterable[Battery]) -> bool:
        announced = self.peers.announced
        limited = [each for each in batteries if has_alone_limit(each) or each.alone or each.name in announced]
        limiters = self.limiters() if limited else {}
        for battery in limited:
            tops = self._directory.tops_with(battery)
            names = [battery.name, *(top.name for top in tops)]
            granted_by = [node for name in names for node in limiters.get(name, ())]
            who = self.peers.unheard(names, granted_by)
            known = self.peers.known_alone(battery.name, names, granted_by) if who else UNLIMITED
            if alone_w(battery).tighter(known) == UNLIMITED:
                who = ""
            now_s = self._clock.now_s()
            late = bool(who) and is_late(battery, battery.status(now_s), now_s)
            if battery.be_alone(who, known):
                (_log.warning if who else _log.info)("alone" if who else "not_alone", battery=battery.name, unheard=who)
                if not who:
                    self._ramps.returned(battery, abs(battery.applied_a))
            elif late == self._late.get(battery, False):
                continue
            self._late[battery] = late
            self._changed(tops)
        return bool(limited)
