"""JBD (Jiabaida, Xiaoxiang, Overkill Solar) battery management systems."""

from bosd.bal.device import Device
from bosd.bal.spec import JbdSpec
from bosd.drivers.kind import DriverContext, DriverKind


def _make(spec: JbdSpec, context: DriverContext) -> Device:
    from bosd.bal.derating import with_defaults  # noqa: PLC0415 (a node without JBD batteries does not load it)
    from bosd.bal.physical import staleness_s  # noqa: PLC0415
    from bosd.drivers.jbd.driver import JbdDriver, JbdOptions  # noqa: PLC0415
    from bosd.drivers.jbd.limits import Rating  # noqa: PLC0415
    from bosd.drivers.jbd.port import line_of  # noqa: PLC0415

    options = JbdOptions(
        address=spec.address,
        cells_every=spec.cells_every,
        period_s=spec.refresh_period_s if spec.refresh == "active" else None,
        max_staleness_s=staleness_s(spec),
        read_protection=spec.read_protection,
        password_file=spec.password_file,
        rating=Rating(spec.max_discharge_current_a, spec.max_charge_current_a),
        derating=with_defaults(spec.derating, spec.chemistry),
    )
    line = line_of(spec, context)
    control = spec.current_control
    return JbdDriver(line, context.clock, name=spec.name, current_control=control, safe=spec.safe, options=options)


DRIVER = DriverKind(
    spec=JbdSpec, make=_make, probe="bosd.drivers.jbd.probe:PROBE", settings="bosd.drivers.jbd.settings:read_settings"
)
