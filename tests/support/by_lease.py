"""The double of a session's fence: one lease, and nothing that is fenced."""

from bosd.bal.setpoint import Lease


class ByLease:
    """Lets every command pass, by one lease."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def stands(self, battery: str) -> bool:
        """Return that it does."""
        return bool(battery)

    def check(self, battery: str, *, lowers: bool) -> Lease | None:
        """Return the lease."""
        del battery, lowers
        return self._lease
