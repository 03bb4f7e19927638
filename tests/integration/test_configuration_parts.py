"""Where the configuration file and the stored topology part ways, the node says so: in its log, `doctor` and `topology show`."""

from pathlib import Path

from tests.support.forked import run_process
from tests.support.processes import REPOSITORY, Node, pseudo


def test_doctor_and_show_name_the_difference(tmp_path: Path) -> None:
    """An edit by command parts them, also after a restart, until it is taken back."""
    spare = tmp_path / "spare.toml"
    spare.write_text(pseudo("spare"))
    with Node(tmp_path, pseudo("p")) as node:
        assert node.ask("doctor")["advice"] == []
        node.ask("add", str(spare))
        assert node.terminate() == 0
        node.start()
        (advice,) = node.ask("doctor")["advice"]
        assert "configuration file differs" in advice
        assert "the file would remove spare" in advice
        assert "to keep what is in force" in advice, "what was added by hand is not advised away alone"
        shown = run_process("bosctl", ["--target", node.target, "topology", "show"], REPOSITORY, 30.0).stdout
        assert "the file would remove spare" in " ".join(shown.split())
        node.ask("rm", "spare")
        assert node.ask("doctor")["advice"] == []
