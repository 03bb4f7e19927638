"""A key and its certificate exchanged: whatever happens between, a pair that fits is there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bosd.pki.authority import Authority
from bosd.pki.exchange import beside, exchange_pair, settle
from bosd.pki.identity import Identity, Role
from bosd.pki.material import Places, load_material
from tests.support.certificates import authority
from tests.support.small_disk import fill, small_disk

STEPS = 3
"""Files that take their places: the certificate beside, the key, the certificate."""
KILLED = """
import os, signal, sys
from pathlib import Path
from bosd.pki.exchange import exchange_pair
from bosd.pki.material import Places
tls, fresh, last = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
replace, done = Path.replace, 0
def counted(self, target):
    global done
    if done == last:
        os.kill(os.getpid(), signal.SIGKILL)
    done += 1
    return replace(self, target)
Path.replace = counted
places = Places(ca=tls / "ca.crt", certificate=tls / "bosd.crt", key=tls / "bosd.key")
exchange_pair(places, (fresh / "bosd.key").read_bytes(), (fresh / "bosd.crt").read_bytes())
"""


@pytest.fixture
def by(tmp_path: Path) -> Authority:
    """Our authority."""
    return authority(tmp_path / "ca")


def pair(by: Authority, directory: Path, *, again: bool = False) -> tuple[Places, Identity]:
    """Return the places and the identity of a pair that was issued."""
    places = by.issue(Role.NODE, "hut", time.time(), again=again).install(directory)
    return places, load_material(places).identity


def exchange(places: Places, fresh: Places) -> None:
    """Put another pair in place."""
    exchange_pair(places, fresh.key.read_bytes(), fresh.certificate.read_bytes())


def test_both_are_exchanged(by: Authority, tmp_path: Path) -> None:
    """The key for its owner alone; nothing is left beside them."""
    places, _ = pair(by, tmp_path / "tls")
    fresh, new = pair(by, tmp_path / "fresh", again=True)
    before = set(places.key.parent.iterdir())
    exchange(places, fresh)
    assert load_material(places).identity == new
    assert places.key.stat().st_mode & 0o777 == 0o600
    assert set(places.key.parent.iterdir()) == before


@pytest.mark.parametrize(("last", "is_new"), [(0, False), (1, False), (2, True), (STEPS, True)])
def test_a_kill_between_leaves_a_pair_that_fits(by: Authority, tmp_path: Path, last: int, is_new: bool) -> None:
    """A process killed before each file takes its place: the old pair, or the new one once its key was there."""
    places, old = pair(by, tmp_path / "tls")
    _, new = pair(by, tmp_path / "fresh", again=True)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "tls"), str(tmp_path / "fresh"), str(last)]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], check=False, timeout=30)
    assert done.returncode == (0 if last == STEPS else -signal.SIGKILL)
    settle(places)
    assert load_material(places).identity == (new if is_new else old)
    assert not beside(places.certificate).exists()


def test_a_full_disk_leaves_the_old_pair(by: Authority, tmp_path: Path) -> None:
    """Whether there is no room for the certificate, or none for the key after it."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        places, old = pair(by, disk / "tls")
        fresh, new = pair(by, tmp_path / "fresh", again=True)
        filler = fill(disk)
        for room in (0, os.statvfs(disk).f_frsize):
            with filler.open("r+b") as file:
                file.truncate(filler.stat().st_size - room)
            with pytest.raises(OSError, match="No space left"):
                exchange(places, fresh)
            assert load_material(places).identity == old
            assert not beside(places.certificate).exists()
        filler.unlink()
        exchange(places, fresh)
        assert load_material(places).identity == new


def test_junk_beside_stays_and_harms_nothing(by: Authority, tmp_path: Path) -> None:
    """What is no certificate is left for a person to look at."""
    places, old = pair(by, tmp_path / "tls")
    beside(places.certificate).write_bytes(b"x")
    settle(places)
    assert load_material(places).identity == old
    fresh, new = pair(by, tmp_path / "fresh", again=True)
    exchange(places, fresh)
    assert load_material(places).identity == new
