"""`bosd driver capture`: what it refuses to record to, and from."""

import os
import tty
from pathlib import Path

import pytest
import serial

from bosd.bal.spec import Topology
from bosd.clock import SystemClock
from bosd.drivers.capture_program import main
from bosd.drivers.csv_file.spec import CsvSpec
from bosd.errors import ConfigError, InvalidArgumentError, UnavailableError
from tests.support.bal_makers import jbd_spec


def test_only_regular_files(tmp_path: Path) -> None:
    """A record is read back at the end: reading a device such as /dev/full never ends."""
    topology = Topology(batteries=(jbd_spec("b"),))
    with pytest.raises(InvalidArgumentError, match="/dev/null: is no regular file; name a file to record to"):
        main(topology, "b", Path("/dev/null"), 0.01, SystemClock())
    with pytest.raises(InvalidArgumentError, match="none/x: No such file or directory"):
        main(topology, "b", tmp_path / "none" / "x", 0.01, SystemClock())


def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    """It says so at once, names the node's own way to record, and leaves no file behind."""
    master, slave = os.openpty()
    tty.setraw(slave)
    path, out = os.ttyname(slave), tmp_path / "b.jsonl"
    holder = serial.Serial(path, exclusive=True)
    try:
        with pytest.raises(UnavailableError, match=r'in use by .*; end that first; .* capture = "NAME" in the table of b'):
            main(Topology(batteries=(jbd_spec("b", port=path),)), "b", out, 60.0, SystemClock())
    finally:
        holder.close()
        os.close(slave)
        os.close(master)
    assert not out.exists()


def test_a_battery_without_a_line_leaves_no_file(tmp_path: Path) -> None:
    """What is refused leaves nothing behind; a record that was there before stays as it is."""
    table = tmp_path / "table.csv"
    spec, out = CsvSpec(name="t", port=str(table)), tmp_path / "t.jsonl"
    with pytest.raises(ConfigError, match="has no line that could be recorded"):
        main(Topology(batteries=(spec,)), "t", out, 0.01, SystemClock())
    assert not out.exists()
    out.write_text("earlier")
    with pytest.raises(ConfigError):
        main(Topology(batteries=(spec,)), "t", out, 0.01, SystemClock())
    assert out.read_text() == "earlier"
