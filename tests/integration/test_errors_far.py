"""Errors on real nodes: a silent pack seen by the node that follows its node, through loss and restart; a full disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Node, Pack, battery, pseudo, until
from tests.support.small_disk import small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB in memory; skipped where this process may not mount one."""
    with small_disk(tmp_path / "disk", "2m") as place:
        yield place


def errors(node: Node, kind: str, *arguments: str) -> list[dict[str, Any]]:
    """Return the errors of a type that a node lists."""
    return [each for each in node.ask("errors", *arguments) if each["type"] == kind]


def test_the_errors_of_a_followed_node(tmp_path: Path) -> None:
    """Listed once with its origin though both nodes follow each other; kept with its age through a loss; cleared by reboot."""
    kind = "DEVICE_UNREACHABLE"
    with (
        Pack(tmp_path, "pack") as pack,
        Node(tmp_path, pack.regulated("pack", refresh_period_s=0.2) + pseudo("p"), name="far") as far,
        Node(tmp_path, battery("stub", "network", target=far.target, remote_name="p"), name="near") as near,
    ):
        (tmp_path / "back.toml").write_text(battery("back", "network", target=near.target, remote_name="stub"))
        far.ask("add", str(tmp_path / "back.toml"))
        until(lambda: far.status("pack")["quality"] == "GOOD", because="the pack is read")
        pack.raw(3, b"")
        (seen,) = until(lambda: errors(near, kind), because="the near node hears of it")
        (origin,) = errors(far, kind)
        assert (seen["id"], seen["node"], seen["battery"], seen["via"]) == (origin["id"], "far", "pack", ["far"])
        assert (origin["via"], seen["remedy"]) == ([], "check the battery's cable, port and power")
        assert near.status("stub")["max_discharge_current_a"] > 0.0  # only a battery's own errors touch its limits
        far.kill()
        (kept,) = until(lambda: [each for each in errors(near, kind) if each["age_s"] > 1.5], because="it ages")
        assert (kept["id"], kept["state"]) == (origin["id"], "ACTIVE")
        pack.raw(3, None)
        far.start()
        gone = until(
            lambda: [each for each in errors(near, kind, "--all") if each["state"] == "CLEARED_BY_REBOOT"], because="it rebooted"
        )
        assert [each["id"] for each in gone] == [origin["id"]]


def test_a_stop_with_a_full_disk(tmp_path: Path, disk: Path) -> None:
    """Applied though it cannot be recorded, shown as STORE_FAILED, recorded once there is room, and in force after a restart."""
    with Node(tmp_path, pseudo("p") + pseudo("q"), name="home", state_dir=str(disk / "state")) as node:
        node.ask("set", "p", "5")
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        assert node.ask("stop", "p") == {"stopped": ["p"], "unconfirmed": [], "unrecorded": ["p"]}
        assert node.refusal("set", "p", "1")["reason"] == "STOPPED"
        assert node.status("p")["applied_current_a"] == 0.0
        (error,) = until(lambda: errors(node, "STORE_FAILED"), because="the node says so")
        assert error["severity"] == "HIGH"
        filler.unlink()
        until(lambda: not errors(node, "STORE_FAILED"), because="there is room again")
        node.kill()
        node.start()
        assert node.refusal("set", "p", "1")["reason"] == "STOPPED"
