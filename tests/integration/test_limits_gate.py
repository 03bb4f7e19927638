"""A limit in watts on a simulated pack that can only be switched, from end to end (control.md, "Limits over a distance")."""

import time
from pathlib import Path

import pytest

from bosd.limits.gates import ABOVE_S
from tests.support.fifth import stamp_s
from tests.support.processes import Node, Pack, until

pytestmark = pytest.mark.timeout(120)
OPEN_S = 3.0
"""A twentieth of the minute that a direction stays open (control.md), so that the test takes seconds."""
PRELUDE = f"import bosd.limits.gates\nbosd.limits.gates.OPEN_S = {OPEN_S}"
LIMITS = {"max_charge_current_a": 30.0, "max_discharge_current_a": 60.0, "refresh_period_s": 0.5}


def switches(pack: Pack) -> tuple[bool, bool]:
    """Return whether charging and discharging conduct, as the board has it."""
    state = pack.tell("get")["state"]
    return bool(state["charge_fet"]), bool(state["discharge_fet"])


def test_it_opens_stays_open_over_a_restart_and_closes(tmp_path: Path) -> None:
    """12 A at 13.2 V are 158 W: 100 W open the charging direction alone after 2 s."""
    with Pack(tmp_path, "p", series=4) as pack:
        pack.tell("set", load_current_a=-12.0)
        with Node(tmp_path, pack.toml("b", current_control="gate", **LIMITS), prelude=PRELUDE) as node:
            until(lambda: node.status("b")["current_a"] == -12.0, because="it charges")
            node.ask("limits", "set", "b", "charge", "100W")
            put_s = stamp_s(node.events("limit_put")[0])
            until(lambda: switches(pack) == (False, True), because="the charging direction is open", timeout_s=10.0)
            opened_s = stamp_s(node.events("gate_opened", battery="b", direction="charge", limited="b")[0])
            assert opened_s - put_s >= ABOVE_S - 0.3  # from the look at which it was above
            until(lambda: node.status("b")["current_a"] == 0.0, because="nothing flows")
            (limit,) = node.ask("limits")
            assert (limit["enforceable"], limit["bound_s"]) == (True, 1.0)
            assert limit["reason"] == "charge direction opened, as it was above the limit: b"

            node.kill()
            node.start()
            until(lambda: node.events("gate_opened"), because="it takes up what is open")
            time.sleep(OPEN_S + 0.5)
            assert switches(pack) == (False, True)
            node.ask("limits", "rm", "b", "charge")
            until(lambda: switches(pack) == (True, True), because="the limit is gone", timeout_s=20.0)
            until(lambda: node.status("b")["current_a"] == -12.0, because="it charges")
