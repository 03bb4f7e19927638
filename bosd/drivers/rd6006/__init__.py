"""Riden RD60xx bench supplies as regulators: they charge a battery, over Modbus RTU."""

from bosd.drivers.kind import DriverContext, RegulatorKind
from bosd.drivers.rd6006.spec import Rd6006Spec
from bosd.drivers.regulator import Regulator


def _make(spec: Rd6006Spec, context: DriverContext) -> Regulator:
    from bosd.drivers.rd6006.regulator import Rd6006Regulator  # noqa: PLC0415 (it loads pymodbus)

    return Rd6006Regulator(
        context.lines.line(spec.port, spec.baud),
        max_current_a=spec.max_current_a,
        max_voltage_v=spec.max_voltage_v,
        address=spec.address,
    )


REGULATOR = RegulatorKind(
    spec=Rd6006Spec, make=_make, bench="bosd.drivers.rd6006.bench:BENCH", probe="bosd.drivers.rd6006.probe:PROBE"
)
