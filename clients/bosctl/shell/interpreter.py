"""The interpreter: lines from files or a prompt, aliases, and where in which file something went wrong."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.shell.actions import ACTIONS
from clients.bosctl.shell.context import Shell, Values
from clients.bosctl.shell.grammar import COMMANDS
from clients.bosctl.shell.parse import parse, split_words
from clients.bosctl.shell.words import WrongWord

DEEPEST_LOAD = 16
DEEPEST_ALIAS = 16
MAX_SCRIPT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class At:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Interpreter:
    """Runs lines against a shell. Every failure is a Failure that says where: file, line, and the word where it is one."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._aliases: dict[str, tuple[str, ...]] = {}
        self._loading: list[str] = []
        self._own: dict[str, Callable[[Values], None]] = {
            "alias": self._alias,
            "unalias": self._unalias,
            "load": self._load,
            "help": self._help,
        }

    @property
    def aliases(self) -> tuple[str, ...]:
        """Names that stand for other words."""
        return tuple(self._aliases)

    def run_file(self, file: str) -> None:
        """Run a file to its end or the first failure."""
        if len(self._loading) >= DEEPEST_LOAD:
            raise Failure(ExitStatus.REFUSED, "INVALID_ARGUMENT", f"files load each other {DEEPEST_LOAD} deep", {"load": file})
        lines = _read(file)
        self._loading.append(file)
        try:
            self.run_lines(lines, file)
        finally:
            self._loading.pop()

    def run_lines(self, lines: Iterable[str], file: str) -> None:
        """Run lines to the first failure; `file` is what they are called."""
        for number, line in enumerate(lines, start=1):
            self.run_line(line, At(file, number))

    def run_line(self, line: str, at: At) -> None:
        """Run one line. Raises Failure with its place."""
        words: list[str] = []
        try:
            words = split_words(line)
            if words:
                self._run(self._expanded(words))
        except WrongWord as wrong:
            raise _wrong_line(wrong, at, line) from None
        except Failure as failure:
            if "line" in failure.metadata:  # of a file that this line loaded
                raise
            raise _refused_line(failure, at, " ".join(words)) from None

    def _expanded(self, words: list[str]) -> list[str]:
        """Return the words with aliases at their front replaced, each at most once."""
        seen: set[str] = set()
        while words[0] in self._aliases and words[0] not in seen and len(seen) < DEEPEST_ALIAS:
            seen.add(words[0])
            words = [*self._aliases[words[0]], *words[1:]]
        return words

    def _run(self, words: Sequence[str]) -> None:
        parsed = parse(words)
        key = parsed.command.key
        if key in self._own:
            self._own[key](parsed.values)
        else:
            ACTIONS[key](self._shell, parsed.values)

    def _alias(self, values: Values) -> None:
        self._aliases[values["NAME"]] = values["CMD"]

    def _unalias(self, values: Values) -> None:
        name = values["NAME"]
        if name not in self._aliases:
            known = f"one of the aliases {', '.join(self._aliases)}" if self._aliases else "an alias; there are none"
            raise WrongWord(name, known)
        del self._aliases[name]

    def _load(self, values: Values) -> None:
        self.run_file(values["FILE"])

    def _help(self, values: Values) -> None:
        wanted = values.get("COMMAND", ())
        shown = [
            command
            for command in COMMANDS
            if all(word in head for word, head in zip(wanted, command.heads, strict=False)) and len(wanted) <= len(command.heads)
        ]
        if not shown:
            raise WrongWord(wanted[0], "a command; help shows them all")
        width = max(len(command.usage) for command in shown)
        text = "\n".join(f"{command.usage:<{width}}  {command.help}" for command in shown)
        self._shell.printer.show([{"usage": command.usage, "help": command.help} for command in shown], text)


def _read(file: str) -> list[str]:
    """Return the lines of a file. Raises Failure."""
    try:
        with Path(file).open("rb") as stream:
            data = stream.read(MAX_SCRIPT_BYTES + 1)
        text = data.decode()
    except OSError as error:
        message = f"cannot read {file}: {(error.strerror or str(error)).lower()}"
        raise Failure(ExitStatus.REFUSED, "INVALID_ARGUMENT", message, {"script": file}) from None
    except UnicodeDecodeError as error:
        message = f"{file} is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}"
        raise Failure(ExitStatus.REFUSED, "INVALID_ARGUMENT", message, {"script": file}) from None
    if len(data) > MAX_SCRIPT_BYTES:
        raise Failure(ExitStatus.REFUSED, "INVALID_ARGUMENT", f"{file} is larger than 1 MiB", {"script": file})
    return text.splitlines()


def _wrong_line(wrong: WrongWord, at: At, line: str) -> Failure:
    shown = "the line ends" if wrong.word is None else f'"{wrong.word}"'
    metadata = {"file": at.file, "line": str(at.line), "word": wrong.word or "", "expected": wrong.expected, "text": line.strip()}
    return Failure(ExitStatus.REFUSED, "INVALID_ARGUMENT", f"{at}: {shown}: expected {wrong.expected}", metadata)


def _refused_line(failure: Failure, at: At, text: str) -> Failure:
    metadata = {**failure.metadata, "file": at.file, "line": str(at.line), "text": text}
    return Failure(failure.status, failure.reason, f"{at}: {text}: {failure.reason}: {failure.message}", metadata)
