"""The error tree: everything `bosd` refuses or fails with on purpose.

Each leaf carries a `reason`, the word callers and machines rely on, and `metadata`, the data behind the message.
Anything that is not a `BosError` is a programming error and stops the daemon.
"""

from typing import ClassVar


class BosError(Exception):
    """Root of every deliberate refusal or failure; `metadata` holds its data as strings."""

    reason: ClassVar[str] = "INTERNAL"
    audited = False
    """Whether the audit has it already."""

    def __init__(self, message: str, /, **metadata: object) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = {key: str(value) for key, value in metadata.items()}

    def also(self, message: str, /, **metadata: object) -> None:
        """Say more of what it means."""
        self.message = f"{self.message}; {message}"
        self.args = (self.message,)
        self.metadata.update({key: str(value) for key, value in metadata.items()})


class RequestError(BosError):
    """The caller must change the request."""


class TransientError(BosError):
    """Trying again later may work; supervisors retry these and nothing else."""


class BadNameError(RequestError):
    """No such battery, splitter or policy."""

    reason = "BAD_NAME"


class NameTakenError(RequestError):
    """The name exists already."""

    reason = "NAME_TAKEN"


class InvalidArgumentError(RequestError):
    """A malformed, non-finite or out-of-range argument."""

    reason = "INVALID_ARGUMENT"


class ConfigError(InvalidArgumentError):
    """A fault in a configuration or topology file; `metadata["path"]` names the place."""


class CurrentOutOfRangeError(RequestError):
    """A new request outside what the battery can do now; metadata: asked_a, lower_a, upper_a."""

    reason = "CURRENT_OUT_OF_RANGE"


class NoResourcesError(RequestError):
    """More is asked for than is left, or a bound on peers, streams or sizes is reached."""

    reason = "NO_RESOURCES"


class BatteryInUseError(RequestError):
    """The battery is a source of another one; metadata: users."""

    reason = "BATTERY_IN_USE"


class ClaimedError(RequestError):
    """Somebody else's set point is alive; metadata: holder, remaining_s."""

    reason = "CLAIMED"


class StoppedError(RequestError):
    """The battery is stopped; `release` it first."""

    reason = "STOPPED"


class CycleError(RequestError):
    """A battery would rest on itself; metadata: cycle."""

    reason = "CYCLE"


class VoltageMismatchError(RequestError):
    """An aggregate's member lies outside its voltage tolerance."""

    reason = "VOLTAGE_MISMATCH"


class UnsupportedError(RequestError):
    """The device, or a member, cannot do this."""

    reason = "UNSUPPORTED"


class StaleRevisionError(RequestError):
    """The edit was made against a topology revision that has moved on; metadata: expected, actual."""

    reason = "STALE_REVISION"


class FencedError(RequestError):
    """The command comes from a session that has been superseded."""

    reason = "FENCED"


class NotAllowedError(RequestError):
    """The caller's role or ownership does not permit this."""

    reason = "NOT_ALLOWED"


class UnauthenticatedError(RequestError):
    """The caller has no identity."""

    reason = "UNAUTHENTICATED"


class UnavailableError(TransientError):
    """A device, link or node is down, or did not answer in time."""

    reason = "UNAVAILABLE"


class ShuttingDownError(TransientError):
    """The daemon is stopping and takes no new work."""

    reason = "SHUTTING_DOWN"


class StoreError(TransientError):
    """The store could not be read or written; raising requests are refused while it lasts."""

    reason = "STORE_FAILED"


class InDoubtError(StoreError):
    """The store did not answer in time, and may have written it all the same, or may yet."""


class DriverError(TransientError):
    """The device answered nonsense or refused."""

    reason = "DRIVER_ERROR"


class NotFollowedError(DriverError):
    """The device does not do what it was told; metadata: commanded_a, held_a, measured_a."""

    reason = "NOT_FOLLOWED"
