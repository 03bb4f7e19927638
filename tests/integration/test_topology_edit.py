"""`topology edit` and `topology graph` as a person runs them, against a running node."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import BOSCTL, REPOSITORY, Node, aggregator, pseudo, table


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Two batteries as one, split for two."""
    parts = [{"name": "ann", "fraction": 0.5}, {"name": "bob", "fraction": 0.5}]
    split = table("[[splitter]]", {"name": "house", "policy": "reserved", "source": "bank", "partitions": parts})
    with Node(tmp_path, pseudo("b1") + pseudo("b2") + aggregator("bank", "b1", "b2") + split) as node:
        yield node


def run(node: Node, *arguments: str, editor: str = "", answer: str = "") -> subprocess.CompletedProcess[str]:
    """Run `bosctl` for a person with this editor, who types `answer`."""
    environment = {**os.environ, "EDITOR": editor, "VISUAL": "", "TMPDIR": str(node.config.parent), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [*BOSCTL, "--target", node.target, *arguments],
        input=answer,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        cwd=REPOSITORY,
        env=environment,
    )


def kept(node: Node) -> list[Path]:
    """Return the texts that were not thrown away."""
    return list(node.config.parent.glob("home-topology-*.toml"))


def test_an_edit_is_planned_and_applied_once_it_is_agreed_to(node: Node) -> None:
    """The plan is shown; `n` changes nothing and keeps the text, `y` applies it and leaves no file behind."""
    refused = run(node, "topology", "edit", editor="sed -i s/100.0/80.0/", answer="n\n")
    assert refused.returncode == 0
    assert "~ b1 (pseudo): capacity_ah 100.0 -> 80.0" in refused.stdout
    assert len(kept(node)) == 1
    assert str(kept(node)[0]) in refused.stderr
    assert node.status("bank")["capacity_ah"] == 200.0
    done = run(node, "topology", "edit", "-m", "smaller", editor="sed -i s/100.0/80.0/", answer="y\n")
    assert "revision 2 is in force" in done.stdout
    assert node.status("bank")["capacity_ah"] == 160.0
    assert node.ask("topology", "history")[0]["comment"] == "smaller"
    assert len(kept(node)) == 1


def test_an_edit_that_cannot_be(node: Node) -> None:
    """A refused text is kept; an editor that fails, or is not there, or changes nothing, changes nothing."""
    refused = run(node, "topology", "edit", "--yes", editor="sed -i /sources/s/b1/b9/")
    assert (refused.returncode, len(kept(node))) == (1, 1)
    assert 'no battery "b9"' in refused.stderr
    assert run(node, "topology", "edit", editor="false").returncode == 1
    assert run(node, "topology", "edit", editor="/no/such/editor").returncode == 2
    assert "nothing changes" in run(node, "topology", "edit", editor="true").stdout
    assert len(kept(node)) == 1
    assert node.ask("topology", "show")["revision"] == 1


def test_json_asks_nothing(node: Node) -> None:
    """With --json one document, and only with --yes."""
    assert run(node, "--json", "topology", "edit", editor="true").returncode == 2
    done = run(node, "--json", "topology", "edit", "--yes", editor="sed -i s/100.0/90.0/")
    assert done.stdout.count("\n") == 1
    assert '"revision": 2' in done.stdout


def test_the_picture(node: Node) -> None:
    """What the demo of a home looks like: text for a terminal, DOT, SVG, and the same as a document."""
    text = run(node, "topology", "graph").stdout
    assert "reserved" in text
    assert "50 %" in text
    assert run(node, "topology", "graph", "--format", "dot").stdout.startswith("digraph ")
    assert run(node, "topology", "graph", "--format", "svg").stdout.startswith("<svg ")
    document = node.ask("topology", "graph")
    assert {box["name"] for box in document["boxes"]} == {"b1", "b2", "bank", "house", "ann", "bob"}
    assert run(node, "topology", "graph", "--format", "png").returncode == 2
