"""The daemon's hooks with a real pack: its line is cut, and the user's script hears of it."""

import json
import sys
from pathlib import Path

from tests.support.processes import Node, Pack, table, until

APPEND = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"


def test_a_script_hears_that_a_pack_fell_silent(tmp_path: Path) -> None:
    """Killed packs are UNAVAILABLE after a second; the script gets who, what and why, and the daemon goes on."""
    path = tmp_path / "events"
    hooks = table("[hooks]", {"command": [sys.executable, "-c", APPEND, str(path)], "events": ["UNAVAILABLE"]})
    with Pack(tmp_path, "p") as pack:
        b1 = pack.toml("b1", refresh_period_s=0.25, max_staleness_s=0.5, unavailable_after_s=1.0)
        with Node(tmp_path, hooks + b1) as node:
            until(lambda: node.status("b1")["quality"] == "GOOD")
            assert not path.exists()
            pack.kill()
            until(lambda: path.exists() and path.read_text().endswith("\n"))
            document = json.loads(path.read_text())
            assert (document["event"], document["node"], document["battery"]) == ("UNAVAILABLE", "home", "b1")
            assert document["reason"]
            until(lambda: node.events("hook_done", battery="b1"))
            until(lambda: node.status("b1")["quality"] == "UNAVAILABLE")  # a last sample may still have been on the line
            assert node.terminate() == 0
