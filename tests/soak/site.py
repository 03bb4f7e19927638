"""Three owners with a simulated pack and a battery in software each, and a node that commands sums of both: all at full timers.

The packs are processes of their own on pseudo-terminals: what flows in them is asked of them, whatever died beside them.
"""

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from tests.support.processes import Caller, Node, Pack, aggregator, battery, pseudo, until

ASKED_A = 30.0
SHARE_A = ASKED_A / 3.0
NEAR_A = 0.5
"""Shares part a little as packs of equal size drain unequally."""
SAMPLE_S = 0.01
WIDEST_S = 0.5
"""Between two samples; an overshoot is looked for on the scale of a beat."""
READY_S = 40.0
TTL_S = 120.0
"""Longer than a scenario."""
LETTERS = "abc"


@dataclass(frozen=True, slots=True)
class Sample:
    """What flowed in each pack, asked of one after the other from `began_s` to `ended_s`, by the monotonic clock."""

    began_s: float
    ended_s: float
    currents_a: tuple[float, ...]


def excess_as(samples: list[Sample], bound_a: float) -> float:
    """Return the ampere-seconds above `bound_a`: for every pack the smaller of two neighbouring samples counts.

    So a share that moves from one pack to another between two samples is no excess; an excess shorter than them is not seen.
    """
    total_as = 0.0
    for one, other in itertools.pairwise(samples):
        flows_a = sum(min(pair) for pair in zip(one.currents_a, other.currents_a, strict=True))
        total_as += max(0.0, flows_a - bound_a) * (other.began_s - one.began_s)
    return total_as


@dataclass(slots=True)
class Sampler:
    """Asks all packs what flows, about a hundred times a second, while a `with` block runs."""

    packs: list[Pack]
    samples: list[Sample] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="sampler")
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ended.wait(SAMPLE_S):
                began_s = time.monotonic()
                currents_a = tuple(pack.load_a for pack in self.packs)
                self.samples.append(Sample(began_s, time.monotonic(), currents_a))
        except (OSError, AssertionError, ValueError) as error:
            self.errors.append(error)

    def check(self) -> None:
        """Raise AssertionError where the packs could not be asked all the time: nothing measured on them would mean anything."""
        assert not self.errors, f"the packs cannot be asked: {self.errors[0]}"
        widest_s = max((other.began_s - one.began_s for one, other in itertools.pairwise(self.samples)), default=math.inf)
        assert widest_s <= WIDEST_S, f"the packs were not asked for {widest_s:.2f} s"

    def first(self, after_s: float, what: Callable[[Sample], bool], within_s: float, because: str) -> float:
        """Wait for the first sample after an instant that is so; return the instant it was complete."""

        def look() -> Sample | None:
            if self.errors:
                raise AssertionError(f"the packs cannot be asked: {self.errors[0]}")
            return next((each for each in tuple(self.samples) if each.began_s >= after_s and what(each)), None)

        found = until(look, timeout_s=within_s, because=because)
        assert found is not None
        return found.ended_s


@dataclass(slots=True)
class Site:
    """All of it, running."""

    owners: list[Node]
    main: Node
    packs: list[Pack]

    @contextmanager
    def at_main(self) -> Iterator[Caller]:
        """Yield a connection to the node that commands, which is up."""
        with Caller(self.main.target, "soak") as caller:
            yield caller

    def commandable(self, caller: Caller) -> None:
        """Wait until every stub takes set points."""
        for name in [f"{kind}{letter}" for kind in "pq" for letter in LETTERS]:
            until(partial(_commandable, caller, name), timeout_s=READY_S, because=f"{name} may be commanded")

    def ask(self, caller: Caller) -> None:
        """Ask both sums for their current and see that the packs carry their shares."""
        self.commandable(caller)
        for name in ("packs", "soft"):
            caller.set(name, ASKED_A, TTL_S)
        until(self.shared, because="the packs carry their shares")

    def shared(self) -> bool:
        """Tell whether every pack carries its share."""
        return shared(Sample(0.0, 0.0, tuple(pack.load_a for pack in self.packs)))


def _commandable(caller: Caller, name: str) -> bool:
    return bool(caller.status(name).commandable)


def shared(sample: Sample) -> bool:
    """Tell whether every pack carries its share."""
    return all(abs(current_a - SHARE_A) <= NEAR_A for current_a in sample.currents_a)


@contextmanager
def site(directory: Path) -> Iterator[Site]:
    """Start three packs, their owners, and who commands them."""
    with ExitStack() as stack:
        packs = [stack.enter_context(Pack(directory, f"pack-{letter}", capacity_ah=500)) for letter in LETTERS]
        owners, stubs = [], ""
        for letter, pack in zip(LETTERS, packs, strict=True):
            soft = pseudo("q", charge_ah=250.0, capacity_ah=500.0)
            owners.append(stack.enter_context(Node(directory, pack.regulated("p") + soft, name=letter)))
            for name in "pq":
                stubs += battery(f"{name}{letter}", "network", target=owners[-1].target, remote_name=name)
        sums = "".join(aggregator(name, *(f"{kind}{each}" for each in LETTERS)) for name, kind in (("packs", "p"), ("soft", "q")))
        main = stack.enter_context(Node(directory, stubs + sums, name="main"))
        made = Site(owners, main, packs)
        with made.at_main() as caller:
            made.ask(caller)
        yield made
