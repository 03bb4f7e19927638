"""A killed owner whose pack opens its switches: its guard acts, and the node that commanded it from afar knows; a fifth."""

from pathlib import Path

from bosd.safeguard.report import read_report
from tests.support.fifth import FIFTH, applied, asked, errors, fleet, ready, stub
from tests.support.processes import Node, Pack, until

LIMITS = {"max_discharge_current_a": 60.0, "max_charge_current_a": 30.0}


def switches(pack: Pack) -> tuple[bool, bool]:
    """Return whether charge and discharge are switched on at the board."""
    state = pack.tell("get")["state"]
    return bool(state["charge_enabled"]), bool(state["discharge_enabled"])


def test_a_killed_owner_with_a_guard(tmp_path: Path) -> None:
    """Open by the guard, named lost by the controller; started again, it is read, ready, and asked again, all of it once."""
    with Pack(tmp_path, "pack") as pack:
        gate = pack.toml("b", current_control="gate", safe="open", refresh_period_s=0.2, **LIMITS)
        hut = Node(tmp_path / "hut", FIFTH + gate, name="hut")
        with hut, Node(tmp_path / "home", FIFTH + stub("far", hut), name="home") as home:
            ready(home, "far")
            asked(home, "far", 10.0)
            assert switches(pack) == (False, True)

            hut.kill()
            report = until(lambda: read_report(hut.state_dir), because="the guard has acted")
            assert report is not None
            assert [(each["name"], each["action"], each["confirmed"]) for each in report["devices"]] == [("b", "open", True)]
            assert switches(pack) == (False, False)
            until(lambda: home.status("far")["link"] == "lost", because="the controller hears nothing")
            status = home.status("far")
            assert not status["commandable"]
            assert fleet(home)["hut"]["state"] == "lost"
            until(lambda: errors(home) == [("MEDIUM", "LINK_LOST", "node:hut")], because="its loss is one error")

            hut.start()
            ready(home, "far")
            until(lambda: switches(pack) == (False, True), because="what is still wanted is asked again")
            until(lambda: applied(hut, "b") == 10.0, because="it is back, ramped from nothing")
            until(lambda: not errors(home), because="all is well again")
            assert len(home.events("peer_restarted")) == 1
            assert len(home.events("error_raised", type="LINK_LOST")) == 1
            assert home.ask("set", "far", "none")["requested_current_a"] is None
            assert len([each for each in hut.ask("audit") if each["action"] == "guard"]) == 1
