"""What the daemon is installed with: its unit, its account, its example configuration."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd" / "bosd.service"
EXAMPLE = ROOT / "systemd" / "bosd.toml"

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")

EXAMPLE_KEYS = {
    "node": {"name", "listen", "state_dir", "default_setpoint_ttl_s", "max_setpoint_ttl_s"},
    "security": {"ca", "certificate", "key", "revoked", "authority"},
    "battery": {
        *("name", "kind", "port", "refresh", "refresh_period_s", "max_discharge_current_a", "max_charge_current_a"),
        *("current_control", "safe", "sources", "voltage_v", "voltage_tolerance_v", "target", "remote_name"),
    },
    "splitter": {"name", "policy", "source", "partitions"},
}
"""The configuration's keys that the example shows, as the design names them."""


def settings() -> dict[str, list[str]]:
    """Return the unit's settings, each with all its values in order."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if line and line[0] not in "#[":
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def runnable_unit(tmp_path: Path) -> Path:
    """Copy the unit with a program that exists here, which is all that verification would miss."""
    copy = tmp_path / "bosd.service"
    copy.write_text(UNIT.read_text().replace("/usr/bin/bosd", shutil.which("true") or "/bin/true"))
    return copy


@needs_analyze
def test_the_unit_verifies(runnable_unit: Path) -> None:
    """The manager finds no unknown key, no bad value and no missing part."""
    done = subprocess.run(["systemd-analyze", "verify", runnable_unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_analyze
def test_the_unit_is_rated_safe(runnable_unit: Path) -> None:
    """The exposure level is at most 2.0 of 10."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", str(runnable_unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_hang_is_ended_and_the_daemon_comes_back() -> None:
    """The watchdog kills after 2 s without a beat, devices are made safe then, it always comes back, stop has twice its 5 s."""
    unit = settings()
    expected = {
        "Type": "notify",
        "NotifyAccess": "main",
        "WatchdogSec": "2",
        "WatchdogSignal": "SIGKILL",
        "Restart": "always",
        "StartLimitIntervalSec": "0",
        "KillSignal": "SIGTERM",
        "TimeoutStopSec": "10",
        "KillMode": "control-group",
        "ExecStopPost": "/usr/bin/bosd safe --config /etc/bosd/bosd.toml",
    }
    assert {key: unit[key] for key in expected} == {key: [value] for key, value in expected.items()}


def test_the_daemon_reaches_its_serial_ports_and_nothing_else() -> None:
    """It runs as bosd with dialout, sees serial character devices only, and its directories are systemd's to make."""
    unit = settings()
    assert (unit["User"], unit["SupplementaryGroups"], unit["DevicePolicy"]) == (["bosd"], ["dialout"], ["closed"])
    assert {value.split()[0] for value in unit["DeviceAllow"]} == {"char-ttyUSB", "char-ttyACM", "char-ttyAMA", "char-ttyS"}
    assert {unit[key][0] for key in ("StateDirectory", "RuntimeDirectory", "ConfigurationDirectory")} == {"bosd"}
    assert "PrivateDevices" not in unit


def test_the_unit_starts_a_program_that_the_package_installs() -> None:
    """Every program of the unit is a script of the project, given the example's place."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for command in (value for key, values in settings().items() if key.startswith("Exec") for value in values):
        program, *arguments = command.split()
        assert Path(program).name in scripts
        assert arguments[-2:] == ["--config", "/etc/bosd/bosd.toml"]


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_the_account_can_be_created(tmp_path: Path) -> None:
    """On an empty system the file makes the user and puts it into dialout."""
    command = ["systemd-sysusers", f"--root={tmp_path}", str(ROOT / "systemd" / "bosd.sysusers")]
    (tmp_path / "etc").mkdir()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bosd:" in (tmp_path / "etc" / "passwd").read_text()
    assert re.search(r"^dialout:.*\bbosd$", (tmp_path / "etc" / "group").read_text(), re.MULTILINE)


@pytest.mark.parametrize("everything", [False, True])
def test_the_example_says_what_the_design_names(everything: bool) -> None:
    """As shipped and with every commented battery enabled, it is TOML with known keys, names once and sources that exist."""
    text = EXAMPLE.read_text()
    if everything:
        text = re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE)
    document = tomllib.loads(text)
    for table, keys in EXAMPLE_KEYS.items():
        entries = document.get(table, [])
        for entry in [entries] if isinstance(entries, dict) else entries:
            assert entry.keys() <= keys
    assert document.keys() <= EXAMPLE_KEYS.keys()
    names = [battery["name"] for battery in document["battery"]]
    assert len(set(names)) == len(names)
    assert len(names) == (4 if everything else 1)
    assert all(source in names for battery in document["battery"] for source in battery.get("sources", []))
