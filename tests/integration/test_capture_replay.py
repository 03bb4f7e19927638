"""From a user's battery to ours: captured by the program, played back by the program, read again with the same values."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bosd.clock import SystemClock
from bosd.drivers.capture_file import read_capture
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.lines import Lines
from tests.support.forked import Done, run_process
from tests.support.processes import REPOSITORY

BOSD = (sys.executable, "-m", "bosd")


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run a simulator until the block ends; gives its first line."""
    process = await asyncio.create_subprocess_exec(*BOSD, "sim", *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20.0):
            yield process, (await process.stdout.readline()).decode()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def run(*arguments: str) -> Done:
    """Run `bosd` to its end."""
    return await asyncio.to_thread(run_process, "bosd", arguments, REPOSITORY, 30.0)


def configuration(folder: Path, port: Path) -> Path:
    """Write a node with one battery at `port`."""
    path = folder / "bosd.toml"
    path.write_text(
        f'[node]\nname = "n"\nlisten = ["unix:{folder / "node.sock"}"]\nstate_dir = "{folder / "state"}"\n\n'
        f'[[battery]]\nname = "b1"\nkind = "jbd"\nport = "{port}"\n'
        f"refresh_period_s = 0.1\nmax_discharge_current_a = 50\nmax_charge_current_a = 50\n"
    )
    return path


async def test_a_capture_plays_back_what_was_seen(tmp_path: Path) -> None:
    """Two seconds of a pack with lost replies; the replay's pack has its voltage, charge and cells, and knows every request."""
    link, out = tmp_path / "bms", tmp_path / "b1.jsonl"
    config = configuration(tmp_path, link)
    arguments = ("--soc", "0.37", "--series", "8", "--seed", "5", "--fault", "drop probability=0.1")
    async with program("jbd", "--link", str(link), *arguments):
        status, said, complaints = await run(
            "driver", "capture", "b1", "--config", str(config), "--out", str(out), "--seconds", "2"
        )
    assert (status, complaints) == (0, "")
    assert said.startswith(f"{out}: ")
    (part,) = read_capture(out).parts
    assert (part.header.port, part.header.baud) == (str(link), 9600)
    answers = [record for record in part.records if record.way == "in"]
    assert answers
    async with program("replay", str(out), "--link", str(link), "--timing", "paced") as (process, ready):
        assert ready.startswith(f"ready link={link} exchanges=")
        driver = JbdDriver(Lines().line(str(link)), SystemClock(), name="b1")
        async with asyncio.timeout(15.0):
            sample = await driver.read()
        await driver.close()
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        summary = (await process.stdout.read()).decode()
        assert await process.wait() == 0
    assert (sample.charge_ah, sample.capacity_ah) == (37.0, 100.0)
    assert sample.cells_v is not None
    assert len(sample.cells_v) == 8
    assert "unknown=0" in summary
    assert not link.is_symlink()


async def test_what_cannot_be_captured_or_played_is_said(tmp_path: Path) -> None:
    """An unknown battery, an impossible file, a device that is not there; a file that is no capture."""
    config = configuration(tmp_path, tmp_path / "missing")
    capture = ("driver", "capture", "--config", str(config), "--seconds", "0.3")
    status, _, complaint = await run(*capture, "b2", "--out", str(tmp_path / "x"))
    assert (status, complaint) == (1, "bosd: b2 is no battery with a device of this configuration; those are: b1\n")
    status, _, complaint = await run(*capture, "b1", "--out", str(tmp_path / "no" / "x"))
    assert (status, complaint) == (1, f"bosd: {tmp_path / 'no' / 'x'}: No such file or directory\n")
    status, said, complaint = await run(*capture, "b1", "--out", str(tmp_path / "x"))
    assert status == 1
    assert "0 readings" in said
    assert "missing" in complaint
    status, _, complaint = await run("sim", "replay", str(config), "--link", str(tmp_path / "bms"))
    assert status == 2
    assert complaint.startswith(f"bosd sim replay: {config}, line 1: the first line must be a header")


async def test_a_node_records_a_battery_that_asks_for_it(tmp_path: Path) -> None:
    """`capture = "NAME"`: in the directory captures of the state directory, for its owner alone."""
    link = tmp_path / "bms"
    config = configuration(tmp_path, link)
    config.write_text(config.read_text() + 'capture = "b1.jsonl"\n')
    record = tmp_path / "state" / "captures" / "b1.jsonl"
    (tmp_path / "state").mkdir()
    async with program("jbd", "--link", str(link)):
        node = await asyncio.create_subprocess_exec(
            *(*BOSD, "run", "--config", str(config), "--no-guard", "--log-level", "error"),
            env={**os.environ, "BOSD_TARGET": f"unix:{tmp_path / 'none'}"},
        )
        try:
            async with asyncio.timeout(30.0):
                while not (record.exists() and record.read_text().count('"way": "in"') > 3):
                    assert node.returncode is None
                    await asyncio.sleep(0.1)
            node.send_signal(signal.SIGTERM)
            assert await node.wait() == 0
        finally:
            if node.returncode is None:
                node.kill()
                await node.wait()
    capture = read_capture(record)
    assert capture.torn == 0
    assert capture.parts[0].records[-1].event == "closed"
    assert json.loads(record.read_text().splitlines()[0])["port"] == str(link)
