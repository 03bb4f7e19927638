"""A test that takes too long ends, wherever the strike hits, and is one failure of a run that goes on."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

SLOW = """
import asyncio
import time

import pytest

pytestmark = pytest.mark.timeout(1.0)


async def busy():
    while True:
        time.sleep(0.01)
        await asyncio.sleep(0.0)


def test_in_a_task():
    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(busy())
            while True:
                await asyncio.sleep(0.0)

    asyncio.run(main())


@pytest.fixture
def slow():
    time.sleep(20.0)


def test_in_a_fixture(slow):
    pass


@pytest.fixture
def slow_to_end():
    yield
    time.sleep(20.0)


def test_at_its_end(slow_to_end):
    pass


def test_what_follows_runs():
    pass
"""


def test_it_ends_inside_a_task(tmp_path: Path) -> None:
    """A busy task, a fixture and its end: each is said to be late, and the test after them passes."""
    (tmp_path / "test_slow.py").write_text(SLOW)
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50.0, check=False)
    assert "1 failed, 2 passed, 2 errors" in run.stdout, run.stdout
    said = [line for line in run.stdout.splitlines() if line.startswith("E ") and "Failed: not done within 1 s" in line]
    assert len(said) == 3, run.stdout
