"""How the demo speaks: a live table on a terminal, lines elsewhere, and on standard error alone when JSON is wanted."""

import asyncio
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bosd.clock import SystemClock
from bosd.demo.reading import NodeReader
from bosd.demo.scenario import GARAGE, HOUSE, PREFERRED_PORTS
from clients.bosctl.format_text import line

if TYPE_CHECKING:
    from bosd.demo.story import Story

FRAME_S = 0.25
LINES_S = 5.0


def hints(addresses: Mapping[str, str]) -> list[str]:
    """Return commands worth typing, with the addresses of this run."""
    bosctl = _program()
    garage = bosctl if addresses[GARAGE].endswith(f":{PREFERRED_PORTS[GARAGE]}") else f"{bosctl} --target {addresses[GARAGE]}"
    house = f"{bosctl} --target {addresses[HOUSE]}"
    return [
        f"{garage} ls",
        f"{house} watch home garage",
        f"{house} set flat-2 8 --ttl 30s",
        f"{garage} stop lent        # and later: release lent",
    ]


def _program() -> str:
    """Return how this terminal reaches `bosctl`: by name, or by its place beside this Python."""
    if shutil.which("bosctl"):
        return "bosctl"
    beside = Path(sys.executable).parent / "bosctl"
    if beside.is_relative_to(Path.cwd()):
        return str(beside.relative_to(Path.cwd()))
    return str(beside) if beside.exists() else "bosctl"


class Show:
    """Shows the nodes and tells the story."""

    def __init__(self, nodes: Sequence[NodeReader], commands: Sequence[str], *, as_json: bool) -> None:
        self._nodes = nodes
        self._commands = commands
        self._as_json = as_json
        self._live = sys.stdout.isatty() and not as_json
        self._running = False
        self._clock = SystemClock()

    def say(self, elapsed_s: float | None, text: str) -> None:
        """Tell one sentence; the live table shows it by itself while it runs."""
        if self._live and self._running:
            return
        moment = "" if elapsed_s is None else f"{elapsed_s:5.1f} s  "
        (sys.stderr if self._as_json or self._live else sys.stdout).write(f"{moment}{text}\n")
        sys.stdout.flush()

    async def run(self, story: "Story") -> None:
        """Show until cancelled."""
        if self._live:
            await self._draw(story)
        elif self._as_json:
            await asyncio.Event().wait()
        else:
            await self._list()

    async def _draw(self, story: "Story") -> None:
        from rich.live import Live  # noqa: PLC0415 (a pipe needs no tables)

        from bosd.demo.view import View  # noqa: PLC0415
        from clients.bosctl.console import stdout_console  # noqa: PLC0415

        console = stdout_console()
        view = View(self._nodes, self._commands)

        def picture() -> object:
            return view.draw(console, elapsed_s=story.elapsed_s, told=story.told, refusal=story.refusal)

        self._running = True
        try:
            with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
                while True:
                    live.update(picture(), refresh=True)  # type: ignore[arg-type]
                    await asyncio.sleep(FRAME_S)
        finally:
            self._running = False

    async def _list(self) -> None:
        for command in self._commands:
            sys.stdout.write(f"try: {command}\n")
        while True:
            at_utc_s = self._clock.utc_s()
            for node in self._nodes:
                for status in node.statuses:
                    sys.stdout.write(f"{node.name}/{line(status, at_utc_s=at_utc_s)}\n")
            sys.stdout.flush()
            await asyncio.sleep(LINES_S)
