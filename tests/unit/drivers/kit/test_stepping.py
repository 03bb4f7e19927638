"""An operation is cancelled at exactly the place where it waits for the n-th time."""

import asyncio

import pytest

from bosd.drivers.kit.stepping import NotCancelledError, cancelled_at

pytestmark = pytest.mark.jumping


class Work:
    """Three waits, of three kinds; `steps` is how far it came, `cleaned` what ran at its end."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.cleaned = False

    async def run(self) -> None:
        try:
            self.steps.append("begun")
            await asyncio.sleep(1.0)
            self.steps.append("slept")
            async with asyncio.timeout(5.0):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            self.steps.append("timed out")
            await asyncio.sleep(0)
            self.steps.append("yielded")
        finally:
            self.cleaned = True


@pytest.mark.parametrize(
    ("at", "steps"),
    [(0, ["begun"]), (1, ["begun", "slept"]), (2, ["begun", "slept", "timed out"])],
)
async def test_it_stops_where_it_waits_for_that_time(at: int, steps: list[str]) -> None:
    """Counted from 0; what it leaves behind itself runs."""
    work = Work()
    assert await cancelled_at(work.run(), at)
    assert work.steps == steps
    assert work.cleaned


async def test_one_that_waits_less_often_ends_by_itself() -> None:
    """It waits three times: there is no fourth."""
    work = Work()
    assert not await cancelled_at(work.run(), 3)
    assert work.steps == ["begun", "slept", "timed out", "yielded"]


async def test_what_it_raises_comes_out() -> None:
    """An error of the operation is the caller's."""

    async def fail() -> None:
        await asyncio.sleep(1.0)
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        await cancelled_at(fail(), 5)


async def test_one_that_makes_something_else_of_its_cancellation_is_told() -> None:
    """Going on, and an error in place of it, keep a node from ending what it began."""

    async def stubborn() -> None:
        try:
            await asyncio.sleep(1.0)
        except asyncio.CancelledError:
            await asyncio.sleep(1.0)

    async def converting() -> None:
        try:
            await asyncio.sleep(1.0)
        except asyncio.CancelledError:
            raise ValueError("its own") from None

    with pytest.raises(NotCancelledError, match="it went on"):
        await cancelled_at(stubborn(), 0)
    with pytest.raises(NotCancelledError, match="it became ValueError: its own"):
        await cancelled_at(converting(), 0)
