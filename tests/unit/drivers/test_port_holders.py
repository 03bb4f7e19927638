"""Who has a port open, by name."""

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
