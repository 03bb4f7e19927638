"""`bosd backup` of a running daemon and `bosd restore` of a stopped one, as people run them."""

from pathlib import Path

from tests.support.forked import Done, run_process
from tests.support.processes import REPOSITORY, Node, pseudo


def bosd(*arguments: object) -> Done:
    """Run `bosd`; return exit status, stdout and stderr."""
    return run_process("bosd", [*map(str, arguments)], REPOSITORY, 60.0)


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
