"""The managed binary: a real process that is started, watched, started again, heard, and never left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import structlog

from bosd.clock import SystemClock
from bosd.limits.lpc.binary import PLAUSIBLE_UTC_S, Binary, command_of, failures_after, level_and_text, pause_after_s
from tests.support.lpc_rig import HandClock, config, make, running, until
from tests.support.processes import REPOSITORY, free_port


def script(path: Path, text: str) -> Path:
    """Write a program."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return path


@asynccontextmanager
async def run(command: tuple[str, ...], delay_s: float = 0.05) -> AsyncIterator[tuple[Binary, list[str], list[int]]]:
    """Run a binary while the block runs; yield it, what it told, and its starts."""
    told: list[str] = []
    starts: list[int] = []
    binary = Binary(command, SystemClock(), delay_s, tell=told.append, started=lambda: starts.append(1))
    task = asyncio.get_running_loop().create_task(binary.run())
    try:
        yield binary, told, starts
    finally:
        task.cancel()
        await asyncio.wait([task])


async def soon(is_so: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait until something outside the loop is so: no event of ours tells of it."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ("2025-04-10 12:00:00 INFO  peer connected", "info", "peer connected"),
        ("2025-04-10 12:00:00 DEBUG x", "debug", "x"),
        ("2025-04-10 12:00:00 TRACE x", "debug", "x"),
        ("2025-04-10 12:00:00 WARN x", "warning", "x"),
        ("2025-04-10 12:00:00 WARNING x", "warning", "x"),
        ("2025-04-10 12:00:00 ERROR x y", "error", "x y"),
        ("2025-04-10 12:00:00 FATAL x", "error", "x"),
        ("2025-04-10 12:00:00 NOTICE x", "info", "2025-04-10 12:00:00 NOTICE x"),
        ("panic: runtime error", "info", "panic: runtime error"),
    ],
)
def test_its_log_lines(line: str, level: str, text: str) -> None:
    """eebus.md 2.9."""
    assert level_and_text(line) == (level, text)


def test_its_arguments() -> None:
    """eebus.md 2.9: port, certificate, key."""
    found = config(grpc_port=50052, certificate_path="/c/cert", private_key_path="/c/key", eebus_grpc_api_binary_path="/b/api")
    assert command_of(found) == (
        "/b/api",
        "-port",
        "50052",
        "-certificate-path",
        "/c/cert",
        "-private-key-path",
        "/c/key",
    )


async def test_it_is_started_again_and_its_words_are_ours(tmp_path: Path) -> None:
    """After each end, with its last line; an endless line does not grow."""
    program = script(
        tmp_path / "api", 'echo "2025-04-10 12:00:00 ERROR no certificate"; head -c 20000 /dev/zero | tr "\\0" x; exit 3'
    )
    with structlog.testing.capture_logs() as logs:
        async with run((str(program),)) as (_, told, starts):
            await soon(lambda: len(starts) >= 3)
    said = [entry for entry in logs if entry["event"] == "eebus_binary"]
    assert (said[0]["log_level"], said[0]["detail"]) == ("error", "no certificate")
    assert max(len(entry["detail"]) for entry in said) <= 8000
    assert any("status 3" in each for each in told)


def test_its_back_off() -> None:
    """The delay, doubled with each failure in a row up to twelve times; one that lived for six delays begins anew."""
    failures, pauses = 0, []
    for _ in range(7):
        failures = failures_after(failures, 0.1, 5.0)
        pauses.append(pause_after_s(failures, 5.0))
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    assert pause_after_s(failures_after(failures, 30.0, 5.0), 5.0) == 60.0
    assert pause_after_s(failures_after(failures, 30.1, 5.0), 5.0) == 5.0


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """It is tried again, and says why it failed."""
    async with run((str(tmp_path / "missing"),)) as (binary, _, starts):
        await soon(lambda: len(starts) >= 2)
        await soon(lambda: "No such file" in binary.last_line)


async def test_it_ends_with_us_and_is_killed_where_it_will_not(tmp_path: Path) -> None:
    """SIGTERM, then SIGKILL; nothing is left."""
    program = script(tmp_path / "api", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    async with run((str(program),)) as (binary, told, _):
        await soon(lambda: binary.last_line == "ready")
        pid = int(told[-1].rpartition(" ")[2])
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


async def test_it_dies_with_a_daemon_that_was_killed(tmp_path: Path) -> None:
    """PR_SET_PDEATHSIG: no SIGTERM was sent to it, and nobody was there to send one."""
    program = script(tmp_path / "api", "echo $$ > pid; exec sleep 1000")
    parent = f"""
import asyncio
from bosd.clock import SystemClock
from bosd.limits.lpc.binary import Binary
asyncio.run(Binary(({str(program)!r},), SystemClock(), 1.0, tell=lambda _: None, started=lambda: None).run())
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, cwd=tmp_path, env=environment)
    await soon(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    child = psutil.Process(int((tmp_path / "pid").read_text()))
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await soon(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.jumping
async def test_it_waits_for_a_clock_that_makes_sense() -> None:
    """6.1 item 12: certificates of 1970 are taken by nobody."""
    clock = HandClock(0.0)
    told: list[str] = []
    binary = Binary(("/nowhere",), clock, 1.0, tell=told.append, started=lambda: None)
    waiting = asyncio.get_running_loop().create_task(binary._plausible_clock())
    await asyncio.sleep(60.0)
    assert not waiting.done()
    assert "wall clock" in told[-1]
    clock.offset_s = PLAUSIBLE_UTC_S
    await asyncio.sleep(2.0)
    assert waiting.done()


async def test_a_service_that_will_not_be_configured_again_is_restarted(tmp_path: Path) -> None:
    """6.1 item 2 with a managed binary: streams end, SetConfig is refused, there is no ResetService."""
    program = script(
        tmp_path / "api",
        f'cd {REPOSITORY}\nexec {sys.executable} -m tests.support.eebus_mock --heartbeat 0.2 --lose-after 0.3 "$@"',
    )
    keys = {
        "manage_eebus_grpc_api_binary": True,
        "eebus_grpc_api_binary_path": str(program),
        "certificate_path": str(tmp_path / "c"),
        "private_key_path": str(tmp_path / "k"),
        "grpc_port": free_port(),
        "reconnect_delay_s": 0.2,
        "call_deadline_s": 20.0,
    }
    lpc, _, _ = make(keys)
    binary = Binary(command_of(lpc.config), SystemClock(), 0.1, tell=lpc.set_service, started=lambda: lpc.count("binary_starts"))
    async with running(lpc, binary):
        await until(lambda: lpc.counters["connections"] == 2, lpc, within_s=40.0)
        assert lpc.counters["binary_starts"] == 2
