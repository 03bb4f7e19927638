"""A world in which a node looks, beats and records so many times slower, for stories of days."""

import importlib

import pytest

from bosd.fleet.timers import SessionTimers
from bosd.rpc.link_timers import LinkTimers

PERIODS = {
    "bosd.limits.book": ("IDLE_S", "LOOK_S"),
    "bosd.limits.forgotten": ("LOOK_S",),
    "bosd.node.alone": ("IDLE_S", "LOOK_S"),
    "bosd.node.bases": ("LOOK_S",),
    "bosd.node.hub": ("LONGEST_BEAT_S",),
    "bosd.node.ledger": ("COMMIT_PERIOD_S",),
    "bosd.node.late_stops": ("LOOK_S",),
    "bosd.node.node": ("LONGEST_AGEING_S",),
    "bosd.node.noticed": ("LOOK_S",),
    "bosd.node.read_back": ("LOOK_S",),
    "bosd.node.stops": ("RECORD_PAUSE_S",),
    "tests.support.fleet.channels": ("KEEPALIVE_S", "_LOOK_S"),
}
"""What a node does each second or so, beside its sessions."""


def slow_down(monkeypatch: pytest.MonkeyPatch, times: float) -> LinkTimers:
    """Make every period of a node so many times its default; return the same for its links and their sessions."""
    for module, names in PERIODS.items():
        for name in names:
            monkeypatch.setattr(f"{module}.{name}", times * getattr(importlib.import_module(module), name))
    link, session = LinkTimers(), SessionTimers()
    return LinkTimers(
        lost_s=times * link.lost_s,
        first_s=times * link.first_s,
        probe_period_s=times * link.probe_period_s,
        session=SessionTimers(
            heartbeat_s=times * session.heartbeat_s,
            stale_s=times * session.stale_s,
            lease_s=times * session.lease_s,
            max_command_age_s=times * session.max_command_age_s,
        ),
    )
