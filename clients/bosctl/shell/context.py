"""What commands act on, and where a node can be reached by others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.shell.holds import Holds
from clients.bosctl.shell.node import ShellNode
from clients.bosctl.shell.printing import Printer

Values = Mapping[str, Any]


class Listeners(Protocol):
    """Where a node can be reached by other nodes."""

    def start(self, port: int) -> str:
        """Listen on a port of loopback; return the address. Raises Failure."""
        ...

    def stop(self, port: int) -> str:
        """Listen there no more; return the address. Raises Failure."""
        ...


@dataclass(frozen=True, slots=True)
class Shell:
    """What commands act on."""

    node: ShellNode
    printer: Printer
    holds: Holds
    listeners: Listeners


class TargetListeners:
    """The listeners of a daemon of its own: its configuration says where it listens, not a shell."""

    def __init__(self, target: str) -> None:
        self._target = target

    def start(self, port: int) -> str:
        """Return where the node listens already. Raises Failure for another port."""
        self._check(port, "start")
        return self._target

    def stop(self, port: int) -> str:
        """Refuse: others may be served."""
        raise self._refusal(f"the node at {self._target} listens where its configuration says; stop the daemon itself", port)

    def _check(self, port: int, verb: str) -> None:
        if self._target.rpartition(":")[2] != str(port):
            message = f"the node at {self._target} listens where its configuration says; server {verb} {port} needs --local"
            raise self._refusal(message, port)

    @staticmethod
    def _refusal(message: str, port: int) -> Failure:
        return Failure(ExitStatus.REFUSED, "UNSUPPORTED", message, {"port": str(port)})
