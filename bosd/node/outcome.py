"""What became of the devices that a plan told something."""

from collections.abc import Collection, Mapping, Sequence

from bosd.bal.battery import Battery
from bosd.errors import BosError, DriverError, TransientError, UnavailableError
from bosd.node.moves import Move


class Outcome:
    """What became of each device of a plan: `new`, `old` or `unknown`."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.errors: dict[str, BosError] = {}

    def doubt(self, lowered: Sequence[Move]) -> None:
        """Count as failed what followed as far as it can say, while something below it may still run more than it was told."""
        for move in lowered:
            leaf = move.leaf
            if self.states.get(leaf.name) == "new" and abs(leaf.counts_at_a) > abs(move.new_a):
                self.states[leaf.name] = "unknown"
                self.errors[leaf.name] = UnavailableError(f"may still run {leaf.counts_at_a:g} A", battery=leaf.name)

    def forgive(self, lost: Collection[Battery]) -> None:
        """Do without the confirmation of devices that cannot be commanded anyway."""
        for name in [battery.name for battery in lost if battery.name in self.errors]:
            del self.errors[name]

    def take_back(self, states: Mapping[str, str]) -> None:
        """Note what became of devices that were told their old current again; who refuses that goes on with the new one."""
        self.states.update({name: "old" if state == "new" else "unknown" for name, state in states.items()})

    def raise_any(self) -> None:
        """Raise the failure of the members that did not follow, with the state of each.

        What all of them refuse with is what the whole is refused with; different failures are a DriverError. Where a member is
        `unknown` nothing is refused: who asked has to count what may run, so that it is an UnavailableError. A member is named as
        it is here: another node's refusal of a battery below it is none of the battery that was asked for.
        """
        if not self.errors:
            return
        failed = sorted(self.errors.items())  # whoever answered first: the same failure has the same words
        told = "; ".join(_naming(name, error) for name, error in failed)
        member = failed[0][0]
        first, *others = [error for _, error in failed]
        kind = type(first) if all(type(error) is type(first) for error in others) else DriverError
        if "unknown" in self.states.values() and not issubclass(kind, TransientError):
            kind = UnavailableError
        lead = "not every member followed: " if len(self.states) > 1 else ""
        known = {} if others else dict(first.metadata)
        if known.get("battery", below(member)) != below(member):
            known["battery"] = member
        raise kind(lead + told, **{**known, **self.states})


def below(stub: str) -> str:
    """Return what stands for whatever a stub's battery rests on at its owner, where a refusal is of that alone."""
    return f"below {stub}"


def _naming(name: str, error: BosError) -> str:
    """Return what failed, led by the member's name where it does not begin with it, as it does after each node of a row."""
    leads = error.message.startswith((f"{name}: ", f"{name} ")) and error.metadata.get("battery") == name
    return error.message if leads else f"{name}: {error.message}"
