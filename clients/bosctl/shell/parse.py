"""From a line to a command: words are matched against the table, and the first that does not fit is named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clients.bosctl.shell.grammar import COMMANDS, Command
from clients.bosctl.shell.words import WrongWord

COMMENT = "#"
LONGEST_LINE = 10_000


@dataclass(frozen=True, slots=True)
class Parsed:
    """A command and what stands at its places, by their names; what was left out is absent."""

    command: Command
    values: Mapping[str, Any]


def split_words(line: str) -> list[str]:
    """Return the words of a line without its comment. Raises WrongWord for a line that is none."""
    if len(line) > LONGEST_LINE:
        raise WrongWord(f"{line[:20]}...", f"a line of at most {LONGEST_LINE} characters")
    return line.partition(COMMENT)[0].split()


def parse(found: Sequence[str]) -> Parsed:
    """Return the command that these words are. Raises WrongWord with the first word that does not fit."""
    command, used = _select(found)
    return Parsed(command, _values(command, found[used:]))


def next_words(found: Sequence[str]) -> tuple[str, ...]:
    """Return the fixed words that may follow these; none where a name or a number may."""
    fitting = _fitting(found)
    words: dict[str, None] = {}
    for command in fitting:
        if len(command.heads) > len(found):
            words.update(dict.fromkeys(command.heads[len(found)]))
    return tuple(words)


def takes_name(found: Sequence[str]) -> bool:
    """Return whether a battery's name may follow these words."""
    for command in _fitting(found):
        place = len(found) - len(command.heads)
        if place >= 0 and command.places:
            at = command.places[min(place, len(command.places) - 1)]
            if (place < len(command.places) or at.many) and at.name in _NAMED:
                return True
    return False


_NAMED = frozenset({"NAME", "SRC[,SRC]...", "SOURCE", "FROM_PARTITION", "POLICY"})


def _fitting(found: Sequence[str]) -> list[Command]:
    return [command for command in COMMANDS if all(word in head for word, head in zip(found, command.heads, strict=False))]


def _select(found: Sequence[str]) -> tuple[Command, int]:
    fitting: Sequence[Command] = COMMANDS
    depth = 0
    while True:
        complete = [command for command in fitting if len(command.heads) == depth]
        if complete:
            return complete[0], depth
        word = found[depth] if depth < len(found) else None
        following = [command for command in fitting if word in command.heads[depth]]
        if not following:
            raise WrongWord(word, _one_of(fitting, depth))
        fitting = following
        depth += 1


def _one_of(fitting: Sequence[Command], depth: int) -> str:
    words = dict.fromkeys(word for command in fitting for word in command.heads[depth])
    return f"{'a command: ' if depth == 0 else ''}{', '.join(words)}"


def _values(command: Command, rest: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for index, place in enumerate(command.places):
        words = rest[index:] if place.many else rest[index : index + 1]
        if not words:
            if place.needed:
                raise WrongWord(None, f"{place.name}, {place.kind.expected}")
            return values
        read = tuple(_read(place.name, place.kind.read, place.kind.expected, word) for word in words)
        values[place.name] = read if place.many else read[0]
        if place.many:
            return values
    if len(rest) > len(command.places):
        raise WrongWord(rest[len(command.places)], "the end of the line")
    return values


def _read(name: str, read: Any, expected: str, word: str) -> Any:  # noqa: ANN401 (each kind of word has its own type)
    try:
        return read(word)
    except WrongWord as wrong:
        if wrong.expected == expected and name != expected:
            raise WrongWord(wrong.word, f"{name}, {expected}") from None
        raise
