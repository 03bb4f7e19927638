"""A node that lives in a task of its own, as the daemon would hold it."""

import asyncio

from bosd.node.node import Node


async def hold(node: Node, started: asyncio.Event | None = None) -> None:
    """Run a node's tasks until cancelled; set `started` once they are there."""
    async with asyncio.TaskGroup() as group:
        node.start(group)
        if started is not None:
            started.set()
        await asyncio.Event().wait()
