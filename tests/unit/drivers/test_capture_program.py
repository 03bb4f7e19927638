"""`bosd driver capture`: what it refuses to record to."""

from pathlib import Path

import pytest

from bosd.bal.spec import Topology
from bosd.clock import SystemClock
from bosd.drivers.capture_program import main
from bosd.errors import InvalidArgumentError
from tests.support.bal_makers import jbd_spec


def test_only_regular_files(tmp_path: Path) -> None:
    """A record is read back at the end: reading a device such as /dev/full never ends."""
    topology = Topology(batteries=(jbd_spec("b"),))
    with pytest.raises(InvalidArgumentError, match="/dev/null: is no regular file; name a file to record to"):
        main(topology, "b", Path("/dev/null"), 0.01, SystemClock())
    with pytest.raises(InvalidArgumentError, match="none/x: No such file or directory"):
        main(topology, "b", tmp_path / "none" / "x", 0.01, SystemClock())
