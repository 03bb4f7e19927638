"""The demo as a program: starts everything, shows it, checks it, and takes it down again."""

import asyncio
import json
import math
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bosd.demo.checks import Check, NodeView, check, is_coherent
from bosd.demo.children import Children
from bosd.demo.failure import DemoFailure
from bosd.demo.reading import NodeReader
from bosd.demo.scenario import GARAGE, HOUSE, PACKS, PREFERRED_PORTS, claim_preferred_ports, configuration, free_addresses
from bosd.demo.show import Show, hints
from bosd.demo.story import Story
from bosd.errors import BosError
from bosd.v1 import battery_pb2 as pb
from clients.bosctl.format_json import listing

GOOD_DEADLINE_S = 20.0
LOOK_PERIOD_S = 0.1
COHERENT_TRIES = 40
"""At 0.1 s apart that is four samples of every pack; between two of them there is a quiet moment."""

_NODES = (GARAGE, HOUSE)


class _Interrupted(DemoFailure):
    """Ended before anything could be shown, as was asked."""


def run(*, seconds: float | None, as_json: bool) -> int:
    """Run the demo; return its exit status."""
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 0.0):
        sys.stderr.write(f"bosd demo: --seconds must be a number of at least 0, not {seconds:g}\n")
        return 2
    if not sys.platform.startswith("linux"):
        sys.stderr.write("bosd demo: needs Linux (pseudo-terminals and prctl)\n")
        return 1
    directory = Path(tempfile.mkdtemp(prefix="bosd-demo-"))
    try:
        return asyncio.run(Demo(directory, seconds=seconds, as_json=as_json).run())
    except _Interrupted:
        return 130
    except DemoFailure as failure:
        sys.stderr.write(f"bosd demo: {failure}\n")
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Demo:
    """One run in a directory of its own: configurations, state, sockets and logs."""

    def __init__(self, directory: Path, *, seconds: float | None, as_json: bool) -> None:
        self._directory = directory
        self._seconds = seconds
        self._as_json = as_json
        self._end = asyncio.Event()
        self._up = False
        self._asked_to_end = False
        self._claim = claim_preferred_ports()
        self._addresses = free_addresses([(node, PREFERRED_PORTS[node] if self._claim else 0) for node in _NODES])
        self._children = Children(directory)
        self._nodes = {name: NodeReader(name, self._addresses[name]) for name in _NODES}
        self._show = Show(list(self._nodes.values()), hints(self._addresses), as_json=as_json)

    async def run(self) -> int:
        """Run from start to end; return the exit status. Raises DemoFailure."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked)
        checks: list[Check] = []
        failure: DemoFailure | None = None
        try:
            async with self._nodes[GARAGE], self._nodes[HOUSE], asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._children.guard(), name="guard"), group.create_task(self._interrupt())]
                await self._start(group)
                checks = await self._play(group)
                await self._children.end(_NODES)
                for task in tasks:
                    task.cancel()
        except* DemoFailure as failures:
            failure = _first(failures)
        finally:
            await self._children.end(_NODES)
        if failure is not None:
            raise failure
        return self._report(checks)

    def _asked(self) -> None:
        self._asked_to_end = True
        self._end.set()

    async def _interrupt(self) -> None:
        """Give up the start when asked to end; later the play ends by itself."""
        await self._end.wait()
        if not self._up:
            raise _Interrupted

    async def _start(self, group: asyncio.TaskGroup) -> None:
        """Start hardware, then nodes; wait until every battery is GOOD."""
        self._show.say(None, f"starting three packs and two nodes in {self._directory}")
        for address, port in zip(self._addresses.values(), PREFERRED_PORTS.values(), strict=True):
            if not address.endswith(f":{port}"):
                self._show.say(None, f"port {port} is taken, using {address} instead")
        simulators = [
            await self._children.start(pack.name, pack.arguments(self._directory, seed), group, speaks=True)
            for seed, pack in enumerate(PACKS, start=1)
        ]
        for simulator in simulators:
            await self._children.ready(simulator)
        for node in _NODES:
            path = self._directory / f"{node}.toml"
            path.write_text(configuration(node, self._addresses, self._directory))
            arguments = ["run", "--no-guard", "--config", str(path), "--log-format", "console"]  # one is frozen; all is simulated
            await self._children.start(node, arguments, group)
        await self._all_good()
        self._up = True

    async def _all_good(self) -> None:
        try:
            async with asyncio.timeout(GOOD_DEADLINE_S):
                for node in self._nodes.values():
                    await node.read(starting=True)
                while self._not_good():
                    await asyncio.sleep(LOOK_PERIOD_S)
                    for node in self._nodes.values():
                        await node.read()
        except BosError as error:
            raise DemoFailure(f"a node does not answer: {error.message}") from error
        except TimeoutError:
            raise DemoFailure(f"not GOOD after {GOOD_DEADLINE_S:g} s: {'; '.join(self._not_good())}") from None

    def _not_good(self) -> list[str]:
        return [
            f"{node.name}/{status.name} ({status.reason})"
            for node in self._nodes.values()
            for status in node.statuses
            if status.quality != pb.QUALITY_GOOD
        ]

    async def _play(self, group: asyncio.TaskGroup) -> list[Check]:
        """Show the story until its end; return what was checked then."""
        controls = {pack.name: pack.control(self._directory) for pack in PACKS}
        story = Story(self._nodes, controls, self._children.signal, self._show.say)
        playing = [group.create_task(node.follow(), name=f"follow {name}") for name, node in self._nodes.items()]
        playing.append(group.create_task(story.play(self._seconds), name="story"))
        playing.append(group.create_task(self._show.run(story), name="show"))
        try:
            async with asyncio.timeout(self._seconds):
                await self._end.wait()
        except TimeoutError:
            pass
        for task in playing:
            task.cancel()
        await asyncio.wait(playing)
        judged = self._as_json or not self._asked_to_end
        return await self._judge() if judged else []

    async def _judge(self) -> list[Check]:
        """Check both nodes in a moment in which no sample is on its way up, nor the first one after a set point."""
        found: list[Check] = []
        for _ in range(COHERENT_TRIES):
            try:
                await asyncio.gather(*(node.read() for node in self._nodes.values()))
            except BosError as error:
                raise DemoFailure(f"a node does not answer: {error.message}") from error
            views = [NodeView(name=node.name, statuses=node.statuses, entries=node.entries) for node in self._nodes.values()]
            found = check(views)
            if is_coherent(views) and all(each.ok for each in found):
                break
            await asyncio.sleep(LOOK_PERIOD_S)
        return found

    def _report(self, checks: Sequence[Check]) -> int:
        """Print the document or the verdict; return the exit status."""
        failed = [each for each in checks if not each.ok]
        if self._as_json:
            nodes = [
                {"name": node.name, "listen": [node.address], "batteries": listing(node.statuses)}
                for node in self._nodes.values()
            ]
            document = {"nodes": nodes, "checks": [asdict(each) for each in checks], "ok": not failed}
            sys.stdout.write(json.dumps(document, indent=2 if sys.stdout.isatty() else None, allow_nan=False) + "\n")
        elif checks and not failed:
            count = sum(len(node.statuses) for node in self._nodes.values())
            sys.stdout.write(f"{count} batteries at two nodes, all GOOD, all sums right\n")
        for each in failed:
            sys.stderr.write(f"bosd demo: failed: {each.name}: {each.detail}\n")
        return 1 if failed else 0


def _first(group: BaseExceptionGroup[DemoFailure]) -> DemoFailure:
    """Return what went wrong first."""
    each = group.exceptions[0]
    return _first(each) if isinstance(each, BaseExceptionGroup) else each
