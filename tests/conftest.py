"""What every test gets: the loop its marker asks for, an end, and properties that never fail for being slow."""

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Generator, Iterator, Mapping

import pytest
import pytest_timeout
import structlog
from hypothesis import HealthCheck, settings

from tests.support.collecting import import_own_share
from tests.support.examples import LONG
from tests.support.jumping_loop import loop_factories
from tests.support.time_limit import as_failure, bound_memory, set_timer

settings.register_profile("usual", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", parent=settings.get_profile("usual"), max_examples=LONG)
settings.load_profile("usual")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests marked `jumping` run on virtual time, the others on the stock loop."""
    return loop_factories(jumping=item.get_closest_marker("jumping") is not None)


def pytest_configure() -> None:
    """Bound what a test may eat, and have what it starts hear interrupts: a shell has its jobs in the background ignore them."""
    bound_memory()
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Workers share the work of reading the tests."""
    import_own_share(session.config)


def pytest_collection_finish() -> None:
    """Keep what was collected out of every later search for garbage: a tenth of what a simulation takes."""
    gc.collect()
    gc.freeze()


def pytest_timeout_set_timer(item: pytest.Item, settings: pytest_timeout.Settings) -> bool:
    """End a test in a way that no loop swallows."""
    set_timer(item, settings.timeout)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    """A fixture may take too long."""
    with as_failure():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """A test may."""
    with as_failure():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    """What ends a fixture may."""
    with as_failure():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell of a failed test without a search for garbage meanwhile.

    What that finds may log its exception with a traceback, for which Python parses lines; before 3.11.8 a parse within the one of
    the failed test's source is a SystemError (cpython issue 106905), which takes the worker, and the test's name, with it.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a test sets up for its log lines is not what the next one finds."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def quiet(logging_as_before: None) -> None:
    """Leave log lines out: one for each spoiled reply costs more than all else."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
