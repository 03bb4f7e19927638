"""What happens in the demo: set points that change, a cable that is cut, a node that hangs, each told in one sentence."""

import asyncio
import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bosd.clock import SystemClock
from bosd.demo.failure import DemoFailure
from bosd.demo.reading import NodeReader
from bosd.demo.scenario import GARAGE, HOUSE
from bosd.errors import BosError

TTL_S = 30.0
RENEWAL_S = 10.0
"""A set point is asked again long before it ends: two renewals may fail."""
RECOVERY_S = 8.0
"""Within this everything is GOOD again after a disturbance: back-off 2 s, one sample, the way up."""
CONTROL_DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One turn of the story at `at_s`: set points by node and battery in A, or a disturbance of `lasts_s`, told `after`."""

    at_s: float
    text: str
    currents_a: Mapping[tuple[str, str], float] = field(default_factory=dict)
    unplug: str = ""
    freeze: str = ""
    lasts_s: float = 0.0
    after: str = ""

    def fits(self, at_s: float, seconds: float | None) -> bool:
        """Tell whether, begun at `at_s`, nothing of it is left to be seen when a demo of `seconds` ends."""
        needs_s = self.lasts_s + RECOVERY_S if self.lasts_s else 0.0
        return seconds is None or at_s + needs_s <= seconds


ROUND_S = 90.0
STEPS = (
    Step(
        at_s=0.0,
        text="flat-1 draws 12 A: home shares them over b3 and what the garage lent, in proportion to charge",
        currents_a={(HOUSE, "flat-1"): 12.0, (GARAGE, "workshop"): 0.0},
    ),
    Step(
        at_s=8.0,
        text="the workshop charges with 10 A: in the garage's packs that meets what the house draws",
        currents_a={(GARAGE, "workshop"): -10.0},
    ),
    Step(
        at_s=18.0,
        text="b1's cable is cut for 14 s: STALE after 3 s, UNAVAILABLE after 9 s, and the others go on",
        unplug="b1",
        lasts_s=14.0,
        after="b1's cable is back, and so is b1 with its share",
    ),
    Step(
        at_s=44.0,
        text="flat-1 charges with 20 A, the workshop rests",
        currents_a={(HOUSE, "flat-1"): -20.0, (GARAGE, "workshop"): 0.0},
    ),
    Step(
        at_s=56.0,
        text="the garage's daemon hangs for 14 s: the house sees its age, goes on with b3, and counts what is lent",
        freeze=GARAGE,
        lasts_s=14.0,
        after="the garage answers again, and the house follows it again",
    ),
)


class Story:
    """Plays the steps round after round, keeps set points alive and says what happens; `told` is the newest sentence.

    `refusal` is what a node last said no to, empty once it said yes. `send` sends a signal to a node's process.
    """

    def __init__(
        self,
        nodes: Mapping[str, NodeReader],
        controls: Mapping[str, Path],
        send: Callable[[str, signal.Signals], None],
        say: Callable[[float, str], None],
    ) -> None:
        self.told = ""
        self.refusal = ""
        self._nodes = nodes
        self._controls = controls
        self._signal = send
        self._say = say
        self._clock = SystemClock()
        self._started_s = self._clock.now_s()
        self._wanted_a: dict[tuple[str, str], float] = {}

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return self._clock.now_s() - self._started_s

    async def play(self, seconds: float | None) -> None:
        """Play until cancelled; with `seconds`, nothing is begun that cannot be over by then."""
        self._started_s = self._clock.now_s()
        round_starts_s = 0.0
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew(), name="renew set points")
            while True:
                for step in STEPS:
                    at_s = round_starts_s + step.at_s
                    if step.fits(at_s, seconds):
                        await self._wait_until(at_s)
                        await self._take(step, group)
                round_starts_s += ROUND_S
                await self._wait_until(round_starts_s)

    async def _wait_until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self.elapsed_s))

    def _tell(self, text: str) -> None:
        self.told = text
        self._say(self.elapsed_s, text)

    async def _take(self, step: Step, group: asyncio.TaskGroup) -> None:
        self._tell(step.text)
        self._wanted_a.update(step.currents_a)
        for key in step.currents_a:
            await self._ask(key)
        if step.lasts_s:
            group.create_task(self._disturb(step), name=step.text)

    async def _disturb(self, step: Step) -> None:
        if step.unplug:
            await _tell_simulator(self._controls[step.unplug], {"op": "inject", "fault": "unplug", "seconds": step.lasts_s})
        if step.freeze:
            self._signal(step.freeze, signal.SIGSTOP)
        try:
            await asyncio.sleep(step.lasts_s)
        finally:
            if step.freeze:
                self._signal(step.freeze, signal.SIGCONT)
        self._tell(step.after)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_S)
            for key in tuple(self._wanted_a):
                await self._ask(key)

    async def _ask(self, key: tuple[str, str]) -> None:
        node, battery = key
        try:
            await self._nodes[node].set_current(battery, self._wanted_a[key], TTL_S)
        except BosError as error:
            self.refusal = f"{node}/{battery}: {error.message}"
        else:
            if self.refusal.startswith(f"{node}/{battery}: "):
                self.refusal = ""


async def _tell_simulator(control: Path, request: Mapping[str, object]) -> None:
    """Send one request to a pack's control socket and wait for its answer. Raises DemoFailure."""
    try:
        async with asyncio.timeout(CONTROL_DEADLINE_S):
            reader, writer = await asyncio.open_unix_connection(str(control))
            writer.write(json.dumps(request).encode() + b"\n")
            answer = await reader.readline()
            writer.close()
    except (OSError, TimeoutError) as error:
        raise DemoFailure(f"the simulator at {control} does not answer: {error}") from error
    if b'"ok": true' not in answer:
        raise DemoFailure(f"the simulator at {control} refuses: {answer.decode(errors='replace').strip()}")
