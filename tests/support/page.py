"""Pages whose commands are run as they stand: one shell for each machine of a page, and what it prints beside what the page says.

A block ```console holds commands after `MACHINE$ `, and below each what it prints. A line `...` stands for any lines and `…` for
anything in a line; instants, ages, the width of columns and the last digits of numbers may differ. `<!-- do: WORD -->` between
blocks is something that hands do: the test says what.
"""

import math
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

COMMAND_S = 30.0
READS = ("bosctl status", "bosctl ls", "bosctl fleet ls", "bosctl fleet discover", "bosctl errors", "bosctl explain")
"""Commands that change nothing: asked again until they print what the page says."""
AGAIN_S = 0.2
_ITEM = re.compile(r"<!-- do: (?P<deed>[\w-]+) -->|```console\n(?P<block>.*?)```", re.DOTALL)
_PROMPT = re.compile(r"(?P<machine>\w+)\$ (?P<command>.*)")
NEAR, NEAR_ABS = 0.02, 0.5
"""Charge moves on while a page is read; 10 A are not 20 A."""
_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_FREE = r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ|[0-9a-f]{16,}|[-+±]?\d+(?:\.\d+)? s)"
"""Instants, serial numbers, ages."""
_TOKEN = re.compile(rf"(?P<any>…)|(?P<free>{_FREE}\b)|(?P<number>{_NUMBER})")
_HEREDOC = re.compile(r"<<'?(\w+)'?")


@dataclass(frozen=True, slots=True)
class Step:
    """A command on a machine with what it prints, or a deed of hands (`machine` is empty)."""

    machine: str
    command: str
    prints: tuple[str, ...] = ()


def steps_of(text: str) -> list[Step]:
    """Return what a page has one do, in its order."""
    found: list[Step] = []
    for item in _ITEM.finditer(text):
        if item["deed"]:
            found.append(Step("", item["deed"]))
        else:
            found += _steps_of_block(item["block"].splitlines())
    return found


def _steps_of_block(lines: Sequence[str]) -> Iterator[Step]:
    at = 0
    while at < len(lines):
        prompt = _PROMPT.fullmatch(lines[at])
        assert prompt is not None, f"no command of a machine: {lines[at]!r}"
        machine, command = prompt["machine"], [prompt["command"].split("  # ")[0].rstrip()]
        at += 1
        if document := _HEREDOC.search(command[0]):
            while command[-1] != document[1]:
                command.append(lines[at])
                at += 1
        start = at
        while at < len(lines) and not _PROMPT.fullmatch(lines[at]):
            at += 1
        yield Step(machine, "\n".join(command), tuple(lines[start:at]))


def _line_matches(printed: str, expected: str) -> bool:
    """Tell whether two lines are the same but for the width of columns, times, and what numbers may differ by."""
    wanted = " ".join(expected.split())
    pattern, numbers, at = "", [], 0
    for token in _TOKEN.finditer(wanted):
        pattern += re.escape(wanted[at : token.start()])
        at = token.end()
        if token["any"]:
            pattern += ".*"
        elif token["number"]:
            numbers.append(float(token["number"]))
            pattern += f"({_NUMBER})"
        else:
            pattern += _FREE
    found = re.fullmatch(pattern + re.escape(wanted[at:]), " ".join(printed.split()))
    return found is not None and all(
        math.isclose(float(got), number, rel_tol=NEAR, abs_tol=NEAR_ABS)
        for got, number in zip(found.groups(), numbers, strict=True)
    )


def matches(printed: Sequence[str], expected: Sequence[str]) -> bool:
    """Tell whether what was printed is what the page says; a line `...` stands for any lines, also none."""
    if not expected:
        return not printed
    if expected[0].strip() == "...":
        return any(matches(printed[skipped:], expected[1:]) for skipped in range(len(printed) + 1))
    return bool(printed) and _line_matches(printed[0], expected[0]) and matches(printed[1:], expected[1:])


class Machine:
    """A shell of its own in a directory of its own, which is its home."""

    def __init__(self, name: str, directory: Path, wrap: Callable[..., list[str]], environment: Mapping[str, str]) -> None:
        self.name = name
        self._directory = directory
        directory.mkdir()
        self._environment = {**os.environ, "HOME": str(directory), **environment}
        self._wrap = wrap
        self._ordinal = 0
        self._shell: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._shell = subprocess.Popen(
            self._wrap("bash", "--norc"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._directory,
            env=self._environment,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_exc: object) -> None:
        assert self._shell is not None
        os.killpg(self._shell.pid, signal.SIGKILL)  # the shell and what it left running, in a session of their own
        self._shell.communicate()

    def run(self, command: str) -> list[str]:
        """Run a command; return the lines that it printed, its errors among them. Raises AssertionError when it does not end."""
        shell = self._shell
        assert shell is not None
        assert shell.stdin is not None
        assert shell.stdout is not None
        self._ordinal += 1
        mark = f"--- {self.name} {self._ordinal} ---"
        shell.stdin.write(f"{command}\necho '{mark}'\n".encode())
        shell.stdin.flush()
        output = b""
        ends_s = time.monotonic() + COMMAND_S
        with selectors.DefaultSelector() as selector:
            selector.register(shell.stdout, selectors.EVENT_READ)
            while mark.encode() + b"\n" not in output:
                left_s = ends_s - time.monotonic()
                assert left_s > 0.0, f"{self.name}$ {command}: did not end within {COMMAND_S:g} s:\n{output.decode()}"
                if selector.select(left_s):
                    some = os.read(shell.stdout.fileno(), 65536)
                    assert some, f"{self.name}$ {command}: the shell ended:\n{output.decode()}"
                    output += some
        return output.decode().replace(mark + "\n", "").splitlines()


@contextmanager
def machines(directory: Path, wraps: Mapping[str, Callable[..., list[str]]], programs: Path) -> Iterator[dict[str, Machine]]:
    """Start a shell for each machine; `programs` stand first on its path, and `scp FILE MACHINE:` copies between their homes."""
    tools = directory / "tools"
    tools.mkdir()
    scp = tools / "scp"
    scp.write_text(f'#!/bin/sh\nexec cp "$1" "{directory}/${{2%%:*}}/${{2#*:}}"\n')
    scp.chmod(0o755)
    environment = {"PATH": f"{programs}:{tools}:{os.environ['PATH']}", "XDG_CONFIG_HOME": "", "COLUMNS": "120"}
    with ExitStack() as stack:
        yield {name: stack.enter_context(Machine(name, directory / name, wrap, environment)) for name, wrap in wraps.items()}


def follow(steps: Sequence[Step], on: Mapping[str, Machine], deeds: Mapping[str, Callable[[], None]], within_s: float) -> None:
    """Do what a page says; what only reads is asked again for a while. Raises AssertionError where something else is printed."""
    for step in steps:
        if not step.machine:
            deeds[step.command]()
            continue
        ends_s = time.monotonic() + (within_s if step.command.startswith(READS) else 0.0)
        while True:
            printed = on[step.machine].run(step.command)
            if matches(printed, step.prints):
                break
            told = "\n".join([f"{step.machine}$ {step.command}", "printed:", *printed, "the page says:", *step.prints])
            assert time.monotonic() < ends_s, told
            time.sleep(AGAIN_S)
