"""JBD (Jiabaida, Xiaoxiang, Overkill Solar) battery management systems."""

from bosd.bal.device import Device
from bosd.bal.spec import JbdSpec
from bosd.drivers.kind import DriverContext, DriverKind


def _make(spec: JbdSpec, context: DriverContext) -> Device:
    from bosd.drivers.jbd.driver import JbdDriver  # noqa: PLC0415 (a node without JBD batteries does not load it)

    return JbdDriver(
        context.lines.line(spec.port, spec.baud),
        context.clock,
        name=spec.name,
        current_control=spec.current_control,
        safe=spec.safe,
    )


DRIVER = DriverKind(spec=JbdSpec, make=_make)
