"""Minutes of load on one node: clients that ask for a status twice a second, and owners that change once a second and beat.

Every owner is a daemon of its own; the times of beats are noted inside the loaded daemon, as each reply arrives.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import psutil

from bosd.fleet.timers import SessionTimers
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from tests.soak.outcome import Outcome, Progress, percentile
from tests.support.processes import Caller, Node, aggregator, battery, pseudo, until

ASKS_PER_S = 2.0
CHANGES_PER_S = 1.0
CALL_S = 2.0
WARM_UP_S = 15.0
START_S = 300.0
"""For thirty-three daemons on two cores."""
FEW_CORES = 8
"""Below these the processes wait for each other more than for anything that is measured."""
MOST_ERRORS = 5
LEASE_S = SessionTimers().lease_s
JUDGED_MINUTES, JUDGED_GROWTH = 60.0, 0.02
"""performance.md, metric 15: no growth over an hour, 2 % at most; a shorter run only shows it."""

NOTE_BEATS = """
import os, time
from bosd.fleet.holder import HolderSession
beats = open(os.environ["BOSD_SOAK_BEATS"], "a", buffering=1)
answered = HolderSession.beat_answered
def beat_answered(self, *args, **more):
    beats.write(f"{id(self)} {time.monotonic():.6f}\\n")
    return answered(self, *args, **more)
HolderSession.beat_answered = beat_answered
"""


@dataclass(slots=True)
class Asked:
    """What the clients saw."""

    taken_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    missed: int = 0
    changes: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory of the loaded node, and processor time of it and of all owners."""

    at_s: float
    resident_mib: float
    node_s: float
    owners_s: float

    @staticmethod
    def of(node: Node, owners: list[Node]) -> "Footprint":
        """Look now."""
        return Footprint(time.monotonic(), node.resident_mib(), _cpu_s(node), sum(map(_cpu_s, owners)))


def _cpu_s(node: Node) -> float:
    times = psutil.Process(node.pid).cpu_times()
    return float(times.user + times.system)


@contextmanager
def _fleet(directory: Path, count: int, beats: Path) -> Iterator[tuple[Node, list[Node]]]:
    """Start the owners at the same time, and the node with stubs of all of them and their sum; wait until all are ready."""
    with ExitStack() as stack:
        owners = [Node(directory, pseudo("b"), name=f"o{number}") for number in range(count)]
        for owner in owners:
            stack.push(owner)
            owner.launch()
        for owner in owners:
            until(lambda owner=owner: owner.events("serving"), timeout_s=START_S, because=f"{owner.name} serves")  # type: ignore[misc]
        stubs = [battery(f"s{number}", "network", target=owner.target, remote_name="b") for number, owner in enumerate(owners)]
        total = aggregator("all", *(f"s{number}" for number in range(count)))
        environment = {"BOSD_SOAK_BEATS": str(beats)}
        node = Node(directory, "".join(stubs) + total, name="main", prelude=NOTE_BEATS, environment=environment)
        stack.enter_context(node)
        with Caller(node.target, "soak") as caller:
            until(lambda: _all_ready(caller, count), timeout_s=START_S, because="all owners are ready")
        yield node, owners


def _all_ready(caller: Caller, count: int) -> bool:
    return all(caller.status(f"s{number}").commandable for number in range(count))


def _channel(target: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(target, options=(("grpc.use_local_subchannel_pool", 1),))


async def _every(period_s: float, phase_s: float, ends_s: float) -> Any:
    """Yield at each turn until the end: how many turns went by unused."""
    due_s = time.monotonic() + phase_s
    while due_s < ends_s:
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        late = max(0, int((time.monotonic() - due_s) / period_s))
        yield late
        due_s += period_s * (late + 1)


async def _client(target: str, name: str, phase_s: float, ends_s: float, asked: Asked) -> None:
    async with _channel(target) as channel:
        get_status: Any = BatteryServiceStub(channel).GetStatus
        request = pb.GetStatusRequest(name=name)
        async for missed in _every(1.0 / ASKS_PER_S, phase_s, ends_s):
            asked.missed += missed
            started_s = time.monotonic()
            try:
                await get_status(request, timeout=CALL_S)
                asked.taken_s.append(time.monotonic() - started_s)
            except grpc.aio.AioRpcError as error:
                asked.errors.append(f"{error.code().name}: {error.details()}")


async def _change(target: str, phase_s: float, ends_s: float, asked: Asked) -> None:
    """Let an owner's battery report another voltage each second."""
    async with _channel(target) as channel:
        modify: Any = BatteryServiceStub(channel).ModifyPseudo
        step = 0
        async for _ in _every(1.0 / CHANGES_PER_S, phase_s, ends_s):
            step += 1
            try:
                await modify(pb.ModifyPseudoRequest(name="b", voltage_v=13.0 + step % 10 * 0.01), timeout=CALL_S)
                asked.changes += 1
            except grpc.aio.AioRpcError:
                asked.refused += 1


async def _tell(progress: Progress, asked: Asked, ends_s: float) -> None:
    while time.monotonic() < ends_s:
        await asyncio.sleep(1.0)
        progress.tell(
            f"{len(asked.taken_s)} answers, {len(asked.errors)} errors, {max(0.0, ends_s - time.monotonic()):.0f} s left"
        )


async def _load(node: Node, owners: list[Node], clients: int, seconds: float, progress: Progress) -> Asked:
    asked = Asked()
    ends_s = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            name = "all" if number % 5 == 0 else f"s{number % len(owners)}"
            group.create_task(_client(node.target, name, number / clients / ASKS_PER_S, ends_s, asked))
        for number, owner in enumerate(owners):
            group.create_task(_change(owner.target, number / len(owners), ends_s, asked))
        group.create_task(_tell(progress, asked, ends_s))
    return asked


def _gaps_s(beats: Path, from_s: float, to_s: float) -> list[float]:
    """Return the times between two replies of one session, in a part of the run; to its end where no further reply came."""
    last_s: dict[str, float] = {}
    gaps_s: list[float] = []
    for line in beats.read_text().splitlines():
        session, _, stamp = line.partition(" ")
        at_s = float(stamp)
        if from_s <= at_s <= to_s:
            if session in last_s:
                gaps_s.append(at_s - last_s[session])
            last_s[session] = at_s
    return gaps_s + [to_s - at_s for at_s in last_s.values() if to_s - at_s > SessionTimers().stale_s]


def _figures(asked: Asked, gaps_s: list[float], before: Footprint, after: Footprint) -> dict[str, Any]:
    taken_s = after.at_s - before.at_s
    cores = len(os.sched_getaffinity(0))
    return {
        "taken_s": taken_s,
        "cores": cores,
        "answers": len(asked.taken_s),
        "errors": len(asked.errors),
        "missed_turns": asked.missed,
        "changes": asked.changes,
        "changes_refused": asked.refused,
        "get_status_p50_ms": percentile(asked.taken_s, 0.5) * 1e3 if asked.taken_s else None,
        "get_status_p99_ms": percentile(asked.taken_s, 0.99) * 1e3 if asked.taken_s else None,
        "get_status_max_ms": max(asked.taken_s) * 1e3 if asked.taken_s else None,
        "beats": len(gaps_s),
        "gap_p50_s": percentile(gaps_s, 0.5) if gaps_s else None,
        "gap_p99_s": percentile(gaps_s, 0.99) if gaps_s else None,
        "gap_max_s": max(gaps_s) if gaps_s else None,
        "resident_start_mib": before.resident_mib,
        "resident_end_mib": after.resident_mib,
        "node_cpu_share": (after.node_s - before.node_s) / taken_s,
        "owners_cpu_share": (after.owners_s - before.owners_s) / taken_s,
    }


def _failures(asked: Asked, figures: dict[str, Any], lost: list[str], minutes: float) -> list[str]:
    failures = [f"GetStatus: {each}" for each in sorted(set(asked.errors))[:MOST_ERRORS]]
    failures += [f"a session was lost: {each}" for each in lost]
    if figures["gap_max_s"] is None or figures["gap_max_s"] >= LEASE_S:
        failures.append(f"a beat was not answered for a lease ({LEASE_S:g} s): the longest gap was {figures['gap_max_s']} s")
    growth = figures["resident_end_mib"] / figures["resident_start_mib"] - 1.0
    if minutes >= JUDGED_MINUTES and growth > JUDGED_GROWTH:
        failures.append(f"memory grew by {growth:.1%}")
    return failures


def _details(figures: dict[str, Any], processes: int) -> tuple[str, ...]:
    f = figures
    resident = f"memory of the node {f['resident_start_mib']:.1f} MiB at the start, {f['resident_end_mib']:.1f} MiB at the end"
    shares = f"the node {f['node_cpu_share']:.1%} of a core, all owners {f['owners_cpu_share']:.1%}, of {f['cores']} cores"
    turns = (
        f"{f['missed_turns']} turns of clients were missed, {f['changes']} changes of owners made, {f['changes_refused']} refused"
    )
    lines = [resident, f"processor: {shares}", turns]
    if f["cores"] < FEW_CORES:
        lines.append(
            f"this machine has {f['cores']} cores for {processes} processes: the times are mostly those of waiting for a core; "
            "only what is lost, refused or grows means anything here"
        )
    return tuple(lines)


def run(count: int, clients: int, minutes: float) -> Outcome:
    """Load one node with `count` owners and `clients` clients for so many minutes, after a start and 15 s to settle."""
    progress = Progress("load", minutes * 60.0 + START_S)
    progress.tell(f"starting {count} owners and the node", now=True)
    with tempfile.TemporaryDirectory(prefix="bosd-soak-") as name:
        beats = Path(name) / "beats"
        with _fleet(Path(name), count, beats) as (node, owners):
            progress.tell("settling", now=True)
            asyncio.run(_load(node, owners, clients, WARM_UP_S, progress))
            before = Footprint.of(node, owners)
            asked = asyncio.run(_load(node, owners, clients, minutes * 60.0, progress))
            after = Footprint.of(node, owners)
            lost = _lost(node)
        figures = _figures(asked, _gaps_s(beats, before.at_s, after.at_s), before, after)
    failures = _failures(asked, figures, lost, minutes)
    return Outcome(part="load", summary=_summary(figures, count, clients), figures=figures,
        details=_details(figures, count + 2), failures=tuple(failures))  # fmt: skip


def _lost(node: Node) -> list[str]:
    """Return what the node says of owners that it did not hear at some time."""
    return [str(each["message"]) for each in node.ask("errors", "--all") if each["type"] == "LINK_LOST"]


def _summary(figures: dict[str, Any], count: int, clients: int) -> str:
    f = figures
    if not f["answers"] or not f["beats"]:
        return f"{f['answers']} answers and {f['beats']} beats in {f['taken_s']:.0f} s"
    return (
        f"{clients} clients and {count} owners for {f['taken_s']:.0f} s: {f['answers']} answers, {f['errors']} errors, GetStatus "
        f"p50 {f['get_status_p50_ms']:.2f} ms, p99 {f['get_status_p99_ms']:.2f} ms; {f['beats']} beats, gaps "
        f"p50 {f['gap_p50_s']:.3f} s, p99 {f['gap_p99_s']:.3f} s, longest {f['gap_max_s']:.3f} s"
    )
