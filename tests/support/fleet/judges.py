"""What must hold at every instant, judged from outside: limits, fenced commands, and the sum of true currents."""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from bosd.bal.spec import AggregatorSpec, JbdSpec, NetworkSpec
from bosd.node.adopt import LEAST_HELD_A
from bosd.node.api import SetCurrentResult
from bosd.v1 import battery_pb2 as pb
from tests.support.fleet.channels import Sent
from tests.support.fleet.fleet import DEV, Fleet, Host, Judge, Process
from tests.support.fleet.packs import Pack
from tests.support.fleet.process_loop import Life
from tests.support.fleet.wires import Trace

SET = "/bosd.v1.BatteryService/SetCurrent"
HELLO = "/bosd.v1.NodeService/Hello"
TOLERANCE_A = 1e-5
"""Ten times what a pack's measurement is off."""
DRIFT = 1.001
UNDER_WAY_S = 10.0
"""No command is longer under way at an owner: a device is waited for 5 s, behind one that is told something else."""
EARLIER_RUN = "it was meant for an earlier run"
"""What is never carried out; all else is where it lowers (control.md: "lowering by the holder needs the first two")."""


class ViolationError(AssertionError):
    """Something that must never be was."""


class LimitJudge(Judge):
    """No device above its limits."""

    def current_changed(self, pack: Pack) -> None:
        """Look at one pack."""
        if abs(pack.held_a) > pack.limit_a + TOLERANCE_A:
            raise ViolationError(f"{pack.name} at {pack.held_a} A, limit {pack.limit_a} A")


class StopJudge(Judge):
    """What was stopped and has confirmed it stays at 0 A until somebody begins to release it."""

    def __init__(self) -> None:
        self.stopped: set[str] = set()
        self.stops = 0

    def stop(self, pack: str) -> None:
        """Note that a stop was confirmed."""
        self.stopped.add(pack)
        self.stops += 1

    def check(self, pack: str, *, latched: bool) -> None:
        """Look at one pack before it is released: its owner knows of the stop, in whatever run it is."""
        if pack in self.stopped and not latched:
            raise ViolationError(f"{pack} was stopped, and its owner has forgotten")

    def current_changed(self, pack: Pack) -> None:
        """Look at one pack."""
        if pack.name in self.stopped and pack.true_a != 0.0:
            raise ViolationError(f"{pack.name} is stopped and runs {pack.true_a} A")


@dataclass(slots=True)
class _Command:
    """A command that need not be refused: when it arrived, what it asks for, and when it was carried out."""

    sent: Sent
    at_s: float
    current_a: float
    done_s: float = math.inf

    def may_run(self, from_s: float, under_way_s: float) -> bool:
        """Tell whether it may have come into force after an instant, or shortly before and nobody has said so yet."""
        return self.done_s >= from_s and self.at_s >= from_s - under_way_s


class FenceJudge(Judge):
    """No command carried out that had to be refused.

    Meant for an earlier run, of one whose successor said hello, from before the last hello of its own run, behind a later one,
    too old: what a wire can do to a command, known from when it was sent and from what was carried out. That a lease is over is
    not judged by itself: a command that echoes what an owner said before is too old by then.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._newest: dict[tuple[Life, str], Life] = {}
        self._barred: dict[Sent, tuple[float, str]] = {}
        self._commands: dict[tuple[Life, str, str], list[_Command]] = {}
        self._hello_s: dict[tuple[Life, str], float] = {}
        self._sequences: dict[tuple[Life, int, str], int] = {}
        self.refused = 0
        self.carried_out = 0
        self.under_way_s = UNDER_WAY_S

    def call_arrived(self, path: str, request: bytes, sent: Sent, server: Process) -> None:
        """Find out whether what arrives must be refused."""
        if path != SET:
            return
        told = pb.SetCurrentRequest.FromString(request)
        if why := self._why_barred(told, sent, server):
            self._barred[sent] = self._fleet.loop.time(), why
            self.refused += 1
        else:
            command = _Command(sent, self._fleet.loop.time(), told.current_a)
            self._of(server, sent, told.name).append(command)

    def _of(self, server: Process, sent: Sent, battery: str) -> list[_Command]:
        """Return the commands of a host to a battery in a run of its owner."""
        host = sent.client.name.rpartition(".")[0]
        return self._commands.setdefault((server.life, host, battery), [])

    def _why_barred(self, told: pb.SetCurrentRequest, sent: Sent, server: Process) -> str:
        if sent.server is not None and sent.server is not server.life:
            return EARLIER_RUN
        if told.name not in server.node.directory.batteries:
            return ""
        host = sent.client.name.rpartition(".")[0]
        setpoint = server.node.directory[told.name].setpoint
        own_a = setpoint.current_a if setpoint is not None and setpoint.holder == f"node:{host}" else 0.0
        if told.current_a * own_a >= 0.0 and abs(told.current_a) <= abs(own_a):
            return ""  # it lowers
        if behind := self._why_behind(told, sent, server, host):
            return behind
        age_s = self._fleet.loop.time() - sent.at_s
        if age_s > self._fleet.timers.max_command_age_s * DRIFT:
            return f"it is {age_s:.3f} s old"
        return ""

    def _why_behind(self, told: pb.SetCurrentRequest, sent: Sent, server: Process, host: str) -> str:
        """Return why something newer of the same asker makes it void."""
        newest = self._newest.get((server.life, host))
        if newest is not None and newest is not sent.client:
            return f"{newest.name} has said hello"
        if sent.at_s < self._hello_s.get((server.life, host), 0.0):
            return f"{sent.client.name} has said hello since"
        if told.fence.sequence <= self._sequences.get((server.life, told.fence.epoch, told.name), 0):
            return f"number {told.fence.sequence} of {sent.client.name} comes behind a later one"
        return ""

    def call_done(self, path: str, request: bytes, sent: Sent, server: Process) -> None:
        """Note who said hello; find fault with a command that had to be refused."""
        host = sent.client.name.rpartition(".")[0]
        if path == HELLO:
            self._newest[server.life, host] = sent.client
            self._hello_s[server.life, host] = max(sent.at_s, self._hello_s.get((server.life, host), 0.0))
        elif path == SET:
            self.carried_out += 1
            told = pb.SetCurrentRequest.FromString(request)
            number = server.life, told.fence.epoch, told.name
            self._sequences[number] = max(told.fence.sequence, self._sequences.get(number, 0))
            arrived_s, why = self._barred.pop(sent, (0.0, ""))
            commands = self._of(server, sent, told.name)
            larger_a = [each.current_a for each in commands if each.current_a and each.may_run(arrived_s, self.under_way_s)]
            lowered = any(0.0 <= told.current_a / each_a <= 1.0 for each_a in larger_a)
            for command in commands:
                if command.sent is sent and command.done_s == math.inf:
                    command.done_s = self._fleet.loop.time()
            if why and not (lowered and why != EARLIER_RUN):
                raise ViolationError(
                    f"{server.life.name} carried out {told.name} {told.current_a} A of {sent.client.name}: {why}"
                )


@dataclass(slots=True)
class Request:
    """A current somebody asked for, which counts until `ends_s`."""

    current_a: float
    ends_s: float = math.inf


class Others:
    """What is asked of single packs beside what a top asks of them: by force, in bookings, by a second controller.

    One of them is in force at a time. What a pack holds whose board cannot tell it counts `settle_s` longer than that.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, settle_s: float, tells: Callable[[Pack], bool]) -> None:
        self._loop = loop
        self._settle_s = settle_s
        self._tells = tells
        self._asked: dict[str, list[Request]] = {}
        self._of_several: list[tuple[frozenset[Pack], Request]] = []

    def asks_of(self, packs: Iterable[Pack], current_a: float, lives_s: float = math.inf) -> Request:
        """Note that a current is asked of several packs together, by way of what adds them up between their owners and a top."""
        request = Request(current_a, self._loop.time() + lives_s + self._settle_s)
        self._of_several.append((frozenset(packs), request))
        return request

    def _together(self, packs: Iterable[Pack]) -> dict[frozenset[Pack], list[Request]]:
        """Return what counts of several together that have any of these packs."""
        now_s = self._loop.time()
        self._of_several = [each for each in self._of_several if each[1].ends_s >= now_s]
        found: dict[frozenset[Pack], list[Request]] = {}
        for several, request in self._of_several:
            if any(pack.holds and not self._tells(pack) for pack in several):
                request.ends_s = max(request.ends_s, now_s + self._settle_s)
            if not several.isdisjoint(packs):
                found.setdefault(several, []).append(request)
        return found

    def asks(self, pack: Pack, current_a: float, lives_s: float = math.inf) -> Request:
        """Note that a current is asked of a pack for so long."""
        request = Request(current_a, self._loop.time() + lives_s + self._settle_s)
        self._asked.setdefault(pack.name, []).append(request)
        return request

    def over(self, request: Request) -> None:
        """Note that a request is over."""
        request.ends_s = min(request.ends_s, self._loop.time() + self._settle_s)

    def alive(self, pack: Pack) -> Sequence[Request]:
        """Return what counts of a pack now, alone or with others."""
        together = self._together([pack]).values()
        return [*self._alone(pack), *(request for requests in together for request in requests)]

    def _alone(self, pack: Pack) -> Sequence[Request]:
        asked = self._asked.get(pack.name)
        if not asked:
            return ()
        now_s = self._loop.time()
        asked[:] = [request for request in asked if request.ends_s >= now_s]
        if pack.holds and not self._tells(pack):
            for request in asked:
                request.ends_s = max(request.ends_s, now_s + self._settle_s)
        return asked

    def most_a(self, packs: Sequence[Pack], sign: float) -> float:
        """Return what may flow in these packs for others, in a direction."""
        asked = [*map(self._alone, packs), *self._together(packs).values()]
        return math.fsum(max((0.0, *(sign * request.current_a for request in each))) for each in asked)


Way: TypeAlias = tuple[str, ...]
"""The hosts from the owner of a pack to one that commands it by way of those between, both included."""


def sees(fleet: Fleet, way: Way) -> bool:
    """Tell whether the last host of a way hears the first by way of the others, as far as that is known from outside."""
    processes = [fleet.hosts[name].process for name in way[:-1] or way]
    alive = all(process is not None and process.life.runs for process in processes)
    return alive and all(fleet.wires.silent_s(one, other) == 0.0 for one, other in pairwise(way))


def below(fleet: Fleet, host: Host, name: str, *, now: bool = False) -> list[tuple[Pack, Way]]:
    """Return the packs below a battery of a host, each with the way from its owner to that host.

    With `now` as edits have it; what somebody took away and others still name is what it was.
    """
    first = host.in_force if now else host.topology
    for splitter in (*first.splitters, *host.topology.splitters):
        if any(part.name == name for part in splitter.partitions):
            return below(fleet, host, splitter.source, now=now)
    spec = next(each for each in (*first.batteries, *host.topology.batteries) if each.name == name)
    if isinstance(spec, JbdSpec):
        return [(fleet.packs[spec.port.removeprefix(DEV)], (host.name,))]
    if isinstance(spec, AggregatorSpec):
        return [each for source in spec.sources for each in below(fleet, host, source, now=now)]
    assert isinstance(spec, NetworkSpec)
    there = fleet.hosts[fleet.host_at(spec.target or "")]
    return [(pack, (*way, host.name)) for pack, way in below(fleet, there, spec.remote_name, now=now)]


@dataclass(eq=False)
class Top:
    """A battery over packs that a person commands at `host`; `ways` lead from each pack's owner there, in their order.

    While it is `stopped`, and has confirmed that, nothing that was asked of it counts.
    """

    host: Host
    name: str
    packs: tuple[Pack, ...]
    ways: tuple[Way, ...]
    stopped: bool = False
    asked: list[Request] = field(default_factory=lambda: [Request(0.0)])
    booked: list[Request] = field(default_factory=list)

    @property
    def true_a(self) -> float:
        """What flows in all its packs together."""
        return math.fsum(pack.true_a for pack in self.packs)


class SumJudge(Judge):
    """The sum of true currents is never above the larger of the old and the new request (control.md, "When something dies").

    An old request counts until the new one was confirmed, or, where a member could not be seen then, `settle_s` longer; as
    long as a pack that holds cannot be seen, it counts on. What a pack holds whose owner is not seen is forgotten where a node
    that commanded it was started anew: set points are never stored.
    """

    def __init__(self, fleet: Fleet, tops: list[Top], settle_s: float, others: Others) -> None:
        self._fleet = fleet
        self._tops = tops
        self._settle_s = settle_s
        self._others = others
        self.worst_a = 0.0

    def asks(self, top: Top, current_a: float, ttl_s: float = math.inf) -> Callable[[SetCurrentResult], None]:
        """Note that a request for so long begins; call the result with the answer, if there is one."""
        request = Request(current_a, self._fleet.loop.time() + ttl_s + self._settle_s)
        top.asked.append(request)

        def confirmed(answer: SetCurrentResult) -> None:
            certain = self._certain(top) and "may still run" not in answer.reason
            ends_s = self._fleet.loop.time() + (0.0 if certain else self._settle_s)
            for older in top.asked[: top.asked.index(request)]:
                older.ends_s = min(older.ends_s, ends_s)

        return confirmed

    def died(self, host: Host) -> None:
        """Note that a node died: nothing it asked for counts for longer than it takes to be safe."""
        ends_s = self._fleet.loop.time() + self._settle_s
        for top in self._tops:
            if top.host is host:
                for request in top.asked:
                    request.ends_s = min(request.ends_s, ends_s)
                top.asked.append(Request(0.0))

    @staticmethod
    def _certain(top: Top) -> bool:
        """Tell whether the node names nothing that may run beyond what it was told."""
        return top.host.process is not None and "may still run" not in top.host.process.node.status(top.name).reason

    def current_changed(self, pack: Pack) -> None:
        """Look at the sum the pack is in."""
        for top in self._tops:
            if pack in top.packs:
                self._check(top)

    def _check(self, top: Top) -> None:
        now_s = self._fleet.loop.time()
        if any(pack.holds and not sees(self._fleet, way) for pack, way in zip(top.packs, top.ways, strict=True)):
            for request in (*top.asked, *top.booked):
                if now_s < request.ends_s < math.inf:
                    request.ends_s = max(request.ends_s, now_s + self._settle_s)
        top.asked = [request for request in top.asked if request.ends_s >= now_s]
        top.booked = [request for request in top.booked if request.ends_s >= now_s]
        for sign in (1.0, -1.0):
            flows_a = math.fsum(sign * pack.true_a for pack in top.packs if sign * pack.true_a > _unfound_a(pack))
            asked_a = () if top.stopped else (sign * request.current_a for request in (*top.asked, *top.booked))
            over_a = flows_a - max((0.0, *asked_a)) - self._others.most_a(top.packs, sign)
            self.worst_a = max(self.worst_a, over_a)
            if over_a > TOLERANCE_A:
                packs = {each.name: each.true_a for each in top.packs}
                asked = [(request.current_a, round(request.ends_s, 2)) for request in top.asked]
                raise ViolationError(f"{now_s:.3f}: {top.host.name}/{top.name} flows {sign * flows_a} A, asked {asked}: {packs}")


def _unfound_a(pack: Pack) -> float:
    """Return what a pack may hold without being found by a node that starts anew."""
    return LEAST_HELD_A if pack.holds else 0.0


class LeaseJudge(Judge):
    """A pack that expires, of an owner whose asker it cannot hear, is at 0 A before long (control.md, "When something dies").

    That a link is cut either way, or the asker down, is known from outside. What holds may run on where its owner died, too.
    What others ask of a pack at its owner needs no asker.
    """

    def __init__(self, fleet: Fleet, tops: list[Top], within_s: float, others: Others) -> None:
        self._fleet = fleet
        self._tops = tops
        self._others = others
        self._within_s = within_s
        self._died_s: dict[str, float] = {}

    def died(self, host: Host) -> None:
        """Note when a node went down."""
        self._died_s[host.name] = self._fleet.loop.time()

    def current_changed(self, pack: Pack) -> None:
        """Look at one pack."""
        if pack.holds or pack.true_a == 0.0 or self._others.alive(pack):
            return
        for top in self._tops:
            for each, way in zip(top.packs, top.ways, strict=True):
                if each is pack:
                    self._check(pack, way)

    def _check(self, pack: Pack, way: Way) -> None:
        """Look at each link of its way: the end of a lease goes on from one to the next."""
        for hops, (owner, asker) in enumerate(pairwise(way)):
            unheard_s = self._unheard_s(asker, owner)
            if unheard_s > (hops + 1) * self._within_s:
                raise ViolationError(f"{pack.name} runs {pack.true_a} A, and {owner} has not heard {asker} for {unheard_s:.1f} s")

    def _unheard_s(self, asker: str, owner: str) -> float:
        """Return for how long an owner has not heard an asker."""
        down_s = self._fleet.loop.time() - self._died_s.get(asker, math.inf) if self._fleet.hosts[asker].process is None else 0.0
        return max(down_s, self._fleet.wires.silent_s(asker, owner))


def digest(trace: Trace) -> str:
    """Return the hash of a run, short."""
    return trace.hexdigest()[:16]
