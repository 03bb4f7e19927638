"""Batteries of other nodes that were granted a part of a limit, and that this node has no stub of any more.

The grant would stay in force there for ever: its owner is reached by a stub of its own until that is withdrawn. A stub that came
since may be of the same battery, its target spelt in another way: owners know a grant by who granted it, not by the way there, so
what is withdrawn by the old way would be withdrawn from the new one.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import structlog

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.spec import NetworkSpec
from bosd.bal.status import BatteryStatus, Link

At = tuple[str, str]
"""A target and the battery's name there."""
MakeStub = Callable[[NetworkSpec], tuple[DeviceLeaf, Callable[[], None]]]
"""Makes a stub that is no battery of the node, and what lets go of its link."""
OwnerRun = Callable[[Battery], str]
"""Returns which run of a node answers a stub: its boot id, empty while none does."""

_log = structlog.get_logger("limits")


@dataclass(slots=True)
class Left:
    """One that is left behind; `may_be` are the stubs that came since and may be of the same battery, `came` those of now."""

    at: At
    stub: DeviceLeaf
    let_go: Callable[[], None]
    may_be: dict[At, DeviceLeaf] = field(default_factory=dict)
    came: list[At] = field(default_factory=list)
    same: At | None = None
    """Which of those is: one run of a node answers both."""
    waits: bool = False
    """Whether that is still to be found out, so that nothing may be withdrawn."""

    def is_gone(self, now_s: float) -> bool:
        """Tell whether its node says that it has no such battery, so that nothing can be in force there."""
        return is_gone(self.stub.status(now_s))

    def find_out(self, owner_run: OwnerRun) -> None:
        """Compare who answers."""
        run = owner_run(self.stub)
        runs = {at: owner_run(stub) for at, stub in self.may_be.items()}
        self.same = next((at for at, each in runs.items() if each and each == run), None)
        self.waits = self.same is not None or (bool(runs) and not (run and all(runs.values())))


class LeftBehind:
    """The stubs by which grants are withdrawn that no stub of the topology is there for."""

    def __init__(self, make_stub: MakeStub, owner_run: OwnerRun) -> None:
        self._make_stub = make_stub
        self._owner_run = owner_run
        self._left: dict[At, Left] = {}
        self._present: Collection[At] = ()

    def follow(self, stubs: Iterable[DeviceLeaf], granted: Collection[At]) -> list[Left]:
        """Return what is left of each battery with a grant that is none of `stubs`; let go of what is not needed any more."""
        present = stubs_at(stubs)
        new = {at for at in present if at not in self._present}
        self._present = set(present)
        wanted = [at for at in granted if at not in present]
        for at in [at for at in self._left if at not in wanted]:
            self._left.pop(at).let_go()
        for at in wanted:
            if at not in self._left:
                _log.info("grant_left_behind", target=at[0], battery=at[1])
                self._left[at] = Left(at, *self._make_stub(NetworkSpec(name=at[1], target=at[0], remote_name=at[1])))
            left = self._left[at]
            named = [each for each in present if each[1] == at[1] and (each in new or each in left.may_be)]
            left.came = [each for each in named if each not in left.may_be]
            left.may_be = {each: present[each] for each in named}
            left.find_out(self._owner_run)
        return list(self._left.values())


def stubs_at(batteries: Iterable[Battery]) -> dict[At, DeviceLeaf]:
    """Return the stubs among batteries by what each is of; of two of one battery the last."""
    leaves = [(each, each.spec) for each in batteries if isinstance(each, DeviceLeaf)]
    return {(spec.target, spec.remote_name): leaf for leaf, spec in leaves if isinstance(spec, NetworkSpec)}


def is_gone(status: BatteryStatus) -> bool:
    """Tell from a stub's status whether its node says that it has no such battery."""
    return status.link is Link.REFUSED and "BAD_NAME: " in status.reason
