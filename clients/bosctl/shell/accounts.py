"""The `ledger` command: who gave charge to whom."""

from typing import TYPE_CHECKING

from clients.bosctl.commands.ledger import entry_document
from clients.bosctl.format_text import moment
from clients.bosctl.shell.context import Shell, Values

if TYPE_CHECKING:
    from bosd.v1 import ledger_pb2 as pb


def ledger(shell: Shell, values: Values) -> None:
    """Print the entries of a battery, a partition or a policy; of every policy where none is named."""
    names = [values["NAME"]] if "NAME" in values else _policies(shell)
    entries = [entry for name in names for entry in shell.node.ledger(name)]
    text = "\n".join(_line(entry) for entry in entries) or "nothing flowed"
    shell.printer.show([entry_document(entry) for entry in entries], text)


def _policies(shell: Shell) -> list[str]:
    return list(dict.fromkeys(entry.splitter for entry in shell.node.topology().entries if entry.splitter))


def _line(entry: "pb.LedgerEntry") -> str:
    energy = f", {entry.energy_wh:.2f} Wh" if entry.HasField("energy_wh") else ""
    still = "" if entry.number else ", still open"
    period = f"{moment(entry.start)} to {moment(entry.end)}"
    return f"{entry.account}: {entry.giver} to {entry.taker}: {entry.charge_ah:.4f} Ah{energy}, {period}{still}"
