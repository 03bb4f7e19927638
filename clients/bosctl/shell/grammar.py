"""The language as a table: every command, the words it takes and what it does."""

from dataclasses import dataclass

from clients.bosctl.shell import words
from clients.bosctl.shell.words import Kind


@dataclass(frozen=True, slots=True)
class Place:
    """One word's place in a command: `name` as help shows it; several words may stand at the last place of a command."""

    name: str
    kind: Kind
    needed: bool = True
    many: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """`key` names the command, `heads` are the first words that select it, each with its alternatives."""

    key: str
    heads: tuple[tuple[str, ...], ...]
    places: tuple[Place, ...]
    help: str

    @property
    def usage(self) -> str:
        """How the command is written."""
        shown = ["|".join(head) for head in self.heads]
        for place in self.places:
            name = f"{place.name}..." if place.many else place.name
            shown.append(name if place.needed else f"[{name}]")
        return " ".join(shown)


def _command(usage: str, *places: Place, does: str) -> Command:
    """Return a command; `usage` are its head words, alternatives separated by a bar."""
    heads = tuple(tuple(word.split("|")) for word in usage.split())
    return Command(" ".join(head[0] for head in heads), heads, places, does)


_NAME = Place("NAME", words.NAME)

COMMANDS: tuple[Command, ...] = (
    _command("list|ls", Place("-l", words.choice("-l"), needed=False), does="the batteries; -l with their state"),
    _command("stat", Place("NAME", words.NAME, many=True), does="the status of batteries"),
    _command("current", _NAME, Place("AMPS", words.AMPS), does="ask for a current; it holds until changed"),
    _command("ledger", Place("NAME", words.NAME, needed=False), does="the accounts of a splitter's partitions"),
    _command("refresh enable", _NAME, does="read its devices in the background, at their period"),
    _command("refresh disable", _NAME, does="read its devices only when asked"),
    _command("refresh once", _NAME, does="read its devices now"),
    _command("clock get", does="which clock, and its time"),
    _command("clock set DummyTime", Place("T", words.TIME, needed=False), does="time stands still, at T, between ticks"),
    _command("clock set SystemTime", does="time is the machine's"),
    _command("tick", Place("HOURS", words.HOURS), does="move a DummyTime on"),
    _command("time", does="the time"),
    _command("visualize", does="draw what rests on what"),
    _command("server start", Place("PORT", words.PORT, needed=False), does="let other nodes in, on loopback, port 4004"),
    _command("server stop", Place("PORT", words.PORT, needed=False), does="let no one in any more"),
    _command("make|mk null", _NAME, Place("VOLTAGE", words.VOLTS), does="a battery that is absent on purpose"),
    _command(
        "make|mk battery",
        _NAME,
        Place("KIND", words.choice("JBDBMS")),
        Place("IFACE", words.choice("UART", "BLE", "TCP")),
        Place("ADDRESS", words.ADDRESS),
        does="a pack behind a BMS; waits for its first sample",
    ),
    _command("make|mk pseudo", _NAME, Place("k=v[,k=v]...", words.PAIRS), does="a battery in software"),
    _command(
        "make|mk aggregator",
        _NAME,
        Place("SRC[,SRC]...", words.NAMES),
        Place("VOLTAGE", words.VOLTS),
        Place("TOLERANCE", words.VOLTS),
        does="several batteries as one",
    ),
    _command(
        "make|mk splitter policy",
        _NAME,
        Place("POLICY", words.choice("proportional", "tranche")),
        Place("SOURCE", words.NAME),
        Place("FIRST_PARTITION", words.NAME),
        does="a policy whose first partition holds all of its source",
    ),
    _command(
        "make|mk splitter battery",
        _NAME,
        Place("POLICY", words.NAME),
        Place("k=v[,k=v]...", words.PAIRS),
        Place("FROM_PARTITION", words.NAME),
        does="a partition split off another, at most with what that has",
    ),
    _command(
        "make|mk network",
        _NAME,
        Place("REMOTE_NAME", words.NAME),
        Place("TCP", words.choice("TCP")),
        Place("HOST", words.HOST),
        Place("PORT", words.PORT),
        does="a battery of another node; waits for its first sample",
    ),
    _command("modify pseudo", _NAME, Place("k=v[,k=v]...", words.PAIRS), does="change what a pseudo battery reports"),
    _command("remove|rm", _NAME, does="remove a battery, or a policy with its partitions"),
    _command("alias", _NAME, Place("CMD", words.WORD, many=True), does="let NAME stand for the words of CMD"),
    _command("unalias", _NAME, does="forget an alias"),
    _command("load", Place("FILE", words.FILE), does="run the lines of a file"),
    _command("echo", Place("WORD", words.WORD, needed=False, many=True), does="print words"),
    _command("sleep", Place("S", words.SECONDS), does="wait for S seconds"),
    _command("help", Place("COMMAND", words.WORD, needed=False, many=True), does="show the commands"),
)
