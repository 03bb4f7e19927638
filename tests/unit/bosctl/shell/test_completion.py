"""Completion at the prompt: words of the language, aliases, names of batteries, files."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from clients.bosctl.shell.node import ShellNode
from clients.bosctl.shell.prompt import Completer


@pytest.fixture
def completer() -> Completer:
    """Return one for a node with three batteries."""
    statuses = [SimpleNamespace(name=name) for name in ("b1", "b2", "sp2b'")]
    return Completer(cast("ShellNode", SimpleNamespace(statuses=lambda: statuses)), lambda: ("ll",))


def test_words_of_the_language(completer: Completer) -> None:
    """The first word is a command or an alias, later ones follow the table."""
    assert completer.candidates([], "l") == ["list ", "ls ", "ledger ", "load ", "ll "]
    assert completer.candidates(["make", "splitter"], "") == ["policy ", "battery "]


def test_names_where_names_stand(completer: Completer) -> None:
    """Names of batteries are offered one by one, also after a comma; where a number stands there are none."""
    assert completer.candidates(["stat", "b1"], "b") == ["b1 ", "b2 "]
    assert completer.candidates(["make", "aggregator", "agg"], "b1,s") == ["b1,sp2b'"]
    assert completer.candidates(["tick"], "") == []


def test_files_after_load(completer: Completer, tmp_path: Path) -> None:
    """`load` completes files, directories with their slash."""
    (tmp_path / "demo.bos").touch()
    (tmp_path / "deeper").mkdir()
    assert completer.candidates(["load"], f"{tmp_path}/de") == [f"{tmp_path}/deeper/", f"{tmp_path}/demo.bos"]
