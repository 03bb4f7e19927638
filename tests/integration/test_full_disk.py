"""A node that is started again on a disk that has no block left (control.md, "Stop always works")."""

from pathlib import Path

from tests.support.processes import Node, pseudo, until
from tests.support.small_disk import fill, small_disk


def test_a_node_is_started_on_a_full_disk(tmp_path: Path) -> None:
    """It reads and stops, keeps the stop of before, refuses what must be durable and says so; with room again all is kept."""
    with small_disk(tmp_path / "disk", "3m") as disk, Node(disk, pseudo("b") + pseudo("c"), name="n") as node:
        node.ask("stop", "c")
        node.kill()
        node.log = tmp_path / "log"
        filler = fill(disk)
        node.start()
        assert node.status("b")["quality"] == "GOOD"
        assert node.status("c")["reason"].startswith("stopped")
        answer = node.ask("stop", "b")
        assert answer["stopped"] == answer["unrecorded"] == ["b"]
        assert node.refusal("release", "c")["reason"] == "STORE_FAILED"
        (said,) = [each for each in node.ask("errors") if each["module"] == "store"]
        assert (said["type"], said["severity"]) == ("STORE_FAILED", "HIGH")
        assert "free some space" in said["message"]
        filler.unlink()
        until(lambda: not [each for each in node.ask("errors") if each["type"] in {"STORE_FAILED", "AUDIT_UNWRITTEN"}])
        assert node.ask("release", "c") == {"released": ["c"]}
        assert node.terminate() == 0
        node.start()
        assert node.status("b")["reason"].startswith("stopped")
        assert node.status("c")["reason"] == ""
        assert {"start", "stop", "release", "end"} <= {each["action"] for each in node.ask("audit")}
