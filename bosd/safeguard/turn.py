"""Whose turn it is to command the devices of a state directory: one daemon with its guard, or one `bosd safe`.

A lock on the directory itself (flock(2)), which needs no room on the disk. The daemon hands the open descriptor to its guard, so
the turn ends when both are gone, and a daemon that is started at once waits until the last one's guard has done its work.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

_LOOK_AGAIN_S = 0.05


async def take_turn(state_dir: Path, within_s: float, give_up: Callable[[], bool] = lambda: False) -> int | None:
    """Return the descriptor whose closing ends the turn, None where others have it for `within_s` or until `give_up`.

    Raises OSError for a directory that cannot be opened or locked.
    """
    descriptor = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if loop.time() >= until_s or give_up():
                    break
            else:
                return descriptor
            await asyncio.sleep(_LOOK_AGAIN_S)
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
