"""Programs that write until they are killed, forked from one interpreter that has imported what they need."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_FORKING = """
import asyncio, os, sys
for line in sys.stdin:
    if not (writer := os.fork()):
        print(os.getpid(), flush=True)
        asyncio.run(main(*line.split()))
    os.waitpid(writer, 0)
    print("ended", flush=True)
"""


class Writers:
    """One after the other; each runs `main(*words)` and prints a line that begins with `done` for what it has acknowledged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def until_killed(self, *words: object, wanted: int) -> list[list[str]]:
        """Run one, kill it as soon as it has acknowledged so much; return the words after `done` of each line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{' '.join(map(str, words))}\n".encode())
        pid = int(await self._line())
        lines: list[list[str]] = []
        while (line := await self._line()) != "ended\n":
            if not line.startswith("done "):
                continue
            lines.append(line.split()[1:])
            if len(lines) == wanted:
                os.kill(pid, signal.SIGKILL)
        assert len(lines) >= wanted, "it ended by itself"
        return lines

    async def _line(self) -> str:
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode()
        assert line.endswith("\n"), "the program is gone"
        return line


@asynccontextmanager
async def writers(program: str) -> AsyncIterator[Writers]:
    """Start the program, which defines `main`, an async function; nothing of it is left at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program + _FORKING),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    try:
        yield Writers(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
