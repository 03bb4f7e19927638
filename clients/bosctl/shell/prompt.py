"""The prompt: lines with history and completion; a failure is told and the next line comes."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.shell.interpreter import At, Interpreter
from clients.bosctl.shell.node import ShellNode
from clients.bosctl.shell.parse import next_words, takes_name
from clients.bosctl.shell.printing import Printer

HISTORY_LINES = 1000
LEAVE = ("exit", "quit")


def history_file() -> Path:
    """Return where the history is kept."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "bosd/shell_history"


class Completer:
    """Completes commands, aliases and names of batteries, in readline's way."""

    def __init__(self, node: ShellNode, aliases: Callable[[], tuple[str, ...]]) -> None:
        self._node = node
        self._aliases = aliases
        self._found: list[str] = []

    def complete(self, text: str, state: int) -> str | None:
        """Return completion number `state` of the word at the cursor."""
        if state == 0:
            import readline  # noqa: PLC0415 (the prompt only)

            before = readline.get_line_buffer()[: readline.get_begidx()].split()
            self._found = self.candidates(before, text)
        return self._found[state] if state < len(self._found) else None

    def candidates(self, before: list[str], text: str) -> list[str]:
        """Return what may stand after the words `before` and begins with `text`."""
        if before == ["load"]:
            return _files(text)
        words = list(next_words(before))
        if not before:
            words += [*self._aliases(), *LEAVE]
        lead, comma, last = text.rpartition(",")
        if takes_name(before):
            with contextlib.suppress(Failure):
                words += [f"{lead}{comma}{status.name}" for status in self._node.statuses()]
        del last
        return [f"{word} " if not comma else word for word in dict.fromkeys(words) if word.startswith(text)]


def _files(text: str) -> list[str]:
    directory, slash, start = text.rpartition("/")
    with contextlib.suppress(OSError):
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in Path(directory + slash or ".").iterdir())
        return [f"{directory}{slash}{name}" for name in names if name.startswith(start)]
    return []


def talk(interpreter: Interpreter, node: ShellNode, printer: Printer, tell: Callable[[Failure], None]) -> None:
    """Read and run lines until the input ends; a failure is told, and the next line comes."""
    import readline  # noqa: PLC0415 (the prompt only)

    readline.set_completer(Completer(node, lambda: interpreter.aliases).complete)
    readline.set_completer_delims(" \t")
    readline.parse_and_bind("tab: complete")
    kept = history_file()
    with contextlib.suppress(OSError):
        readline.read_history_file(kept)
    readline.set_history_length(HISTORY_LINES)
    printer.note("help shows the commands, Ctrl-D ends")
    try:
        _lines(interpreter, tell)
    finally:
        with contextlib.suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(kept)


def _lines(interpreter: Interpreter, tell: Callable[[Failure], None]) -> None:
    number = 0
    while True:
        number += 1
        try:
            line = input("bosd> ")
            if line.strip() in LEAVE:
                return
            interpreter.run_line(line, At("prompt", number))
        except EOFError:
            print(file=sys.stderr)
            return
        except KeyboardInterrupt:
            print(file=sys.stderr)
        except Failure as failure:
            tell(failure)
            if failure.status is ExitStatus.INTERRUPTED:
                return
