"""A daemon with an `[eebus]` section: real processes, the mock as its managed binary, timers set low for a trial."""

import sys
from pathlib import Path

import psutil

from tests.support.eebus_site import SKI, STATE_KEYS
from tests.support.processes import REPOSITORY, Node, free_port, pseudo, table, until


def section(tmp_path: Path, box: str, **keys: object) -> str:
    """Return an `[eebus]` section whose binary is the mock, with a control box that does `box`."""
    program = tmp_path / "eebus_grpc_api"
    program.write_text(f'#!/bin/sh\ncd {REPOSITORY}\nexec {sys.executable} -m tests.support.eebus_mock {box} "$@"\n')
    program.chmod(0o700)
    return table(
        "[eebus]",
        {
            "battery": "site",
            "vendor_code": "v",
            "device_brand": "b",
            "device_model": "m",
            "serial_number": "s",
            "eebus_ems_ski": SKI,
            "eebus_grpc_api_binary_path": str(program),
            "grpc_port": free_port(),
            "call_deadline_s": 20.0,
            "restart_delay_s": 0.2,
            "reconnect_delay_s": 0.2,
            "tick_s": 0.1,
            **keys,
        },
    )


def mine(node: Node) -> psutil.Process:
    """Return the binary that a node runs."""
    pid = until(lambda: node.events("eebus_binary_started"), because="the binary is started")[-1]["pid"]
    return psutil.Process(pid)


def test_a_limit_is_followed_seen_and_kept(tmp_path: Path) -> None:
    """From the box to `bosctl`; a SIGKILL of the service brings a new one, one of the daemon leaves no process and no gap."""
    text = pseudo("site") + section(tmp_path, "--heartbeat 0.3 --limit 3000 --after 0.5 --duration 600")
    with Node(tmp_path, text) as node:
        until(lambda: node.events("eebus_published", state="Limited"), because="the limit is there", timeout_s=30.0)
        seen = node.ask("limits", "eebus")
        assert seen.keys() >= STATE_KEYS
        assert (seen["limit_w"], seen["bound_ski"], seen["connected"], seen["statement"]) == (3000.0, SKI, True, "limited")
        assert 580.0 < seen["time_left_s"] <= 600.0
        assert seen["last_transition"]["to"] == "Limited"
        first = mine(node)
        first.kill()
        until(lambda: len(node.events("eebus_connected")) == 2, because="a new service is joined", timeout_s=30.0)
        assert len(node.events("eebus_binary_started")) == 2
        history = node.ask("limits", "eebus", "history")
        assert [(each["state"], each["limit_w"]) for each in history[:2]] == [("Init", 4200.0), ("Limited", 3000.0)]
        assert all(each.keys() >= {"at", "state", "limit_w", "until", "reason"} for each in history)
        writes = [each for each in node.ask("audit") if each["action"] == "eebus write"]
        assert writes[0]["who"] == f"eebus:{SKI}"
        second = mine(node)
        node.power_cut()
        until(lambda: not second.is_running() or second.status() == psutil.STATUS_ZOMBIE, because="the binary died with it")
        node.start()
        again = node.ask("limits", "eebus", "history")
        assert [each["number"] for each in again[: len(history)]] == [each["number"] for each in history]
        began = next(each for each in again[len(history) - 1 :] if each["reason"] == "start")
        assert (began["state"], began["limit_w"]) == ("Init", 3000.0)
        last = mine(node)
        assert node.terminate() == 0
        assert not last.is_running()
