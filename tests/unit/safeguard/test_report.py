"""`guard.json`."""

import json
from functools import partial
from pathlib import Path

import pytest

from bosd.bal.spec import JbdSpec
from bosd.errors import ConfigError
from bosd.safeguard.report import LEFT, Report, forget_report, left_of, read_report, write_report
from bosd.safeguard.safe_action import Outcome

GOOD = Outcome("a", "/dev/ttyUSB0", "open", "both switches open", confirmed=True, took_s=0.1)
BAD = Outcome("b", "/dev/ttyUSB1", "zero", "no answer")


def report(*outcomes: Outcome) -> Report:
    """Return a report of the guard."""
    gate = partial(JbdSpec, current_control="gate", max_discharge_current_a=60.0, max_charge_current_a=30.0)
    specs = [gate(name=each.name, port=each.port) for each in outcomes]
    return Report(by="guard", why="the daemon ended", at_utc_s=1_800_000_000.5, outcomes=outcomes, specs=specs)


def test_it_reads_back(tmp_path: Path) -> None:
    """Time, reason and every device are in it; it is confirmed when all of them are."""
    assert write_report(tmp_path, report(GOOD, BAD)) == ""
    found = read_report(tmp_path)
    assert found == json.loads((tmp_path / "guard.json").read_text())
    assert found is not None
    assert (found["at"], found["by"], found["confirmed"]) == ("2027-01-15T08:00:00.500Z", "guard", False)
    assert [(each["name"], each["confirmed"], each["result"]) for each in found["devices"]] == [
        ("a", True, "both switches open"),
        ("b", False, "no answer"),
    ]
    assert report(GOOD).confirmed
    assert [path.name for path in tmp_path.iterdir()] == ["guard.json"]


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    """The reason is returned, nothing raised, nothing left."""
    assert "No such file" in write_report(tmp_path / "gone", report(GOOD))
    (tmp_path / "guard.json").mkdir()
    assert "directory" in write_report(tmp_path, report(GOOD))
    assert [path.name for path in tmp_path.iterdir()] == ["guard.json"]


def test_what_cannot_be_read_confirms_nothing(tmp_path: Path) -> None:
    """Nothing there is None; rubbish is a report that confirms nothing."""
    assert read_report(tmp_path) is None
    for rubbish in (b"", b"\xff", b"[]"):
        (tmp_path / "guard.json").write_bytes(rubbish)
        found = read_report(tmp_path)
        assert found is not None
        assert found["confirmed"] is False
    forget_report(tmp_path)
    forget_report(tmp_path)
    assert read_report(tmp_path) is None


def test_what_was_left_reads_back(tmp_path: Path) -> None:
    """The table of each device that was not confirmed, as it was given; one without it leaves nothing, nonsense is refused."""
    made = report(GOOD, BAD)
    write_report(tmp_path, made)
    assert left_of(read_report(tmp_path) or {}, "guard.json") == made.left == tuple(made.specs[1:])
    write_report(tmp_path, report(GOOD))
    assert left_of(read_report(tmp_path) or {}, "guard.json") == left_of({"confirmed": False}, "guard.json") == ()
    for rubbish, said in ((7, "holds no text"), ("[[battery]]", "guard.json, unconfirmed_toml")):
        with pytest.raises(ConfigError, match=said):
            left_of({LEFT: rubbish}, "guard.json")
