"""The lock on a state directory."""

import os
from pathlib import Path

import pytest

from bosd.errors import StoreError
from bosd.store.lock import DirectoryLock


def test_a_second_holder_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    """The refusal names the process that holds the directory; after its release the lock is free."""
    first, second = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    first.acquire()
    with pytest.raises(StoreError, match=f"process {os.getpid()}") as caught:
        second.acquire()
    assert caught.value.metadata["pid"] == str(os.getpid())
    first.release()
    first.release()
    second.acquire()
    second.release()


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """The error has the lock's path and the system's reason."""
    with pytest.raises(StoreError, match="bosd.lock: cannot be written: No such file or directory".replace(".", r"\.")):
        DirectoryLock(tmp_path / "none").acquire()
