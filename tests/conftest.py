"""What every test gets: the loop its marker asks for."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.support.jumping_loop import loop_factories


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests marked `jumping` run on virtual time, the others on the stock loop."""
    return loop_factories(jumping=item.get_closest_marker("jumping") is not None)
