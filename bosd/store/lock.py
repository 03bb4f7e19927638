"""One daemon per state directory: an exclusive lock that the kernel drops when its holder dies."""

import errno
import fcntl
import os
from pathlib import Path

from bosd.errors import StoreError


class DirectoryLock:
    """The lock file `bosd.lock` of a state directory, holding its owner's process id."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "bosd.lock"
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock. Raises StoreError when another process holds it (metadata: path, pid) or the file cannot be written."""
        try:
            descriptor = self._opened()
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}", path=self._path) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _name_holder(descriptor)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            message = (
                f"{self._path.parent} is in use by another bosd (process {pid}): stop it, or give this one its own state_dir"
            )
            raise StoreError(message, path=self._path, pid=pid) from error
        except OSError as error:
            os.close(descriptor)
            raise StoreError(f"{self._path}: cannot be locked: {error.strerror}", path=self._path) from error
        self._descriptor = descriptor

    def _opened(self) -> int:
        """Return the file, made if it is not there; on a read-only disk one that is. Raises OSError."""
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno != errno.EROFS or not self._path.exists():
                raise
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def release(self) -> None:
        """Give the lock back; the file stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _name_holder(descriptor: int) -> None:
    """Write who holds the lock, which a person wants to know; it is held on a disk that takes nothing, too. Raises OSError."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EINVAL, errno.EBADF, errno.EROFS):
            raise


def holder(directory: Path) -> str | None:
    """Return the process id of whoever holds a state directory, None where nobody does or that cannot be seen."""
    try:
        descriptor = os.open(directory / "bosd.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None
