"""The token of a battery's API: read from a private file when it is needed, never logged."""

import os
import re
import stat
from pathlib import Path

from bosd.errors import DriverError

_OTHERS = 0o077
_LONGEST_BYTES = 1024
_TOKEN = re.compile(rb"[\x21-\x7e]+")


def read_token(path: Path) -> str:
    """Return the token in `path`. Raises DriverError that says what is wrong with the file, and never what it holds."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO there must not stop the loop
    except OSError as error:
        raise DriverError(f"token_file {path} cannot be read: {error.strerror}", path=str(path)) from None
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise DriverError(f"token_file {path} is no regular file", path=str(path))
        if stat.S_IMODE(mode) & _OTHERS:
            found = f"mode {stat.S_IMODE(mode):04o}"
            raise DriverError(f"token_file {path} is open to others ({found}): run `chmod 600 {path}`", path=str(path))
        token = file.read(_LONGEST_BYTES + 1).strip()
    if len(token) > _LONGEST_BYTES or not _TOKEN.fullmatch(token):
        wanted = f"one line of visible ASCII, at most {_LONGEST_BYTES} characters: the token alone"
        raise DriverError(f"token_file {path} holds no token; expected {wanted}", path=str(path))
    return token.decode("ascii")
