"""What a battery's device, and its regulator's, tell of themselves."""

from bosd.bal.battery import Battery
from bosd.bal.device import facts_of_device
from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import PhysicalSpec
from bosd.errors import UnsupportedError
from bosd.node.api import DeviceView
from bosd.node.refresh import port_of


def device_view(battery: Battery) -> DeviceView:
    """Return the device of a physical battery, from memory. Raises UnsupportedError for a battery without one here."""
    name = battery.name
    if not isinstance(battery, PhysicalBattery):
        raise UnsupportedError(f"{name} has no device at this node: it is of kind {battery.kind}", battery=name)
    facts = facts_of_device(battery.device)
    spec = battery.spec.regulator if isinstance(battery.spec, PhysicalSpec) else None
    regulator = None
    if spec is not None and facts.regulator is not None:
        regulator = DeviceView(name=name, kind=spec.kind, port=spec.port, facts=facts.regulator)
    return DeviceView(name=name, kind=battery.kind, port=port_of(battery), facts=facts, regulator=regulator)
