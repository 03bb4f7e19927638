"""Lines of the earlier interpreter's language: what each command takes, and what a wrong line is told (bal.md)."""

import pytest

from clients.bosctl.shell.actions import ACTIONS
from clients.bosctl.shell.grammar import COMMANDS
from clients.bosctl.shell.parse import next_words, parse, split_words, takes_name
from clients.bosctl.shell.words import WrongWord

RIGHT = {
    "list": ("list", {}),
    "ls -l": ("list", {"-l": "-l"}),
    "stat a b'": ("stat", {"NAME": ("a", "b'")}),
    "current a -2.5": ("current", {"NAME": "a", "AMPS": -2.5}),
    "ledger": ("ledger", {}),
    "ledger sp": ("ledger", {"NAME": "sp"}),
    "refresh enable a": ("refresh enable", {"NAME": "a"}),
    "refresh disable a": ("refresh disable", {"NAME": "a"}),
    "refresh once a": ("refresh once", {"NAME": "a"}),
    "clock get": ("clock get", {}),
    "clock set DummyTime": ("clock set DummyTime", {}),
    "clock set DummyTime 1.5e3": ("clock set DummyTime", {"T": 1500.0}),
    "clock set SystemTime": ("clock set SystemTime", {}),
    "tick 2": ("tick", {"HOURS": 2.0}),
    "time": ("time", {}),
    "visualize": ("visualize", {}),
    "server start": ("server start", {}),
    "server stop 4005": ("server stop", {"PORT": 4005}),
    "make null n 12": ("make null", {"NAME": "n", "VOLTAGE": 12.0}),
    "mk battery b JBDBMS UART /dev/ttyUSB0": (
        "make battery",
        {"NAME": "b", "KIND": "JBDBMS", "IFACE": "UART", "ADDRESS": "/dev/ttyUSB0"},
    ),
    "make pseudo p v=13,c=1,s=5,mc=10,mdc=2,mcc=3": (
        "make pseudo",
        {
            "NAME": "p",
            "k=v[,k=v]...": {
                "voltage_v": 13.0,
                "current_a": 1.0,
                "charge_ah": 5.0,
                "capacity_ah": 10.0,
                "max_discharge_current_a": 2.0,
                "max_charge_current_a": 3.0,
            },
        },
    ),
    "make pseudo p voltage=13,current=1,soc=5,cap=10,discharge=2,charge=3 # all": (
        "make pseudo",
        {
            "NAME": "p",
            "k=v[,k=v]...": {
                "voltage_v": 13.0,
                "current_a": 1.0,
                "charge_ah": 5.0,
                "capacity_ah": 10.0,
                "max_discharge_current_a": 2.0,
                "max_charge_current_a": 3.0,
            },
        },
    ),
    "make aggregator agg a,b' 13 0.5": (
        "make aggregator",
        {"NAME": "agg", "SRC[,SRC]...": ("a", "b'"), "VOLTAGE": 13.0, "TOLERANCE": 0.5},
    ),
    "make splitter policy sp tranche agg p1": (
        "make splitter policy",
        {"NAME": "sp", "POLICY": "tranche", "SOURCE": "agg", "FIRST_PARTITION": "p1"},
    ),
    "mk splitter battery p2 sp state_of_charge=3 p1": (
        "make splitter battery",
        {"NAME": "p2", "POLICY": "sp", "k=v[,k=v]...": {"charge_ah": 3.0}, "FROM_PARTITION": "p1"},
    ),
    "make network r sp2b' TCP 10.0.0.2 4004": (
        "make network",
        {"NAME": "r", "REMOTE_NAME": "sp2b'", "TCP": "TCP", "HOST": "10.0.0.2", "PORT": 4004},
    ),
    "modify pseudo p max_capacity=9": ("modify pseudo", {"NAME": "p", "k=v[,k=v]...": {"capacity_ah": 9.0}}),
    "rm a": ("remove", {"NAME": "a"}),
    "remove a": ("remove", {"NAME": "a"}),
    "alias l ls -l": ("alias", {"NAME": "l", "CMD": ("ls", "-l")}),
    "unalias l": ("unalias", {"NAME": "l"}),
    "load demo.bos": ("load", {"FILE": "demo.bos"}),
    "echo": ("echo", {}),
    "echo two words": ("echo", {"WORD": ("two", "words")}),
    "sleep 0.5": ("sleep", {"S": 0.5}),
    "help": ("help", {}),
    "help make pseudo": ("help", {"COMMAND": ("make", "pseudo")}),
}

WRONG = {
    "lst": ("lst", "a command: list"),
    "ls -a": ("-a", "-l"),
    "ls -l more": ("more", "the end of the line"),
    "stat": (None, "NAME, a name"),
    "stat .a": (".a", "NAME, a name"),
    "current": (None, "NAME, a name"),
    "current a": (None, "AMPS, a number of amperes"),
    "current a 4A": ("4A", "a number of amperes"),
    "current a nan": ("nan", "a number of amperes"),
    "ledger a b": ("b", "the end of the line"),
    "refresh": (None, "enable, disable, once"),
    "refresh always a": ("always", "enable, disable, once"),
    "refresh once": (None, "NAME, a name"),
    "clock": (None, "get, set"),
    "clock put": ("put", "get, set"),
    "clock set": (None, "DummyTime, SystemTime"),
    "clock set dummytime": ("dummytime", "DummyTime, SystemTime"),
    "clock set DummyTime noon": ("noon", "a time in seconds"),
    "clock set SystemTime 0": ("0", "the end of the line"),
    "tick": (None, "HOURS, a number of hours"),
    "tick -1": ("-1", "a number of hours of at least 0"),
    "time now": ("now", "the end of the line"),
    "visualize a": ("a", "the end of the line"),
    "server": (None, "start, stop"),
    "server restart": ("restart", "start, stop"),
    "server start 65536": ("65536", "a port number"),
    "make": (None, "null, battery, pseudo, aggregator, splitter, network"),
    "make battry b": ("battry", "null, battery, pseudo, aggregator, splitter, network"),
    "make null n": (None, "VOLTAGE, a number of volts"),
    "make null n -1": ("-1", "a number of volts of at least 0"),
    "make battery b JBD UART /dev/ttyUSB0": ("JBD", "JBDBMS"),
    "make battery b JBDBMS USB /dev/ttyUSB0": ("USB", "UART or BLE or TCP"),
    "make battery b JBDBMS UART": (None, "ADDRESS, an address"),
    "make pseudo p": (None, "key=value"),
    "make pseudo p v": ("v", "key=value"),
    "make pseudo p v=": ("v=", "a number after v="),
    "make pseudo p v=13,x=1": ("x=1", "one of the keys voltage|v"),
    "make pseudo p v=13,voltage=12": ("voltage=12", "each value once"),
    "make pseudo p v=13, s=5": ("v=13,", "key=value"),
    "make aggregator agg a,,b 13 1": ("a,,b", "names, comma-separated"),
    "make aggregator agg a b 13 1": ("b", "VOLTAGE, a number of volts"),
    "make splitter": (None, "policy, battery"),
    "make splitter part p": ("part", "policy, battery"),
    "make splitter policy sp tranched agg p1": ("tranched", "proportional or tranche"),
    "make splitter policy sp tranche agg": (None, "FIRST_PARTITION, a name"),
    "make splitter battery p2 sp s=3": (None, "FROM_PARTITION, a name"),
    "make network r a UDP h 1": ("UDP", "TCP"),
    "make network r a TCP h port": ("port", "a port number"),
    "modify": (None, "pseudo"),
    "modify battery b v=1": ("battery", "pseudo"),
    "modify pseudo p v=1e999": ("v=1e999", "a number after v="),
    "remove": (None, "NAME, a name"),
    "remove a b": ("b", "the end of the line"),
    "alias l": (None, "CMD, a word"),
    "alias -l ls": ("-l", "NAME, a name"),
    "unalias": (None, "NAME, a name"),
    "load": (None, "FILE, a file"),
    "sleep": (None, "S, a number of seconds"),
    "sleep long": ("long", "a number of seconds"),
}


@pytest.mark.parametrize("line", RIGHT)
def test_right_lines(line: str) -> None:
    """Each form of each command is read with its words at their places."""
    parsed = parse(split_words(line))
    assert (parsed.command.key, parsed.values) == RIGHT[line]


@pytest.mark.parametrize("line", WRONG)
def test_wrong_lines(line: str) -> None:
    """A wrong line names its first wrong word, None at the end of the line, and what was expected there."""
    with pytest.raises(WrongWord) as refused:
        parse(split_words(line))
    word, expected = WRONG[line]
    assert refused.value.word == word
    assert expected in refused.value.expected


def test_every_command_is_tried_and_done() -> None:
    """The two tables above try every command, right and (where it can be) wrong, and each has its action."""
    keys = {command.key for command in COMMANDS}
    assert {key for key, _ in RIGHT.values()} == keys
    assert set(ACTIONS) | {"alias", "unalias", "load", "help"} == keys


def test_comments_and_blank_lines_are_no_commands() -> None:
    """A # begins a comment wherever it stands; a line without words is none."""
    assert split_words("  # all of it") == []
    assert split_words("\t") == []
    assert split_words("stat a# and b") == ["stat", "a"]


def test_completion_follows_the_table() -> None:
    """After `make splitter` come its two forms; names are offered where a battery's name stands and nowhere else."""
    assert next_words(["make", "splitter"]) == ("policy", "battery")
    assert "tick" in next_words([])
    assert takes_name(["stat", "a"])
    assert takes_name(["make", "splitter", "policy", "sp", "tranche"])
    assert not takes_name(["tick"])
