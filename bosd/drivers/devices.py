"""From a specification to a device: its driver, with its regulator, and with its set point written again where that expires."""

from dataclasses import replace
from typing import Any

from bosd.bal.device import Device
from bosd.bal.spec import AbsentSpec, PhysicalSpec
from bosd.config.kinds import DRIVERS, REGULATORS, is_shipped, load_driver
from bosd.drivers.absent import AbsentDevice
from bosd.drivers.capture import CaptureTo
from bosd.drivers.contained import Contained
from bosd.drivers.kind import DriverContext, DriverKind, RegulatorKind
from bosd.drivers.lines import CapturedLines
from bosd.drivers.regulated import Regulated
from bosd.drivers.renewing import Renewing
from bosd.errors import BosError, ConfigError


def make_device(spec: PhysicalSpec, context: DriverContext) -> Device:
    """Return the (still closed) device of a physical battery. Raises ConfigError for what its driver cannot make."""
    if isinstance(spec, AbsentSpec):
        return AbsentDevice(spec.name, spec.why)
    kinds = [spec.kind, *([] if spec.regulator is None else [spec.regulator.kind])]
    if all(map(is_shipped, kinds)):
        return _whole(spec, context)
    try:
        return _whole(spec, context)
    except BosError:
        raise
    except Exception as error:
        message = f"{spec.name}: the driver of kind {', '.join(kinds)} cannot make it: {type(error).__name__}: {error}"
        raise ConfigError(message, battery=spec.name) from error


def _whole(spec: PhysicalSpec, context: DriverContext) -> Device:
    device, contained = _make(spec, context), not is_shipped(spec.kind)
    if spec.regulator is not None:
        kind = _driver(REGULATORS, spec.regulator.kind, RegulatorKind)
        device = Regulated(device, kind.make(spec.regulator, context), spec.name)
        contained = contained or not is_shipped(spec.regulator.kind)
    if contained:
        device = Contained(device, spec.name, context.clock)
    return device if device.hold_s is None else Renewing(device, device.hold_s)


def _make(spec: PhysicalSpec, context: DriverContext) -> Device:
    """Return the device itself, its line recorded where its specification names a file and the node has a place for it."""
    driver: DriverKind = _driver(DRIVERS, spec.kind, DriverKind)
    if spec.capture is None or context.captures is None:
        return driver.make(spec, context)
    lines = CapturedLines(context.lines, CaptureTo(context.captures / spec.capture, context.clock))
    device = driver.make(spec, replace(context, lines=lines))
    if not lines.used:
        raise ConfigError(f'{spec.name}: a battery of kind "{spec.kind}" has no line that could be recorded', battery=spec.name)
    return device


def _driver(group: str, kind: str, wanted: type[Any]) -> Any:  # noqa: ANN401 (a DriverKind or a RegulatorKind, as asked)
    found = load_driver(group, kind)
    if not isinstance(found, wanted):
        raise ConfigError(f'kind "{kind}" has no {wanted.__name__} but {found!r}', kind=kind)
    return found
