"""How long the two ends of a session wait for each other."""

from dataclasses import dataclass

from bosd.config.fleet import time_faults
from bosd.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTimers:
    """Times of a session in seconds (control.md, "The two ends of a set point" and "Quality, link and commandability")."""

    heartbeat_s: float = 0.5
    stale_s: float = 1.5
    lease_s: float = 3.0
    max_command_age_s: float = 1.0
    sync_pause_s: float = 2.0
    crash_window_s: float = 60.0
    crash_pause_s: float = 60.0

    def __post_init__(self) -> None:
        """Raise ConfigError where the times do not fit together (satellites.md 3.2)."""
        for key, fault in time_faults(self):
            raise ConfigError(f"{key}: {fault}")

    @property
    def margin_s(self) -> float:
        """What clocks may drift within a lease: 1 % of it, at least 20 ms (satellites.md 3.2)."""
        return max(0.02, 0.01 * self.lease_s)

    def safe_within_s(self, let_go_s: float) -> float:
        """Return the time from a controller's last received reply until a device that lets go within `let_go_s` is safe.

        control.md, "When something dies".
        """
        return self.max_command_age_s + self.lease_s + self.margin_s + let_go_s
