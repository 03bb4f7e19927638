"""What every test gets: the loop its marker asks for, and properties that never fail for being slow."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support.examples import LONG
from tests.support.jumping_loop import loop_factories

settings.register_profile("usual", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", parent=settings.get_profile("usual"), max_examples=LONG)
settings.load_profile("usual")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests marked `jumping` run on virtual time, the others on the stock loop."""
    return loop_factories(jumping=item.get_closest_marker("jumping") is not None)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Leave log lines out: one for each spoiled reply costs more than all else."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
