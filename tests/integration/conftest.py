"""What several integration tests stand on."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import authority
from tests.support.lan import HERE, THERE, Lan
from tests.support.namespaces import cable


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB in memory; skipped where this process may not mount one."""
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system is not allowed here")
    yield place
    subprocess.run(["/bin/umount", "-l", place], check=True)


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    """A cable between two machines; skipped where this process may make none."""
    with cable([HERE, THERE]) as (here, there):
        yield Lan(tmp_path, authority(tmp_path / "ca"), here, there)
