"""Programs of this project as processes of their own without the start of an interpreter.

They are forked from one that has imported them and done nothing: a start costs more than most of what is tested, and what comes
after the imports is the same. Not for what looks at its command line or its path.
"""

import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import bosd.__main__
import clients.bosctl.__main__

STACKS = signal.SIGUSR2
"""Has a program write the stacks of its threads where its errors go."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.support.forked_imports"])


def _run(
    program: str, arguments: Sequence[str], directory: str, environment: Mapping[str, str], out: str, err: str, prelude: str
) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    for path, number in ((out, 1), (err, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    faulthandler.register(STACKS, file=2)
    sys.argv = [program, *arguments]
    exec(prelude, {})  # noqa: S102 (a test's own words)
    sys.exit({"bosd": bosd, "bosctl": clients.bosctl}[program].__main__.main())


class Forked:
    """A process as `subprocess.Popen` has it; `out` and `err` are files, which exist.

    It executes `prelude` before it begins: what that changes in modules must not have been imported out of them.
    """

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        out: str,
        err: str,
        prelude: str = "",
    ) -> None:
        told = (program, tuple(arguments), str(directory), dict(environment), out, err, prelude)
        self._process = _FORKS.Process(target=_run, args=told)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return its exit status, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout_s: float | None = None) -> int:
        """Return its exit status. Raises TimeoutExpired."""
        self._process.join(timeout_s)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout_s or 0.0)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Done(NamedTuple):
    """What a run gave."""

    returncode: int
    stdout: str
    stderr: str


def run_process(program: str, arguments: Sequence[str], directory: Path, timeout_s: float) -> Done:
    """Run `bosd` or `bosctl`; return its exit status, negative for a signal, and what it wrote.

    Raises AssertionError with what it wrote, and where its threads are, when it does not end within `timeout_s`.
    """
    with tempfile.NamedTemporaryFile(mode="r") as out, tempfile.NamedTemporaryFile(mode="r") as err:
        process = Forked(program, arguments, directory=directory, environment=os.environ, out=out.name, err=err.name)
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.send_signal(STACKS)
            time.sleep(1.0)  # it writes them at once, and says nothing when it has
            raise AssertionError(f"{program} did not end within {timeout_s:g} s\n{out.read()}\n{err.read()}") from None
        finally:
            process.kill()
        return Done(status, out.read(), err.read())
