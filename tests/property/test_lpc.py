"""The limitation under any order of events, silence and restarts: what always holds (eebus.md 2.3 to 2.5, the issue's item 6).

An oracle that keeps the bare facts (who was heard when, what was received when) says what may be in force.
"""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from bosd.limits.lpc.judging import NANOSECONDS, WrittenLimit
from bosd.limits.lpc.lpc import Lpc
from tests.support.lpc_rig import Book, HandClock, Ram, make

TIMEOUT_S, DURATION_S, WINDOW_S, FAILSAFE_W = 120.0, 7200.0, 120.0, 4200.0
PEERS = ("a" * 40, "b" * 40)

Event = tuple[str, float, float, str]
EVENTS = st.tuples(
    st.sampled_from(["heartbeat", "active", "inactive", "timed", "wait", "wait", "restart", "failsafe"]),
    st.sampled_from([0.0, 1.0, 500.0, 3000.0, 9000.0, 40000.0, -5.0, float("nan")]),
    st.sampled_from([0.5, 1.0, 30.0, 59.0, 119.0, 120.0, 121.0, 3600.0, 7200.0, 90000.0]),
    st.sampled_from(PEERS),
)


@dataclass
class World:
    """One limitation, its clock, and the facts."""

    clock: HandClock = field(default_factory=HandClock)
    ram: Ram = field(default_factory=Ram)
    failsafe_w: float = FAILSAFE_W

    async def begin(self) -> None:
        """Start, or start again."""
        self.lpc: Lpc
        self.book: Book
        self.lpc, self.book, _ = make(clock=self.clock, ram=self.ram)
        await self.lpc.start()
        self.heard_s = self.started_s = self.clock.s
        self.limit: WrittenLimit | None = None
        self.said = False

    async def play(self, event: Event) -> None:
        """Do one thing, then hold the facts against what is in force."""
        kind, value_w, seconds, ski = event
        published = len(self.lpc.history.newest())
        before = self.lpc.view().state
        match kind:
            case "wait":
                self.clock.s += seconds
                self.lpc.attend()
            case "restart":
                assert await self.lpc.history.write()
                await self.begin()
            case "heartbeat":
                if self.lpc.admits(ski, "DataUpdateHeartbeat", data=True):
                    self.heard_s = self.clock.s
                    self.lpc.heartbeat()
            case "failsafe":
                self.lpc.failsafe_power(ski, value_w)
                self.failsafe_w = value_w if value_w >= 0.0 else self.failsafe_w
            case _:
                self._write(kind, value_w, seconds, ski)
        self.check(before, published, kind)

    def _write(self, kind: str, value_w: float, seconds: float, ski: str) -> None:
        duration_ns = round(seconds * NANOSECONDS) if kind == "timed" else 0
        limit = WrittenLimit(active=kind != "inactive", value_w=value_w, duration_ns=duration_ns)
        if self.lpc.admits(ski, "DataUpdateLimit", data=True):
            refused = self.lpc.counters["limits_refused"]
            self.lpc.limit(ski, limit)
            if self.lpc.counters["limits_refused"] == refused:
                self.limit, self.said = limit, True

    def check(self, before: str | None, published: int, kind: str) -> None:
        """What always holds."""
        view, now_s = self.lpc.view(), self.clock.s
        in_force_w = self.book.tightest_w
        assert view.limit_w == in_force_w
        assert view.failsafe_limit_w == self.failsafe_w
        silent = now_s - self.heard_s > TIMEOUT_S
        if view.state in ("Init", "Failsafe"):
            assert in_force_w is not None
            assert in_force_w <= self.failsafe_w
        if view.state == "Limited":
            assert self.limit is not None
            assert self.limit.active
            assert in_force_w == self.limit.value_w
        if view.state in ("Limited", "UnlimitedControlled"):
            assert not silent
            assert self.said
        if view.state == "UnlimitedAutonomous" and before != "UnlimitedAutonomous":
            assert now_s - self.started_s > TIMEOUT_S
        if before == "Failsafe" and kind == "heartbeat" and not self.said:
            assert view.state == "Failsafe"
        if kind == "wait" and view.state == before and self.book.restored is None:
            assert len(self.lpc.history.newest()) == published or self.lpc.history.newest()[-1].reason.startswith("the restored")
        last = self.lpc.history.newest()[-1]
        assert (last.limit_w is None) is (in_force_w is None) or last.state in ("Init", "Failsafe")


@given(events=st.lists(EVENTS, max_size=60))
@settings(max_examples=120)
def test_what_is_in_force_is_what_the_facts_allow(events: list[Event]) -> None:
    """After each event, and over restarts."""

    async def story() -> None:
        world = World()
        await world.begin()
        for event in events:
            await world.play(event)

    asyncio.run(story())
