"""Claims that are taken by force: who lost one is told until it knows, and does not fight for it (control.md, "Owners")."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery
from bosd.bal.setpoint import SetPoint
from bosd.errors import BosError
from bosd.node.ends import runs_anything
from bosd.node.links import NetworkLeaf

MOST_KEPT = 1024


class Taken:
    """By holder and battery, who took the claim; the newest `MOST_KEPT` of them."""

    def __init__(self) -> None:
        self._by: OrderedDict[tuple[str, str], str] = OrderedDict()
        self.lease_over: Callable[[str, SetPoint], None] = lambda *_: None
        """Hears of each set point that ends, by the name of its battery, since the node that asked for it is not heard."""
        self.alone: Callable[[str], object] = lambda _battery: None
        """Puts the alone limits of a battery in force, and of what is connected with it, before what is in force next is told."""

    def over(self, battery: str, setpoint: SetPoint) -> None:
        """Note that a set point has ended since the node that asked for it is not heard."""
        self.alone(battery)
        self.lease_over(battery, setpoint)

    def note(self, battery: str, holder: str, by: str) -> None:
        """Note that `by` took the claim of `holder`, who has nothing of `by` any more."""
        self._by.pop((by, battery), None)
        self._by[holder, battery] = by
        while len(self._by) > MOST_KEPT:
            self._by.popitem(last=False)

    def of(self, holder: str) -> Mapping[str, str]:
        """Return by battery who took what `holder` held, as far as `holder` does not know yet."""
        return {battery: by for (loser, battery), by in self._by.items() if loser == holder}

    def told(self, holder: str, battery: str = "") -> None:
        """Note that `holder` knows, of one battery or of all."""
        for key in [key for key in self._by if key[0] == holder and battery in ("", key[1])]:
            del self._by[key]


@contextmanager
def whatever_follows(battery: str, loser: str) -> Iterator[None]:
    """Let a failure say that the claim of `loser` was ended all the same; nothing of that with nobody."""
    try:
        yield
    except BosError as error:
        if loser:
            error.also(f"the claim of {loser} on {battery} has ended all the same", taken_from=loser)
        raise


def ask_anew(battery: Battery, *, asked: bool = False) -> None:
    """Let stubs below whose claim was taken be asked again: something new is `asked` of `battery`, or nothing any more."""
    for leaf in members_of(battery):
        if isinstance(leaf, NetworkLeaf):
            leaf.ask_anew(by_itself=asked and leaf is battery)


def ask_anew_if_idle(top: Battery) -> bool:
    """Return whether nothing is asked of a free battery and nothing runs; its stubs may be asked again then.

    Whoever asks for it next, a node that commands it through this one too, hears from the owner whether it is free.
    """
    idle = top.setpoint is None and top.booked is None and top.applied_a == 0.0 and not runs_anything(top)
    if idle:
        ask_anew(top)
    return idle
