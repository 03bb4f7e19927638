"""Scenarios that need nodes of their own, at full timers: three in a row that die, a controller back in time, a blip on a cable.

satellites.md section 4 (2 to 4) and 3.4 over two hops, as control.md corrects them; what flows is asked of the packs.
"""

import itertools
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import grpc
import pytest

from bosd.fleet.timers import SessionTimers
from bosd.v1 import battery_pb2 as pb
from tests.soak.outcome import Book
from tests.soak.site import NEAR_A, TTL_S, Sample, Sampler, excess_as
from tests.soak.starting import late
from tests.support.certificates import authority
from tests.support.lan import HERE, PORT, THERE, Lan
from tests.support.namespaces import cable
from tests.support.processes import Caller, Node, Pack, aggregator, battery, pseudo, table, until

IMPOSSIBLE = pytest.skip.Exception
"""Raised by helpers of tests where a machine has no network namespaces, or no nft."""
TIMERS = SessionTimers()
LOOK_S = 0.1
MOST_S = 40.0
APART_S = 3.0
OLD_A, NEW_A = 20.0, 26.0
SOFT_TWO_HOPS_S = TIMERS.safe_within_s(TIMERS.safe_within_s(0.0))
"""Of a battery in software behind two links, from the last received reply (control.md, "When something dies")."""
LATE_S = 2.0
"""To look again after a failure, and to tell it."""
GUARD_S = 3.0
LONG_LEASE_S = 6.0
BOOKED_A = 20.0
STEP_A = 0.5
"""satellites.md section 4, scenario 3: no step above it."""
BLIP_S = 0.8
LONGEST_BLIP_S = 1.0
"""A cut that lasted longer is no blip of 0.8 s: this machine was busy."""
PACK_AH = 500.0


def _commandable(caller: Caller, name: str) -> bool:
    return bool(caller.status(name).commandable)


def _ready(caller: Caller, *names: str) -> None:
    for name in names:
        until(partial(_commandable, caller, name), timeout_s=MOST_S, because=f"{name} may be commanded")


def _asked(caller: Caller, name: str, current_a: float) -> None:
    """Ask until it is accepted: while a link breaks, a command may rightly be refused."""

    def accepted() -> bool:
        try:
            caller.set(name, current_a, TTL_S)
        except grpc.RpcError:
            return False
        return True

    until(accepted, timeout_s=MOST_S, because=f"{name} is asked for {current_a:g} A")


def _near(*wanted_a: float) -> Callable[[Sample], bool]:
    return lambda sample: all(abs(one - other) <= NEAR_A for one, other in zip(sample.currents_a, wanted_a, strict=True))


def _stub(name: str, node: Node, remote_name: str) -> str:
    return battery(name, "network", target=node.target, remote_name=remote_name)


def row(directory: Path, book: Book, *, first: str) -> None:
    """A row of main, relay and owner: both others die 3 s apart, more is asked for in between; never above the larger request."""
    name, half_a = f"row, {first} first", OLD_A / 2.0
    with ExitStack() as stack:
        own, far = (stack.enter_context(Pack(directory, pack, capacity_ah=PACK_AH)) for pack in ("own", "far"))
        owner = stack.enter_context(Node(directory, far.regulated("p") + _soft("q"), name="owner"))
        relay = stack.enter_context(Node(directory, _stub("mp", owner, "p") + _stub("mq", owner, "q"), name="relay"))
        topology = own.regulated("p") + _stub("sp", relay, "mp") + aggregator("packs", "p", "sp")
        topology += _soft("q") + _stub("sq", relay, "mq") + aggregator("soft", "q", "sq")
        main = stack.enter_context(Node(directory, topology, name="main"))
        caller = stack.enter_context(Caller(main.target, "soak"))
        _ready(caller, "p", "sp", "packs", "q", "sq", "soft")
        sampler = stack.enter_context(Sampler([own, far]))
        for battery_name in ("packs", "soft"):
            caller.set(battery_name, OLD_A, TTL_S)
        sampler.first(0.0, _near(half_a, half_a), MOST_S, "both run")
        nodes = [relay, owner] if first == "relay" else [owner, relay]
        begun_s = time.monotonic()
        nodes[0].kill()
        noticed_s = until(partial(_doubted, caller), because="it is noticed")
        book.note(f"{name}: noticed", noticed_s - begun_s, most=TIMERS.stale_s + LOOK_S)
        for battery_name in ("packs", "soft"):
            _asked(caller, battery_name, NEW_A)
        time.sleep(max(0.0, begun_s + APART_S - time.monotonic()))
        nodes[1].kill()
        safe_s = sampler.first(begun_s, lambda each: each.currents_a[1] == 0.0, MOST_S, "the far pack is safe")
        book.note(f"{name}: far pack safe", safe_s - begun_s, most=APART_S + GUARD_S + LOOK_S)
        rest_a = NEW_A - half_a
        sampler.first(begun_s, _near(rest_a, 0.0), MOST_S, "a pack that holds counts on")
        until(
            lambda: caller.status("q").applied_current_a > 0.9 * NEW_A, timeout_s=MOST_S, because="nothing else can run any more"
        )
        given_s = time.monotonic() - begun_s
        least_s = (SOFT_TWO_HOPS_S if first == "relay" else TIMERS.safe_within_s(0.0)) - TIMERS.heartbeat_s - LOOK_S
        book.note(f"{name}: share given to the other", given_s, least=least_s, most=APART_S + SOFT_TWO_HOPS_S + LATE_S)
        again_s = time.monotonic()
        relay.start()
        owner.start()
        whole_s = sampler.first(again_s, _near(NEW_A / 2.0, NEW_A / 2.0), MOST_S, "both share again")
        book.note(f"{name}: recovery from the start", whole_s - again_s)
    sampler.check()
    book.note(f"{name}: overshoot", excess_as(sampler.samples, max(OLD_A, NEW_A)), most=0.001, unit="A s")


def _soft(name: str) -> str:
    return pseudo(name, charge_ah=PACK_AH / 2.0, capacity_ah=PACK_AH)


def _doubted(caller: Caller) -> float:
    """Return when the node above has seen that something is wrong below; 0 while it has not."""
    status = caller.status("sq")
    return time.monotonic() if status.link != pb.LINK_READY or "may" in status.reason or not status.commandable else 0.0


def adopted(directory: Path, book: Book) -> None:
    """Scenario 3's variant: a lease of 6 s, `kill -9` of who runs a booking, anew after 1 s: it runs on without a step."""
    name = "controller back after 1 s, lease 6 s"
    fleet = table("[fleet]", {"lease_s": LONG_LEASE_S})
    with ExitStack() as stack:
        packs = [stack.enter_context(Pack(directory, f"pack-{letter}", capacity_ah=PACK_AH)) for letter in "ab"]
        made = zip("ab", packs, strict=True)
        owners = [stack.enter_context(Node(directory, fleet + pack.regulated("p"), name=letter)) for letter, pack in made]
        stubs = "".join(_stub(f"s{owner.name}", owner, "p") for owner in owners)
        topology = fleet + stubs + aggregator("all", "sa", "sb")
        main = stack.enter_context(Node(directory, topology, name="main", trust_clock=True))
        with Caller(main.target, "soak") as caller:
            _ready(caller, "sa", "sb", "all")
        main.ask("schedule", "add", "all", f"{BOOKED_A:g}", "--start", "+1s", "--end", "+10m")
        sampler = stack.enter_context(Sampler(packs))
        share_a = BOOKED_A / len(packs)
        sampler.first(0.0, _near(share_a, share_a), MOST_S, "the booking runs")
        killed_s = time.monotonic()
        main.kill()
        time.sleep(max(0.0, killed_s + 1.0 - time.monotonic()))
        began_s = time.monotonic()
        main.start()
        with Caller(main.target, "soak") as caller:
            _ready(caller, "sa", "sb", "all")
            book.note(f"{name}: ready from the start", time.monotonic() - began_s, most=LONG_LEASE_S - 1.0)
            time.sleep(max(0.0, killed_s + 2.0 * LONG_LEASE_S - time.monotonic()))  # any lease of before is over
            assert caller.status("all").setpoint_source == pb.SETPOINT_SOURCE_SCHEDULE
            sampler.__exit__()
        sampler.check()
        after = [each for each in sampler.samples if each.began_s >= killed_s]
        step_a = max(abs(current_a - share_a) for each in after for current_a in each.currents_a)
        book.note(f"{name}: largest step of a pack", step_a, most=STEP_A, unit="A")
        ended = [event for owner in owners for event in owner.events("setpoint_ended")]
        assert not ended, f"a set point ended: {ended[0]}"


def blip(directory: Path, book: Book) -> None:
    """Scenario 4: a cable that drops everything for 0.8 s: no end of a lease, no new epoch, what flows stays."""
    with ExitStack() as stack:
        here, there = stack.enter_context(cable((HERE, THERE)))
        lan = Lan(directory, authority(directory / "ca"), here, there)
        pack = stack.enter_context(Pack(directory, "pack", capacity_ah=PACK_AH))
        topology = pack.regulated("b") + pseudo("quick")
        hut = stack.enter_context(lan.node("hut", there, f"{THERE}:{PORT}", topology))
        far = battery("far", "network", target=f"{THERE}:{PORT}", remote_name="b")
        home = stack.enter_context(lan.node("home", here, f"{HERE}:{PORT}", far))
        caller = stack.enter_context(Caller(home.target, "soak"))
        _ready(caller, "far")
        _asked(caller, "far", OLD_A)
        sampler = stack.enter_context(Sampler([pack]))
        sampler.first(0.0, _near(OLD_A), MOST_S, "it runs")
        before = _happened(hut, home)
        began_s = time.monotonic()
        cut = there.blip(BLIP_S)
        samples: list[tuple[float, float]] = []
        while (now_s := time.monotonic()) < began_s + 2.0 * TIMERS.lease_s:
            samples.append((now_s, _age_s(caller)))
            time.sleep(0.02)
        longest_s, dropped = cut.over()
        sampler.__exit__()
        sampler.check()
        assert dropped > 0, "nothing was dropped"
        assert longest_s <= LONGEST_BLIP_S, f"this machine is too busy: the cut lasted {longest_s:.2f} s"
        assert _happened(hut, home) == before, "a lease ended, or a session was begun anew"
        assert caller.status("far").link == pb.LINK_READY
        oldest_s = max(age_s for _, age_s in samples if math.isfinite(age_s))
        book.note("blip of 0.8 s: largest age of a GOOD status", oldest_s)
        not_good = [later - at for (at, age_s), (later, _) in itertools.pairwise(samples) if math.isinf(age_s)]
        book.note("blip of 0.8 s: not GOOD", sum(not_good), most=1.0 + LOOK_S)
        step_a = max(abs(each.currents_a[0] - OLD_A) for each in sampler.samples if each.began_s >= began_s)
        book.note("blip of 0.8 s: largest step of the pack", step_a, most=STEP_A, unit="A")


def _age_s(caller: Caller) -> float:
    """Return the age of what is known of the far battery; infinite while its quality is not GOOD."""
    status = caller.status("far")
    return time.time() - status.sampled_to if status.quality == pb.QUALITY_GOOD else math.inf


def _happened(hut: Node, home: Node) -> list[int]:
    events = hut.events("session_ready"), hut.events("setpoint_ended"), home.events("remote_lost"), home.events("peer_restarted")
    return list(map(len, events))


Scenario = Callable[[Path, Book], None]
SCENARIOS: dict[str, Scenario] = {
    "row, relay first": partial(row, first="relay"),
    "row, owner first": partial(row, first="owner"),
    "controller back": adopted,
    "blip": blip,
    "late start": late,
}
