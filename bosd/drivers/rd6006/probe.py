"""Finding Riden supplies: two read requests."""

from bosd.drivers.line import Line
from bosd.drivers.probe import Found, Probe
from bosd.drivers.rd6006.supply import Supply

_ADDRESS = 1
"""As shipped; one that was given another in its menu is not found."""


async def ask(line: Line) -> Found:
    """Return the supply on `line`, with the voltage at its output while that is on.

    Its most is proposed as `max_current_a`; 0 as `max_voltage_v`, which is refused until a person writes the pack's highest.
    """
    supply = Supply(line, _ADDRESS)
    model = await supply.identify()
    status = await supply.status()
    keys: dict[str, object] = {"max_current_a": model.max_current_a, "max_voltage_v": 0.0}
    return Found(model=model.name, voltage_v=status.output_voltage_v if status.output_on else None, keys=keys)


PROBE = Probe(kind="rd6006", ask=ask, bauds=(115200, 9600, 19200, 57600), role="regulator")
