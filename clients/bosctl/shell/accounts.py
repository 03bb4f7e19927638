"""The `ledger` command."""

from typing import TYPE_CHECKING, Any

from clients.bosctl.errors import ExitStatus, Failure

if TYPE_CHECKING:
    from clients.bosctl.shell.actions import Shell


def ledger(shell: "Shell", values: "Any") -> None:  # noqa: ANN401 (see actions.Values)
    """Print the accounts."""
    del shell, values
    raise Failure(ExitStatus.REFUSED, "UNSUPPORTED", "this node keeps no ledger")
