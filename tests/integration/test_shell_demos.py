"""The earlier demo topologies as scripts wrote them: packs on serial ports, aggregated, split, and across two nodes."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.forked import run_process
from tests.support.processes import BOSCTL, REPOSITORY, START_S, Pack, free_port

SPLIT_AND_AGGREGATED_AGAIN = """
# two packs as one, that one as two; one part split again, and parts aggregated again
make battery b1 JBDBMS UART {b1}
make battery b2 JBDBMS UART {b2}
make battery b3 JBDBMS UART {b3}
mk aggregator agg b1,b2 13.3 1
mk splitter policy sp proportional agg sp1
mk splitter battery sp2 sp s=40,mc=80,mdc=60,mcc=60 sp1
mk splitter policy spsp tranche sp2 sp2a
mk splitter battery sp2b' spsp s=10,mc=20,mdc=20,mcc=20 sp2a
mk aggregator again sp2a,b3 13.3 1
refresh once again
stat b1 b2 b3 agg sp1 sp2 sp2a sp2b' again
"""

FIRST_NODE = """
make battery b1 JBDBMS UART {b1}
make battery b2 JBDBMS UART {b2}
make aggregator agg b1,b2 13.3 1
make splitter policy sp proportional agg sp1
make splitter battery sp2 sp s=60,mc=100,mdc=100,mcc=100 sp1
server start {port}
"""

SECOND_NODE = """
make battery b3 JBDBMS UART {b3}
make network far sp2 TCP 127.0.0.1 {port}
make aggregator both far,b3 13.3 1
refresh once both
stat far b3 both
remove both
rm far
list
"""


def _run(script: Path, *options: str) -> list[Any]:
    done = run_process("bosctl", ["--json", "shell", "--local", str(script), *options], REPOSITORY, 90.0)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def _packs(directory: Path) -> Iterator[dict[str, Path]]:
    """Run three packs of 100 Ah at 60, 60 and 30 %; yield their ports by name."""
    with ExitStack() as stack:
        packs = {
            name: stack.enter_context(Pack(directory, name, capacity_ah=100, soc=soc))
            for name, soc in (("b1", 0.6), ("b2", 0.6), ("b3", 0.3))
        }
        yield {name: pack.port for name, pack in packs.items()}


def test_packs_are_aggregated_split_split_and_aggregated_again(tmp_path: Path) -> None:
    """120 of 200 Ah are 80 + 40 Ah, the 40 are 30 + 10 Ah, and 30 with the third pack's 30 are 60 Ah; limits are 100 A a pack."""
    script = tmp_path / "demo.bos"
    with _packs(tmp_path) as ports:
        script.write_text(SPLIT_AND_AGGREGATED_AGAIN.format(**ports))
        printed = _run(script)
    made = [each for each in printed if "current_control" in each]
    assert [(each["name"], each["current_control"], each["ideal_max_charge_current_a"]) for each in made] == [
        (name, "none", 100.0) for name in ("b1", "b2", "b3")
    ]
    given = {each["name"]: each["given"] for each in printed if "given" in each}
    assert given["sp2"]["charge_ah"] == pytest.approx(40.0)
    assert given["sp2b'"]["capacity_ah"] == pytest.approx(20.0)
    statuses = {each["name"]: each for each in printed if "quality" in each}
    assert all(each["quality"] == "GOOD" for each in statuses.values())
    charges_ah = {name: each["charge_ah"] for name, each in statuses.items()}
    expected_ah = {"agg": 120.0, "sp1": 80.0, "sp2": 40.0, "sp2a": 30.0, "sp2b'": 10.0, "again": 60.0}
    assert {name: charges_ah[name] for name in expected_ah} == pytest.approx(expected_ah, abs=0.2)
    assert statuses["agg"]["ideal_max_discharge_current_a"] == pytest.approx(200.0)
    assert statuses["again"]["capacity_ah"] == pytest.approx(60.0 + 100.0, abs=0.2)
    assert statuses["again"]["commandable"] is False


def test_a_partition_of_one_node_is_aggregated_on_another(tmp_path: Path) -> None:
    """The second shell reaches 60 of the first's 120 Ah over `server start` and adds its own pack's 30 Ah."""
    port = free_port()
    first, second = tmp_path / "first.bos", tmp_path / "second.bos"
    with _packs(tmp_path) as ports:
        first.write_text(FIRST_NODE.format(**ports, port=port))
        second.write_text(SECOND_NODE.format(**ports, port=port))
        command = [*BOSCTL, "--json", "shell", "--local", str(first), "-"]
        node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        try:
            assert node.stdout is not None
            for line in node.stdout:
                if "listening" in line:
                    assert json.loads(line) == {"listening": f"127.0.0.1:{port}"}
                    break
            printed = _run(second)
            node.communicate(f"server stop {port}\n", timeout=START_S)
        finally:
            node.kill()
    assert node.returncode == 0
    statuses = {each["name"]: each for each in printed if isinstance(each, dict) and "quality" in each}
    assert {name: each["charge_ah"] for name, each in statuses.items()} == pytest.approx(
        {"far": 60.0, "b3": 30.0, "both": 90.0}, abs=0.2
    )
    assert statuses["far"]["link"] == "ready"
    assert printed[-1] == [{"name": "b3", "kind": "jbd"}]


def test_a_port_without_a_pack_ends_the_script_with_its_line(tmp_path: Path) -> None:
    """`make battery` of a port that is not there is refused after its time-out, and leaves nothing behind."""
    script = tmp_path / "demo.bos"
    script.write_text(f"make battery b1 JBDBMS UART {tmp_path}/none\n")
    done = run_process("bosctl", ["--json", "shell", "--local", str(script)], REPOSITORY, 90.0)
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert done.returncode == 1
    assert error["reason"] == "UNAVAILABLE"
    assert (error["metadata"]["file"], error["metadata"]["line"]) == (str(script), "1")
