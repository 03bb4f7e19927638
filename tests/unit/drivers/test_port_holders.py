"""Who has a port open, by name."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from bosd.drivers.port_holders import holders_of


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("/usr/bin/screen", "/dev/ttyUSB0"), "screen"),
        (("/opt/bosd/bin/python3.11", "/opt/bosd/bin/bosd", "run", "--config", "x.toml"), "bosd run"),
        (("python3", "-m", "bosd", "sim", "jbd"), "bosd sim"),
        (("python3", "-m", "serial.tools.miniterm"), "serial.tools.miniterm"),
        (("python3", "/home/ann/poll.py", "now"), "poll.py"),
        (("bosd", "--version"), "bosd"),
        (("python3", "-c", "import serial"), "python3"),
    ],
)
def test_a_program_by_its_command_line(tmp_path: Path, words: tuple[str, ...], name: str) -> None:
    """An interpreter is named by its script or module, and bosd by its command."""
    port, process = tmp_path / "port", tmp_path / "proc" / "77"
    port.touch()
    (process / "fd").mkdir(parents=True)
    (process / "fd" / "3").symlink_to(port)
    (process / "cmdline").write_bytes("\0".join((*words, "")).encode())
    assert [str(each) for each in holders_of(str(port), tmp_path / "proc")] == [f"{name} (process 77)"]


def test_the_far_end_of_a_pseudo_terminal_is_the_device() -> None:
    """A simulator has both ends open; who ends it to free the port has no device any more. Another program is named."""
    far_end = "import os, sys; print(os.ttyname(os.openpty()[1]), flush=True); sys.stdin.read()"
    program = "import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); print(flush=True); sys.stdin.read()"
    run = partial(subprocess.Popen[str], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with run([sys.executable, "-c", far_end]) as simulator:
        assert simulator.stdout is not None
        port = simulator.stdout.readline().strip()
        assert Path(port).exists()
        assert holders_of(port) == ()
        with run([sys.executable, "-c", program, port]) as other:
            assert other.stdout is not None
            other.stdout.readline()
            assert [each.pid for each in holders_of(port)] == [other.pid]
            other.communicate()
        simulator.communicate()
