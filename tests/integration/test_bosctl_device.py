"""`bosctl device` and the named facts of a status, from a simulated pack on a pseudo-terminal through a running node."""

from pathlib import Path

import pytest

from tests.support.processes import Node, Pack, until

EXTRA = 'chemistry = "lfp"\nread_protection = true\nmax_discharge_current_a = 250.0\nmax_charge_current_a = 250.0\n'


def test_a_device_through_a_node(tmp_path: Path) -> None:
    """Identity, trip points, limits with their sources, counts, switches and traffic; a battery without a device is refused."""
    pseudo = '[[battery]]\nname = "p"\nkind = "pseudo"\nvoltage_v = 13.2\ncharge_ah = 1.0\ncapacity_ah = 2.0\n'
    pseudo += "max_discharge_current_a = 1.0\nmax_charge_current_a = 1.0\n"
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, pack.toml("b1", refresh_period_s=0.2) + EXTRA + pseudo) as node:
        until(lambda: "hardware" in node.ask("device", "b1")["identity"] and node.ask("device", "b1")["trips"])
        pack.tell("set", cell_v=[3.3, 3.525, 3.3, 3.3], charge_enabled=False)
        until(lambda: node.status("b1")["charge_switch_closed"] is False)
        status = node.status("b1")
        assert status["discharge_switch_closed"] is True
        assert status["balancing_cells"] == []
        device = node.ask("device", "b1")
        assert device["identity"]["hardware"] == "BOSD-SIM-JBD"
        assert device["identity"]["trip: charge_overcurrent"] == "230.0 A"
        limits = {(each["direction"], each["source"]): each["limit_a"] for each in device["limits"]}
        assert limits["charge", "configured"] == 250.0
        assert limits["charge", "the board trips at 230 A"] == 230.0
        assert limits["charge", "derated to 50 %: highest cell at 3.525 V"] == pytest.approx(125.0)
        assert device["flags"]["locked_by_command"] is True
        traffic = device["traffic"]
        assert traffic["replies"] >= 10
        latencies = [traffic[f"latency_{each}_s"] for each in ("min", "median", "p95", "max")]
        assert latencies == sorted(latencies)
        assert latencies[0] > 0.0
        assert "charge limited to 125 A" in status["reason"]
        assert node.refusal("device", "p")["reason"] == "UNSUPPORTED"
