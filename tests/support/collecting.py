"""The workers of one run read the tests together.

Each needs all modules, and pytest rewrites their assertions: that takes several times as long as the rest of an import, and what
comes out is kept in a file for the next. Side by side in one order, each worker would find that file just too late.
"""

import contextlib
import importlib
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def share_first(modules: list[str], worker: int, workers: int) -> list[str]:
    """Return the modules from the worker's own share on, around to where it began."""
    start = len(modules) * worker // workers
    return modules[start:] + modules[:start]


def import_own_share(config: pytest.Config) -> None:
    """Import all tests, those of this worker's share first. Does nothing without workers, or when only some are asked for."""
    worker: dict[str, object] | None = getattr(config, "workerinput", None)
    if worker is None or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    modules = [".".join(path.relative_to(TESTS.parent).with_suffix("").parts) for path in sorted(TESTS.rglob("test_*.py"))]
    number = int(str(worker["workerid"]).removeprefix("gw"))
    for module in share_first(modules, number, int(str(worker["workercount"]))):
        with contextlib.suppress(Exception):  # what cannot be imported is told where it is collected
            importlib.import_module(module)
