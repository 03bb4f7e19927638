"""JBD (Jiabaida, Xiaoxiang, Overkill Solar) battery management systems."""

from bosd.bal.device import Device
from bosd.bal.spec import JbdSpec
from bosd.drivers.kind import DriverContext, DriverKind


def _make(spec: JbdSpec, context: DriverContext) -> Device:
    from bosd.drivers.jbd.driver import JbdDriver  # noqa: PLC0415 (a node without JBD batteries does not load it)

    greeting = None
    if spec.ble_password_file is not None:
        from bosd.drivers.jbd.unlock import Unlock, read_password  # noqa: PLC0415 (as above)

        greeting = Unlock(read_password(spec.ble_password_file))
    return JbdDriver(
        context.lines.line(spec.port, spec.baud, greeting=greeting),
        context.clock,
        name=spec.name,
        current_control=spec.current_control,
        safe=spec.safe,
    )


DRIVER = DriverKind(spec=JbdSpec, make=_make, probe="bosd.drivers.jbd.probe:PROBE")
