"""A driver from a package of its own: installed with pip, used by a daemon, tried by the kit; and what its loss does."""

import importlib.util
import json
import os
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest

from tests.support.packages import install_example, write_package
from tests.support.processes import BOSD, REPOSITORY, Node, battery, pseudo, until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example is installed."""
    return install_example(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def shunt(installed: Path) -> Iterator[str]:
    """The port of a simulated shunt that discharges with 4 A: the example's own, behind TCP."""
    spec = importlib.util.spec_from_file_location("bosd_driver_example", installed / "bosd_driver_example.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    device: Any = module.Bench()
    device.current_a, device.active = 4.0, set()

    class Answering(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(device.answer(line))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def on_path(*sites: Path) -> dict[str, str]:
    """Return the environment in which these directories are searched for packages."""
    return {"PYTHONPATH": os.pathsep.join([*map(str, sites), str(REPOSITORY)])}


def bosd(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    command, everything = [*BOSD, *arguments], {**os.environ, **environment}
    return subprocess.run(command, env=everything, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)


def topology(port: str) -> str:
    """Return a shunt beside another battery."""
    return battery("shunt", "example", port=port, baud=9600, max_staleness_s=5.0) + pseudo("p")


def again(directory: Path, port: str, *sites: Path) -> Node:
    """Return the node of a directory, started anew with other packages at hand; its address may change, its state does not."""
    return Node(directory, topology(port), environment=on_path(*sites))


def test_a_daemon_reads_it_and_the_kit_tries_it(tmp_path: Path, installed: Path, shunt: str) -> None:
    """Installed with pip, it is checked, read, refused a set point as a shunt should be, and passes the kit."""
    with Node(tmp_path, topology(shunt), environment=on_path(installed)) as node:
        checked = bosd(on_path(installed), "check", "--config", str(node.config))
        assert checked.returncode == 0, checked.stderr
        status = until(lambda: [each for each in node.ask("status", "shunt") if each["quality"] == "GOOD"])[0]
        assert (status["kind"], status["voltage_v"], status["current_a"]) == ("example", 13.25, 4.0)
        assert (status["charge_ah"], status["soc"], status["max_discharge_current_a"]) == (49.5, 0.495, 0.0)
        assert node.refusal("set", "shunt", "1")["reason"] == "UNSUPPORTED"
    tried = bosd(on_path(installed), "driver", "test", "example", "--hours", "0.05", "--reads", "200", "--json")
    assert tried.returncode == 0, tried.stdout + tried.stderr
    (card,) = json.loads(tried.stdout)
    assert (card["driver"], card["medium"], card["passed"]) == ("bosd-driver-example 1.0", "line", True)


def test_a_lost_or_broken_package_costs_its_battery_alone(tmp_path: Path, installed: Path, shunt: str) -> None:
    """Its battery is named as not usable and keeps its place in the topology; the other one is served, and all is well after."""
    with again(tmp_path, shunt, installed) as node:
        until(lambda: node.ask("status", "shunt")[0]["quality"] == "GOOD")
        written = node.ask("topology", "export")
    broken, twice = tmp_path / "broken", tmp_path / "twice"
    copytree(installed, broken)
    (broken / "bosd_driver_example.py").write_text("import bosd.no_such_module\n")
    write_package(twice, "other", {"example": "other:DRIVER"}, "DRIVER = None\n")
    for sites, why in (
        ((), 'no such kind: "example"'),
        ((broken,), "by bosd-driver-example 1.0 cannot be loaded: ModuleNotFoundError"),
        ((installed, twice), 'kind "example" is offered twice, by'),
    ):
        with again(tmp_path, shunt, *sites) as node:
            lost, other = node.ask("status", "shunt", "p")
            assert (lost["kind"], lost["quality"], lost["voltage_v"]) == ("example", "UNAVAILABLE", None)
            assert why in lost["reason"], lost["reason"]
            assert other["quality"] == "GOOD"
            assert node.ask("set", "p", "5", "--ttl", "30s")["applied_current_a"] == 5.0
            if not sites:
                assert node.ask("topology", "export") == written
                assert why in bosd(on_path(), "check", "--config", str(node.config)).stderr
            assert node.terminate() == 0
    with again(tmp_path, shunt, installed) as node:
        assert until(lambda: node.ask("status", "shunt")[0]["quality"] == "GOOD")


def test_a_first_start_without_the_package_is_refused(tmp_path: Path, shunt: str) -> None:
    """Nothing runs yet that could suffer: an unknown kind is a fault of the file."""
    node = Node(tmp_path, topology(shunt), environment=on_path())
    node.launch()
    assert node.wait() == 1
    assert 'battery[0] "shunt".kind: no such kind: "example"; known here: ' in node.output()
    rmtree(node.state_dir)


def test_a_defect_of_a_driver_is_its_battery_s(tmp_path: Path, installed: Path, shunt: str) -> None:
    """What a driver raises that is no error of the port is told as its defect, once in the log."""
    code = (installed / "bosd_driver_example.py").read_text().replace('said.get("V")', 'said["U"]')
    site = write_package(tmp_path / "site", "bosd_driver_example", {"example": "bosd_driver_example:DRIVER"}, code)
    with again(tmp_path, shunt, site) as node:
        until(lambda: "defect of its driver: read raised KeyError: 'U'" in node.ask("status", "shunt")[0]["reason"])
        assert node.ask("status", "p")[0]["quality"] == "GOOD"
        assert len(node.events("driver_defect")) == 1


def test_a_battery_that_its_driver_cannot_make_is_no_edit(tmp_path: Path, installed: Path, shunt: str) -> None:
    """It is refused before anything is stored."""
    code = (installed / "bosd_driver_example.py").read_text().replace("make=Shunt", "make=lambda spec, context: 1 / 0")
    site = write_package(tmp_path / "site", "bosd_driver_example", {"example": "bosd_driver_example:DRIVER"}, code)
    added = tmp_path / "added.toml"
    added.write_text(battery("shunt", "example", port=shunt))
    with Node(tmp_path, pseudo("p"), environment=on_path(site)) as node:
        refused = node.refusal("add", str(added))
        assert "the driver of kind example cannot make it: ZeroDivisionError" in refused["message"]
        assert [each["name"] for each in node.ask("status")] == ["p"]
        assert node.ask("topology", "show")["revision"] == 1
