"""The line of a JBD battery, with what its Bluetooth module wants before it passes frames."""

from bosd.bal.spec import JbdSpec
from bosd.drivers.kind import DriverContext
from bosd.drivers.lines import LinePart


def line_of(spec: JbdSpec, context: DriverContext) -> LinePart:
    """Return the battery's part in its line. Raises ConfigError for an unusable port or password of the module."""
    greeting = None
    if spec.ble_password_file is not None:
        from bosd.drivers.jbd.unlock import Unlock, read_password  # noqa: PLC0415 (most batteries do without)

        greeting = Unlock(read_password(spec.ble_password_file))
    return context.lines.line(spec.port, spec.baud, greeting=greeting)
