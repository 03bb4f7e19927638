"""From a specification to a device: which driver, on which line, with which regulator."""

from bosd.bal.device import Device
from bosd.bal.spec import JbdSpec, RegulatorSpec
from bosd.clock import Clock
from bosd.drivers.regulator import Regulator
from bosd.drivers.renewing import Renewing


def make_device(spec: JbdSpec, clock: Clock) -> Device:
    """Return the (still closed) device of a physical battery. Raises ConfigError for a port without a transport."""
    from bosd.drivers.jbd.driver import JbdDriver  # noqa: PLC0415 (a node without JBD batteries does not load it)
    from bosd.drivers.line import Line  # noqa: PLC0415
    from bosd.drivers.transport import open_transport  # noqa: PLC0415

    driver = JbdDriver(
        Line(open_transport(spec.port, spec.baud)),
        clock,
        name=spec.name,
        current_control=spec.current_control,
        safe=spec.safe,
        regulator=None if spec.regulator is None else _make_regulator(spec.regulator),
    )
    return driver if driver.hold_s is None else Renewing(driver, driver.hold_s)


def _make_regulator(spec: RegulatorSpec) -> Regulator:
    from bosd.drivers.simulated_regulator import SimulatedRegulator  # noqa: PLC0415

    return SimulatedRegulator(spec.port)
