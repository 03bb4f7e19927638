"""One session with each node, however many ways lead there.

A node may be named in two ways (a name and an address, two of its listeners). Each link finds out by the boot id that answers.
The sessions are not merged: a link demands of whoever answers what the configuration says of its own target (a serial, a
certificate), and a boot id is only what the other end says, so one link's stubs are never commanded by way of another's.
"""


class OneSession:
    """Which target's link has the session with each run of another node; the first one keeps it until its link is lost."""

    def __init__(self) -> None:
        self._targets: dict[str, str] = {}

    def take(self, boot_id: str, target: str) -> str:
        """Take the session for a target; return which other one has it, empty when none had."""
        other = self.holder(boot_id)
        if other not in ("", target):
            return other
        self.leave(target)
        self._targets[boot_id] = target
        return ""

    def holder(self, boot_id: str) -> str:
        """Return the target whose link has the session with that run of a node; empty where none has."""
        return self._targets.get(boot_id, "")

    def leave(self, target: str) -> None:
        """Give up what a target's link has."""
        self._targets = {boot_id: each for boot_id, each in self._targets.items() if each != target}

    def elsewhere(self, target: str) -> list[str]:
        """Return the boot ids of the nodes that other targets' links have sessions with."""
        return [boot_id for boot_id, each in self._targets.items() if each != target]
