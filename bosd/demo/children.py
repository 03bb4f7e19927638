"""The demo's processes: each with a log of its own, none left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bosd.demo.failure import DemoFailure

LOG_LINES = 12
READY_DEADLINE_S = 20.0
DAEMON_GRACE_S = 6.0
"""A daemon makes its batteries safe within 5 s."""
SIMULATOR_GRACE_S = 2.0


@dataclass(slots=True, eq=False)
class Child:
    """One process and where its words go."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def tail(self) -> str:
        """Return the last lines of its log."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        return "\n".join(f"  {line}" for line in lines[-LOG_LINES:]) or "  (it said nothing)"


class Children:
    """Starts `bosd` processes on a leash (leash.py) and ends them in order: daemons first, then the hardware they make safe."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: dict[str, Child] = {}
        self._ended: asyncio.Queue[Child] = asyncio.Queue()
        self._ending = False

    async def start(self, name: str, arguments: Sequence[str], group: asyncio.TaskGroup, *, speaks: bool = False) -> Child:
        """Start one; `group` owns the wait for its end. One that `speaks` says on standard output when it is ready.

        It has a session of its own: what a terminal sends to the demo does not reach it.
        """
        log = self._directory / f"{name}.log"
        command = [sys.executable, "-m", "bosd.demo.leash", str(os.getpid()), *arguments]
        with log.open("ab") as words:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if speaks else words,
                stderr=words,
                start_new_session=True,
            )
        child = self._children[name] = Child(name, process, log)
        group.create_task(self._wait(child), name=f"wait for {name}")
        return child

    async def ready(self, child: Child) -> None:
        """Wait for a child's first line. Raises DemoFailure when it does not come."""
        assert child.process.stdout is not None  # noqa: S101 (it speaks)
        try:
            async with asyncio.timeout(READY_DEADLINE_S):
                line = await child.process.stdout.readline()
        except TimeoutError:
            raise DemoFailure(f"{child.name} is not ready after {READY_DEADLINE_S:g} s:\n{child.tail()}") from None
        if not line:
            await child.process.wait()
            raise self._failure(child)

    async def guard(self) -> None:
        """Wait for ever. Raises DemoFailure with the log of the first child that ends by itself."""
        child = await self._ended.get()
        raise self._failure(child)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one that lives."""
        if (child := self._children.get(name)) is not None and child.process.returncode is None:
            child.process.send_signal(number)

    async def end(self, daemons: Iterable[str]) -> None:
        """End all, the daemons before the rest; who does not go in time is killed."""
        self._ending = True
        first = set(daemons)
        await self._end([child for name, child in self._children.items() if name in first], DAEMON_GRACE_S)
        await self._end([child for name, child in self._children.items() if name not in first], SIMULATOR_GRACE_S)

    async def _end(self, children: Sequence[Child], grace_s: float) -> None:
        alive = [child for child in children if child.process.returncode is None]
        for child in alive:
            child.process.send_signal(signal.SIGCONT)
            child.process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                for child in alive:
                    await child.process.wait()
        except TimeoutError:
            pass
        finally:
            for child in alive:
                if child.process.returncode is None:
                    child.process.kill()
        for child in alive:
            await child.process.wait()

    async def _wait(self, child: Child) -> None:
        await child.process.wait()
        if not self._ending:
            self._ended.put_nowait(child)

    @staticmethod
    def _failure(child: Child) -> DemoFailure:
        status = child.process.returncode
        how = f"with status {status}" if status is None or status >= 0 else f"by {signal.Signals(-status).name}"
        return DemoFailure(f"{child.name} ended {how}; the end of its log:\n{child.tail()}")
