"""Batteries of other nodes that were granted a part of a limit, and that this node has no stub of any more.

The grant would stay in force there for ever: its owner is reached by a stub of its own until that is withdrawn.
"""

from collections.abc import Callable, Collection, Iterable, Iterator

import structlog

from bosd.bal.battery import DeviceLeaf
from bosd.bal.spec import NetworkSpec

At = tuple[str, str]
"""A target and the battery's name there."""
MakeStub = Callable[[NetworkSpec], tuple[DeviceLeaf, Callable[[], None]]]
"""Makes a stub that is no battery of the node, and what lets go of its link."""

_log = structlog.get_logger("limits")


class LeftBehind:
    """The stubs by which grants are withdrawn that no stub of the topology is there for."""

    def __init__(self, make_stub: MakeStub) -> None:
        self._make_stub = make_stub
        self._stubs: dict[At, tuple[DeviceLeaf, Callable[[], None]]] = {}

    def follow(self, stubs: Iterable[DeviceLeaf], granted: Collection[At]) -> Iterator[DeviceLeaf]:
        """Return a stub of each battery with a grant that is none of `stubs`; let go of those that are not needed any more."""
        present = {(stub.spec.target, stub.spec.remote_name) for stub in stubs if isinstance(stub.spec, NetworkSpec)}
        wanted = [at for at in granted if at not in present]
        for at in [at for at in self._stubs if at not in wanted]:
            _, let_go = self._stubs.pop(at)
            let_go()
        for at in wanted:
            if at not in self._stubs:
                _log.info("grant_left_behind", target=at[0], battery=at[1])
                self._stubs[at] = self._make_stub(NetworkSpec(name=at[1], target=at[0], remote_name=at[1]))
        return (stub for stub, _ in self._stubs.values())
