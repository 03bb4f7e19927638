"""The file of a token: private, one line, and never in a message."""

import errno
import os
from pathlib import Path

import pytest

from bosd.drivers.sonnen.token import read_token
from bosd.errors import DriverError
from tests.support.sonnen import TOKEN, token_file


def test_a_private_file_holds_the_token(tmp_path: Path) -> None:
    """The line's end does not belong to it."""
    assert read_token(token_file(tmp_path)) == TOKEN


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    """With the command that mends it."""
    path = token_file(tmp_path)
    path.chmod(mode)
    with pytest.raises(DriverError, match=rf"is open to others \(mode {mode:04o}\): run `chmod 600 {path}`"):
        read_token(path)


@pytest.mark.parametrize("content", ["", "\n \n", "two words", "two\nlines", "tök", "x" * 1025, "nul\0"])
def test_what_is_no_token_is_refused_without_being_shown(tmp_path: Path, content: str) -> None:
    """One line of visible ASCII alone."""
    path = token_file(tmp_path, content)
    with pytest.raises(DriverError, match="holds no token; expected one line of visible ASCII") as caught:
        read_token(path)
    assert not content.strip() or content not in caught.value.message


def test_a_missing_file_and_a_fifo_say_so(tmp_path: Path) -> None:
    """A FIFO does not block."""
    with pytest.raises(DriverError, match="cannot be read: No such file or directory"):
        read_token(tmp_path / "nothing")
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(DriverError, match="is no regular file"):
        read_token(tmp_path / "fifo")


def test_a_dead_disk_leaves_the_last_token_and_a_deleted_file_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard acts when the disk has gone; who deletes a token means it."""
    path = token_file(tmp_path)
    assert read_token(path) == TOKEN
    with monkeypatch.context() as patch:

        def broken(*_args: object, **_how: object) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        patch.setattr(os, "open", broken)
        assert read_token(path) == TOKEN
        with pytest.raises(DriverError, match="cannot be read: Input/output error"):
            read_token(tmp_path / "other")
    path.unlink()
    with pytest.raises(DriverError, match="No such file"):
        read_token(path)
