"""The token of a battery's API: read from a private file when it is needed, never logged."""

import errno
import os
import re
import stat
from pathlib import Path

from bosd.errors import DriverError

_OTHERS = 0o077
_LONGEST_BYTES = 1024
_TOKEN = re.compile(rb"[\x21-\x7e]+")
_GONE = frozenset({errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.EMFILE, errno.ENFILE})
"""Errors that say nothing of the file: its disk is gone, or this process has too many files open."""

_last: dict[Path, str] = {}
"""The last good token of each file, for a guard whose disk has died with the daemon."""


def read_token(path: Path) -> str:
    """Return the token in `path`, of a disk that has died the last one that was read there.

    Raises DriverError that says what is wrong with the file, and never what it holds.
    """
    try:
        token = _read(path)
    except OSError as error:
        if error.errno in _GONE and path in _last:
            return _last[path]
        raise DriverError(f"token_file {path} cannot be read: {error.strerror}", path=str(path)) from None
    if len(token) > _LONGEST_BYTES or not _TOKEN.fullmatch(token):
        wanted = f"one line of visible ASCII, at most {_LONGEST_BYTES} characters: the token alone"
        raise DriverError(f"token_file {path} holds no token; expected {wanted}", path=str(path))
    _last[path] = token.decode("ascii")
    return _last[path]


def _read(path: Path) -> bytes:
    """Return what a private regular file holds; a FIFO or a device there does not stop the loop. Raises OSError, DriverError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise DriverError(f"token_file {path} is no regular file", path=str(path))
        if stat.S_IMODE(mode) & _OTHERS:
            found = f"mode {stat.S_IMODE(mode):04o}"
            raise DriverError(f"token_file {path} is open to others ({found}): run `chmod 600 {path}`", path=str(path))
        return file.read(_LONGEST_BYTES + 1).strip()
