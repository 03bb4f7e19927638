"""Hooks run a real command on events, one at a time per battery, and never hold the node up."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bosd.bal.physical import PhysicalBattery
from bosd.clock import LoopClock
from bosd.errors import NotFollowedError
from bosd.node.hooks import MOST_A_MINUTE, Hooks
from tests.support.bal_makers import physical, sample

EVENTS = ("UNAVAILABLE", "PROTECTION", "NOT_FOLLOWED")
APPEND = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
WAIT_S = 20.0


@asynccontextmanager
async def running(
    *batteries: PhysicalBattery, command: list[str], events: tuple[str, ...] = EVENTS, timeout_s: float = 10.0
) -> AsyncIterator[Hooks]:
    """Run hooks over these batteries until the block ends."""
    hooks = Hooks("home", LoopClock(asyncio.get_running_loop()), command, events, timeout_s)
    hooks.watcher.follow(batteries)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(hooks.run())
        await asyncio.sleep(0)
        yield hooks
        task.cancel()


async def until(enough: Callable[[], bool]) -> None:
    """Wait for what another process does; nothing here can be told by an event."""
    async with asyncio.timeout(WAIT_S):
        while not enough():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the whole documents in a file."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


async def written(path: Path, lines: int) -> list[dict[str, Any]]:
    """Return the documents in a file once there are so many."""
    await until(lambda: len(documents(path)) >= lines)
    return documents(path)


def now_s() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


async def test_silence_and_protections(tmp_path: Path) -> None:
    """A pack that was seen and falls silent, and one whose protection acts; one never seen is no event."""
    path = tmp_path / "events"
    silent, acting, unseen = physical("s", max_staleness_s=2.0, unavailable_after_s=3.0), physical("a"), physical("u")
    async with running(silent, acting, unseen, command=[sys.executable, "-c", APPEND, str(path)]):
        silent.sampled(sample(now_s()))
        acting.sampled(sample(now_s()))
        await asyncio.sleep(0.05)
        acting.sampled(sample(now_s(), discharge_allowed=False, blocked_by=("cell_undervoltage",), faults=("cell_undervoltage",)))
        (first,) = await written(path, 1)
        assert (first["event"], first["battery"], first["faults"]) == ("PROTECTION", "a", ["cell_undervoltage"])
        assert (first["node"], first["kind"], first["reason"]) == ("home", "jbd", "cell_undervoltage")
        silent.sample = sample(now_s() - 3.5)
        silent.failed("no answer on /dev/s")
        (_, second) = await written(path, 2)
        assert (second["event"], second["battery"], second["reason"]) == ("UNAVAILABLE", "s", "no answer on /dev/s")
        assert second["at"].endswith("Z")


async def test_a_fault_that_stays_is_one_event(tmp_path: Path) -> None:
    """Samples that repeat a fault are no news; one that comes back is."""
    path = tmp_path / "events"
    pack = physical("p")
    async with running(pack, command=[sys.executable, "-c", APPEND, str(path)]):
        for faults in (("short_circuit",), ("short_circuit",), (), ("short_circuit",)):
            pack.sampled(sample(now_s(), faults=faults))
            await asyncio.sleep(0.3)
        assert [each["faults"] for each in await written(path, 2)] == [["short_circuit"]] * 2


async def test_not_followed_and_only_what_was_asked_for(tmp_path: Path) -> None:
    """A command that was not followed, with its numbers; events that are not listed run nothing."""
    path = tmp_path / "events"
    pack = physical("p")
    async with running(pack, command=[sys.executable, "-c", APPEND, str(path)], events=("NOT_FOLLOWED",)) as hooks:
        pack.sampled(sample(now_s(), faults=("afe_error",)))
        hooks.not_followed(pack, NotFollowedError("p holds 0 A, told were 5 A", commanded_a=5.0, held_a=0.0))
        (only,) = await written(path, 1)
        assert (only["event"], only["commanded_a"], only["reason"]) == ("NOT_FOLLOWED", "5.0", "p holds 0 A, told were 5 A")


async def test_one_at_a_time_and_the_latest_of_each_kind(tmp_path: Path) -> None:
    """While a slow hook runs, more of the same wait as one, the latest."""
    path, go_on = tmp_path / "events", tmp_path / "go"
    script = f"import os, sys, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)\n{APPEND}"
    pack = physical("p")
    async with running(pack, command=[sys.executable, "-c", script, str(path)]) as hooks:
        for number in range(5):
            hooks.not_followed(pack, NotFollowedError(f"number {number}"))
            await asyncio.sleep(0.05)
        go_on.touch()
        assert [each["reason"] for each in await written(path, 2)] == ["number 0", "number 4"]


@pytest.mark.parametrize(
    ("command", "detail"),
    [
        (["/nonexistent/hook"], "No such file"),
        (["/bin/false"], "exit status 1"),
        (["/bin/sleep", "30"], "not done within 0.2 s"),
    ],
)
async def test_failures_are_log_lines(command: list[str], detail: str) -> None:
    """A program that is not there, fails or hangs is named in the log; the next event is tried again."""
    pack = physical("p")
    timeout_s = 0.2 if command[0] == "/bin/sleep" else WAIT_S
    with capture_logs() as lines:
        async with running(pack, command=command, timeout_s=timeout_s) as hooks:
            for number in (1, 2):
                hooks.not_followed(pack, NotFollowedError("no"))
                await until(lambda number=number: len(lines) >= number)  # type: ignore[misc]
    assert [line["event"] for line in lines] == ["hook_failed", "hook_failed"]
    assert all(detail in line["detail"] and line["battery"] == "p" for line in lines)


async def test_so_many_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond 60 starts within a minute events are dropped, and the log says so once."""
    packs = [physical(f"p{number}") for number in range(MOST_A_MINUTE + 5)]
    ran: list[str] = []

    async def run(self: Hooks, document: dict[str, Any]) -> None:
        ran.append(document["battery"])

    monkeypatch.setattr(Hooks, "_run", run)
    with capture_logs() as lines:
        async with running(*packs, command=["/bin/true"]) as hooks:
            for pack in packs:
                hooks.not_followed(pack, NotFollowedError("no"))
            await asyncio.sleep(0.1)
    assert len(ran) == MOST_A_MINUTE
    assert [line["event"] for line in lines] == ["hooks_dropped"]


async def test_a_hook_that_runs_at_the_end_is_ended() -> None:
    """Cancelling ends the process with the task."""
    pack = physical("p")
    async with asyncio.timeout(WAIT_S):
        async with running(pack, command=["/bin/sleep", "60"]) as hooks:
            hooks.not_followed(pack, NotFollowedError("no"))
            await asyncio.sleep(0.1)
