"""The `[fleet]` section: the times of sessions with other nodes."""

from dataclasses import dataclass

from bosd.config.faults import FileFaults

_LONGEST_LEASE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetConfig:
    """Times of sessions in seconds; what they mean is in control.md, "The two ends of a set point".

    `required` names nodes, by name or target, without which the system is BLOCKED.
    """

    heartbeat_s: float = 0.5
    stale_s: float = 1.5
    lease_s: float = 3.0
    max_command_age_s: float = 1.0
    required: tuple[str, ...] = ()


def check_fleet(fleet: FleetConfig, faults: FileFaults) -> None:
    """Add what does not fit together (satellites.md 3.2)."""
    for index, node in enumerate(fleet.required):
        if not node or node in fleet.required[:index]:
            faults.add(f"fleet.required[{index}]", f"{node!r} is named twice" if node else "is empty: name a node")
    if not 0.0 < fleet.lease_s <= _LONGEST_LEASE_S:
        faults.add("fleet.lease_s", f"{fleet.lease_s!r} is not above 0 and at most {_LONGEST_LEASE_S:g} s")
        return
    if not 0.0 < fleet.heartbeat_s <= fleet.lease_s / 4.0:
        faults.add(
            "fleet.heartbeat_s", f"{fleet.heartbeat_s!r} is not above 0 and at most a quarter of lease_s ({fleet.lease_s!r})"
        )
        return
    for key, value in (("stale_s", fleet.stale_s), ("max_command_age_s", fleet.max_command_age_s)):
        if not fleet.heartbeat_s < value < fleet.lease_s:
            faults.add(
                f"fleet.{key}", f"{value!r} is not between heartbeat_s ({fleet.heartbeat_s!r}) and lease_s ({fleet.lease_s!r})"
            )
