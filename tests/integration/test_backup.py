"""`bosd backup` of a running daemon and `bosd restore` of a stopped one, as people run them."""

import subprocess
from pathlib import Path

from tests.support.processes import BOSD, REPOSITORY, Node, pseudo


def bosd(*arguments: object) -> tuple[int, str, str]:
    """Run `bosd`; return exit status, stdout and stderr."""
    command = [*BOSD, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=REPOSITORY)
    return done.returncode, done.stdout, done.stderr


def test_backup_while_running_restore_when_stopped(tmp_path: Path) -> None:
    """The topology of the backup is in force after the restore, a later edit is not; a running daemon is left alone."""
    archive, spare = tmp_path / "node.tar.gz", tmp_path / "spare.toml"
    spare.write_text(pseudo("spare"))
    with Node(tmp_path, pseudo("p")) as node:
        node.ask("stop", "p")
        status, out, _ = bosd("backup", archive, "--config", node.config)
        assert (status, out.startswith(f"{archive}: 1 files")) == (0, True)
        node.ask("add", str(spare))
        status, _, error = bosd("restore", archive, "--config", node.config)
        assert (status, "in use by another bosd" in error) == (1, True)
        assert node.terminate() == 0
        status, out, _ = bosd("restore", archive, "--config", node.config)
        assert (status, "kept as bosd.sqlite.before-restore" in out) == (0, True)
        node.start()
        assert set(node.statuses()) == {"p"}
        assert "stopped" in node.status("p")["reason"]
        assert node.ask("audit", "--verify")
