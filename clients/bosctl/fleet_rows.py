"""The nodes of a fleet as rows: what `fleet ls --json` prints, what selectors look at, what the table shows."""

from collections.abc import Iterable
from typing import Any

from bosd.v1 import fleet_pb2 as pb
from clients.bosctl.errors import ExitStatus
from clients.bosctl.format_json import link_word

DONE = "DONE"
NOT_ASKED = "NOT_ASKED"
UNAVAILABLE = "UNAVAILABLE"
_STATES = {1: "STARTING", 2: "OK", 3: "DEGRADED", 4: "BLOCKED"}

Row = dict[str, Any]


def state_word(response: pb.ListPeersResponse) -> str:
    """Return the state of the whole in capitals."""
    return _STATES.get(response.system_state, str(response.system_state))


def rows(response: pb.ListPeersResponse) -> list[Row]:
    """Return the node that was asked, then those it knows; what is unknown is None."""
    return [_own_row(response.own), *(_row(peer) for peer in response.peers)]


def _own_row(own: pb.NodeFacts) -> Row:
    return {
        "node": own.node,
        "target": None,
        "address": None,
        "state": "local",
        "status": DONE,
        "message": "",
        "age_s": 0.0,
        "required": False,
        "stubs": [],
        "boot_id": own.boot_id,
        "epoch": None,
        "round_trip_s": None,
        "clock_ahead_s": 0.0,
        "lag_s": None,
        "agreed_digest": None,
        "maintenance_s": None,
        "maintenance_reason": "",
        "epoch_here": None,
        "lease_left_s": None,
        **facts_row(own, drifted=False),
        "facts_age_s": 0.0,
    }


def _row(peer: pb.Peer) -> Row:
    state = link_word(peer.link) or ("session" if peer.HasField("lease_left_s") else "lost")
    if not peer.target and peer.HasField("maintenance_s") and state == "lost":
        state = "expected_down"
    return {
        "node": peer.node or None,
        "target": peer.target or None,
        "address": peer.address or None,
        "state": state,
        "status": peer.failure or (DONE if peer.target else NOT_ASKED),
        "message": peer.failure_message or peer.reason,
        "age_s": _optional(peer, "answer_age_s"),
        "required": peer.required,
        "stubs": list(peer.stubs),
        "boot_id": peer.boot_id or None,
        "epoch": peer.epoch or None,
        "round_trip_s": _optional(peer, "round_trip_s"),
        "clock_ahead_s": _optional(peer, "clock_ahead_s"),
        "lag_s": peer.lag_s if peer.agreed_digest else None,
        "agreed_digest": peer.agreed_digest or None,
        "maintenance_s": _optional(peer, "maintenance_s"),
        "maintenance_reason": peer.maintenance_reason,
        "epoch_here": peer.epoch_here or None,
        "lease_left_s": _optional(peer, "lease_left_s"),
        **facts_row(peer.facts if peer.HasField("facts") else None, drifted=peer.drifted),
        "facts_age_s": _optional(peer, "facts_age_s"),
    }


def facts_row(facts: pb.NodeFacts | None, *, drifted: bool) -> Row:
    """Return what a node says of itself; `drift` lists how its configuration is another one than agreed, or than its file."""
    drift = ["changed"] if drifted else []
    if facts is None:
        keys = ("version", "protocol", "clock_trusted", "certificate_days_left", "batteries", "errors", "config_digest")
        return {**dict.fromkeys(keys), "clock_doubt": "", "uptime_s": None, "worst_lag_s": None, "drift": drift, "parted": ""}
    return {
        "version": facts.version,
        "protocol": facts.protocol,
        "clock_trusted": not facts.clock_doubt,
        "certificate_days_left": _optional(facts, "certificate_days_left"),
        "batteries": facts.batteries,
        "errors": facts.errors,
        "config_digest": facts.config_digest,
        "clock_doubt": facts.clock_doubt,
        "uptime_s": facts.uptime_s,
        "worst_lag_s": facts.worst_lag_s,
        "drift": [*drift, "file"] if facts.parted else drift,
        "parted": facts.parted,
    }


def _optional(message: Any, field: str) -> float | None:  # noqa: ANN401 (messages of two types)
    return getattr(message, field) if message.HasField(field) else None


def exit_status(statuses: Iterable[str]) -> ExitStatus:
    """Return what the shell sees: 0 where all is done, 3 where nodes were not reached, 1 where one was refused."""
    failed = {status for status in statuses if status not in (DONE, NOT_ASKED)}
    if not failed:
        return ExitStatus.DONE
    return ExitStatus.UNREACHABLE if failed == {UNAVAILABLE} else ExitStatus.REFUSED
