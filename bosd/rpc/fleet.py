"""The nodes that this one knows: those its stubs are of, and those that keep a session here."""

import asyncio
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bosd.bal.status import HEARD, Link
from bosd.errors import BadNameError, BosError, UnavailableError, UnsupportedError
from bosd.fleet.maintenance import Maintenance
from bosd.fleet.owner import SAME_NODE, OwnerSessions, Session
from bosd.fleet.system_state import Standing, SystemState, system_state
from bosd.node.links import NetworkLeaf
from bosd.rpc.about import About
from bosd.rpc.client import RemotePool
from bosd.rpc.remote_node import RemoteNode
from bosd.rpc.seeking import serial_of
from bosd.v1 import fleet_pb2 as pb
from bosd.v1.fleet_pb2_grpc import FleetServiceStub

WITHIN_S = 2.0
"""The most that a dead node costs."""
LOOK_S = 0.25
NODE = "node:"


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a node said of itself, and when."""

    facts: pb.NodeFacts
    at_s: float


class Assumed(NamedTuple):
    """What counts no more of a node: what its stubs were counted at, and in words what was granted there.

    `counted_on` are the alone limits that it counted on, of this node's batteries; `hint` says in words what else may have to
    be named, where its name is not known.
    """

    node: str
    counted_a: dict[str, float]
    grants: list[str]
    counted_on: list[str]
    hint: str = ""


class Fleet:
    """Asks, counts and expects. `stubs` returns this node's stubs now; `required` holds names or targets of nodes."""

    def __init__(
        self,
        about: About,
        pool: RemotePool,
        sessions: OwnerSessions,
        *,
        stubs: Callable[[], Iterable[NetworkLeaf]],
        required: Collection[str] = (),
    ) -> None:
        self.about = about
        self.pool = pool
        self._sessions = sessions
        self._stubs = stubs
        self._required = tuple(required)
        self._clock = sessions.clock
        self._maintenance = Maintenance(self._clock)
        self._heard: dict[str, _Heard] = {}
        self.forget_grants: Callable[[Collection[str]], list[str]] = lambda _targets: []
        """Counts no more what is granted at these targets; returns that in words."""

    # --- who is known

    @staticmethod
    def name_of(remote: RemoteNode) -> str:
        """Return a node's name, or where it is looked for while it has not said one and is not looked for by name."""
        return _node_of(remote) or remote.target

    def is_required(self, remote: RemoteNode) -> bool:
        """Tell whether the configuration demands it."""
        return _node_of(remote) in self._required or remote.target in self._required

    def keeper(self, node: str) -> Session | None:
        """Return the session that a node keeps here."""
        return self._sessions.peers().get(f"{NODE}{node}") if node else None

    def is_expected_down(self, remote: RemoteNode) -> bool:
        """Tell whether its absence is expected."""
        return self._maintenance.find(remote.target) is not None

    def _find(self, node: str) -> tuple[list[RemoteNode], str]:
        """Return the remotes called so, and the node's name. Raises BadNameError with those that are known."""
        found = [each for each in self.pool.remotes.values() if node in (each.node, each.target, serial_of(each.target))]
        if found or self.keeper(node) is not None or f"{NODE}{node}" in self._sessions.told.peers:
            return found, self.name_of(found[0]) if found else node
        if node == self.about.name:
            raise BadNameError(f"{node} is the node that is asked: name another, that it knows", name=node)
        known = [*map(self.name_of, self.pool.remotes.values()), *(name for name, _session in self._keepers_alone())]
        raise BadNameError(f"no node {node[:64]!r} is known here", name=node, known=", ".join(known[:32]))

    def _keepers_alone(self) -> Iterator[tuple[str, Session | None]]:
        followed = {_node_of(remote) for remote in self.pool.remotes.values()}
        told: dict[str, Session | None] = dict.fromkeys(self._sessions.told.peers)
        for peer, session in (told | dict(self._sessions.peers())).items():
            if (name := peer.removeprefix(NODE)) not in followed:
                yield name, session

    def _first_of(self, remote: RemoteNode) -> RemoteNode | None:
        """Return the remote that has the session with this one's node, where this one is a second way to it and has none."""
        if remote.session.refused != SAME_NODE:
            return None
        return self.pool.remotes.get(remote.session.one.holder(remote.session.peer_run))

    # --- the state of the whole

    def state(self) -> tuple[SystemState, str]:
        """Return how the system stands, and which nodes make it so."""
        return system_state(self._standings(), self.about.up_s)

    def _standings(self) -> Iterator[Standing]:
        named = set()
        for remote in self.pool.remotes.values():
            named |= {_node_of(remote), remote.target}
            if self._first_of(remote) is not None:
                continue
            present = remote.standing[0] in HEARD
            yield Standing(self.name_of(remote), present, remote.was_ready, self.is_required(remote))
        for name in self._required:
            if name not in named:
                session = self.keeper(name)
                present = session is not None and self._lease_left_s(session) is not None
                yield Standing(name, present, session is not None, required=True)

    def _lease_left_s(self, session: Session) -> float | None:
        left_s = session.lease.ends_s - self._clock.now_s()
        return left_s if left_s > 0.0 else None

    # --- asking all

    async def peers(self, within_s: float) -> list[pb.Peer]:
        """Return every node that is known, each asked for its facts at the same time, for at most `within_s`.

        A node is one, however many ways lead to it: the stubs of a way without a session, and why it has none, stand with it.
        """
        firsts = {each.target: self._first_of(each) for each in self.pool.remotes.values()}
        remotes = [each for each in self.pool.remotes.values() if firsts[each.target] is None]
        self._heard = {target: heard for target, heard in self._heard.items() if target in self.pool.remotes}
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(self._ask(each, within_s), name=f"describe {each.target}") for each in remotes]
        stubs: dict[str, list[str]] = {}
        for leaf in self._stubs():
            first = firsts.get(leaf.network.target)
            stubs.setdefault(leaf.network.target if first is None else first.target, []).append(leaf.name)
        found = [
            self._followed(remote, stubs.get(remote.target, ()), asked.result())
            for remote, asked in zip(remotes, asking, strict=True)
        ]
        for target, first in firsts.items():
            for peer in (each for each in found if first is not None and each.target == first.target):
                peer.reason = "; ".join(filter(None, (peer.reason, self.pool.remotes[target].standing[1])))
        return [*found, *(self._keeper_alone(name, session) for name, session in self._keepers_alone())]

    async def _ask(self, remote: RemoteNode, within_s: float) -> BosError | None:
        """Hear a node's facts; return why they were not heard."""
        try:
            async with asyncio.timeout(within_s):
                facts = await remote.over(
                    lambda channel: FleetServiceStub(channel).Describe(
                        pb.DescribeRequest(), timeout=within_s, metadata=remote.metadata
                    )
                )
        except TimeoutError:
            return UnavailableError(f"{remote.target} did not answer within {within_s:g} s")
        except BosError as error:
            unknown = error.metadata.get("grpc_code") == "UNIMPLEMENTED"
            return UnsupportedError(f"{remote.target} does not describe itself: update it") if unknown else error
        self._heard[remote.target] = _Heard(facts, self._clock.now_s())
        return None

    def _followed(self, remote: RemoteNode, stubs: Iterable[str], error: BosError | None) -> pb.Peer:
        link, reason = remote.standing
        session, now_s = remote.session, self._clock.now_s()
        answered_s = session.state.answered_s
        peer = pb.Peer(
            node=remote.node,
            target=remote.target,
            address=remote.address,
            link=link.value,  # type: ignore[arg-type]  # the numbers are the same
            reason=reason,
            stubs=stubs,
            required=self.is_required(remote),
            answer_age_s=now_s - answered_s if math.isfinite(answered_s) else None,
            boot_id=session.state.boot_id,
            epoch=session.state.epoch,
            round_trip_s=2.0 * remote.half_rtt_s if remote.round_trips else None,
            clock_ahead_s=remote.clock.ahead_s,
            agreed_digest=session.agreed_digest,
            drifted=session.drifted,
            lag_s=session.lag_s,
        )
        if error is not None:
            peer.failure, peer.failure_message = error.reason, error.message
        if (heard := self._heard.get(remote.target)) is not None:
            peer.facts.CopyFrom(heard.facts)
            peer.facts_age_s = now_s - heard.at_s
        self._say_kept(peer, self.keeper(_node_of(remote)))
        self._say_expected(peer, remote.target)
        return peer

    def _keeper_alone(self, name: str, session: Session | None) -> pb.Peer:
        peer = pb.Peer(node=name, required=name in self._required)
        keeps = "it counts on alone limits of an earlier run"
        if session is not None:
            alive = self._lease_left_s(session) is not None
            keeps = "it keeps a session here" if alive else "the session that it kept here is lost"
            if session.ready:
                peer.answer_age_s = self._clock.now_s() - (session.lease.ends_s - self._sessions.timers.lease_s)
        peer.reason = f"{keeps}; no stub of this node is of it, so it is not asked"
        self._say_kept(peer, session)
        self._say_expected(peer, f"{NODE}{name}")
        return peer

    def _say_kept(self, peer: pb.Peer, session: Session | None) -> None:
        if session is None:
            return
        peer.keeps_session, peer.epoch_here = True, session.epoch
        peer.address = peer.address or session.address.removeprefix("ipv4:")
        peer.boot_id = peer.boot_id or session.peer_boot_id
        if (left_s := self._lease_left_s(session)) is not None:
            peer.lease_left_s = left_s

    def _say_expected(self, peer: pb.Peer, key: str) -> None:
        if (window := self._maintenance.find(key)) is not None:
            peer.maintenance_s = window.ends_s - self._clock.now_s()
            peer.maintenance_reason = window.reason

    # --- what a person says

    def assume_safe(self, node: str) -> Assumed:
        """Count no more what is not seen of a node, until contact, nor hold what it counts on while it is not heard.

        Of a node that answers these are the batteries that it does not show any more. Raises BadNameError, and UnsupportedError
        where it shows all.
        """
        remotes, name = self._find(node)
        heard, now_s = any(remote.standing[0] in HEARD for remote in remotes), self._clock.now_s()
        targets = {remote.target for remote in remotes}
        counted_a: dict[str, float] = {}
        for leaf in self._stubs():
            if leaf.network.target not in targets or (heard and leaf.status(now_s).link is not Link.REFUSED):
                continue
            worst_a = leaf.counts_at_a
            if leaf.assume_safe():
                counted_a[leaf.name] = worst_a
        if heard and not counted_a:
            raise UnsupportedError(f"{name} answers: what it does is seen, and nothing is assumed", node=name)
        if heard:
            return Assumed(name, counted_a, [], [])
        names = {name, *filter(None, map(serial_of, targets))}
        counted_on = [limit for each in sorted(names) for limit in self._counts_on_nothing(each)]
        return Assumed(name, counted_a, self.forget_grants(targets), counted_on, self._hint(remotes))

    def _hint(self, remotes: Sequence[RemoteNode]) -> str:
        """Return what else is to be named where nobody at these targets ever said a name: limits are counted on by name."""
        if not remotes or any(remote.node or serial_of(remote.target) for remote in remotes):
            return ""
        unheard = [name for name, session in self._keepers_alone() if session is None or not self._lease_left_s(session)]
        counting = [name for name in unheard if f"{NODE}{name}" in self._sessions.told.peers]
        if not counting:
            return ""
        return (
            f"what {remotes[0].target} is called was never heard here: if it is {' or '.join(sorted(counting))}, which counts on "
            "alone limits of this node while it is not heard, name that, too: bosctl fleet assume-safe NAME"
        )

    def _counts_on_nothing(self, name: str) -> list[str]:
        """Hold no alone limit any more that a node counts on which keeps no session here; return them in words."""
        session = self.keeper(name)
        if session is not None and self._lease_left_s(session) is not None:
            return []
        return [
            f"at most {limit_w:g} W {way} of {battery}"
            for battery, limits in self._sessions.count_no_more(f"{NODE}{name}").items()
            for way, limit_w in (("discharge", limits.discharge_w), ("charge", limits.charge_w))
            if limit_w is not None
        ]

    def expect(self, node: str, for_s: float, reason: str) -> tuple[str, bool]:
        """Expect a node's absence for a time, 0 for no longer; return its name, and whether it was expected before.

        Raises BadNameError and InvalidArgumentError.
        """
        remotes, name = self._find(node)
        keys = [remote.target for remote in remotes] or [f"{NODE}{name}"]
        before = [self._maintenance.begin(key, for_s, reason) if for_s else self._maintenance.end(key) for key in keys]
        self._show_expected()
        return name, any(before)

    def _show_expected(self) -> None:
        for remote in self.pool.remotes.values():
            remote.expect_down(self.is_expected_down(remote))

    async def run(self) -> None:
        """End what is expected at its time, until cancelled."""
        while True:
            self._show_expected()
            await asyncio.sleep(LOOK_S)


def _node_of(remote: RemoteNode) -> str:
    """Return a node's name: what it said, or what it is looked for by; empty where neither is known."""
    return remote.node or serial_of(remote.target)
