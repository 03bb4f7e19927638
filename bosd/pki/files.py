"""Private files: written for their owner alone, whole or not at all, and refused when others could read them."""

import os
import stat
import tempfile
from pathlib import Path

from bosd.errors import ConfigError

_OTHERS = 0o077


def write_file(path: Path, data: bytes, mode: int) -> None:
    """Replace a file as a whole; at no moment may more read it than `mode` says. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp's own mode is 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_file(path: Path, what: str) -> bytes:
    """Return a file's bytes. Raises ConfigError that says what is missing."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{what} {path} cannot be read: {error.strerror}; `bosctl ca install BUNDLE` writes it", path=str(path)
        ) from None


def read_key(path: Path) -> bytes:
    """Return a private key's bytes. Raises ConfigError when others than its owner can read the file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = 0
    if stat.S_IMODE(mode) & _OTHERS:
        raise ConfigError(
            f"key {path} can be read by others (mode {stat.S_IMODE(mode):04o}): run `chmod 600 {path}`; "
            "where others had access to this machine, revoke its certificate and issue a new one",
            path=str(path),
        )
    return read_file(path, "key")
