"""What a specification must satisfy by itself: names, ranges and forms, without the batteries around it."""

import re
from collections.abc import Callable, Iterator
from itertools import chain
from math import fsum, isfinite
from typing import Literal

from bosd.bal.in_sight import in_sight_faults
from bosd.bal.spec import (
    SERIAL,
    AbsentSpec,
    AggregatorSpec,
    BatterySpec,
    JbdSpec,
    NetworkSpec,
    NullSpec,
    PartitionSpec,
    PhysicalSpec,
    PseudoSpec,
    RegulatorSpec,
    SplitterSpec,
)

Faults = Iterator[tuple[str, str]]
"""Pairs of the key at fault ("" for the whole) and what is wrong with it."""

FractionKind = Literal["charge", "capacity", "current", "charge_current"]
FRACTION_KINDS: tuple[FractionKind, ...] = ("charge", "capacity", "current", "charge_current")
FRACTION_TOLERANCE = 1e-6
LONGEST_BOOKING_H = 8784.0
"""A leap year."""
MOST_EXPONENT = 10.0

_NAME = re.compile(r"[A-Za-z0-9_'][A-Za-z0-9_.'-]{0,62}")
_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5})")
_BLE = re.compile(r"(?:hci[0-9]+/)?[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
_NAME_RULE = "a name is 1 to 63 of ASCII letters, digits, _ - . and ', not beginning with - or ."


def name_fault(name: str) -> str | None:
    """Return what is wrong with a name, None when it is good."""
    return None if _NAME.fullmatch(name) else f"{name!r} is no name: {_NAME_RULE}"


def host_port(address: str) -> tuple[str, int] | None:
    """Split `host:port` or `[ipv6]:port`; None when it is neither."""
    match = _HOST_PORT.fullmatch(address)
    if match is None or int(match[3]) > 65535:
        return None
    return match[1] or match[2], int(match[3])


def fraction_of(partition: PartitionSpec, kind: FractionKind) -> float | None:
    """Return a partition's part of the source: the kind's own fraction, else `fraction`, else the capacity's.

    `current` is that of both directions, `charge_current` that of charging where it differs.
    """
    own: float | None = getattr(partition, f"{kind}_fraction")
    if own is None and kind == "charge_current":
        own = partition.current_fraction
    if own is not None:
        return own
    return partition.fraction if partition.fraction is not None else partition.capacity_fraction


def battery_faults(spec: BatterySpec) -> Faults:
    """Yield the faults of one battery's specification; one without a driver was checked when there was one."""
    if isinstance(spec, AbsentSpec):
        return iter(())
    own = _OWN_RULES.get(type(spec))
    physical = _physical(spec) if isinstance(spec, PhysicalSpec) else ()
    return chain(_common(spec), physical, own(spec) if own else ())


def splitter_faults(spec: SplitterSpec) -> Faults:
    """Yield the faults of a splitter and its partitions; fractions of each kind add up to 1 +- 1e-6."""
    if fault := name_fault(spec.name):
        yield "name", fault
    if fault := name_fault(spec.source):
        yield "source", fault
    if not spec.partitions:
        yield "partitions", "a splitter has at least one partition"
        return
    complete = True
    for index, partition in enumerate(spec.partitions):
        for key, fault in _partition(partition):
            complete = complete and "fraction" not in key
            yield f'partitions[{index}] "{partition.name}".{key}', fault
    if complete:
        yield from _sums(spec.partitions)


def _partition(spec: PartitionSpec) -> Faults:
    if fault := name_fault(spec.name):
        yield "name", fault
    for key in ("fraction", *(f"{kind}_fraction" for kind in FRACTION_KINDS)):
        value = getattr(spec, key)
        if value is not None and not 0.0 <= value <= 1.0:
            yield key, f"{value!r} is no fraction: it lies between 0 and 1"
    if fraction_of(spec, "capacity") is None:
        yield "fraction", "missing: give fraction, or capacity_fraction and those that differ from it"
    yield from _reserve(spec.min_soc, spec.max_soc)
    if not isfinite(spec.safe_current_a):
        yield "safe_current_a", "is not finite"
    yield from _longest_booking(spec.max_booking_h)
    yield from _alone(spec)


def _sums(partitions: tuple[PartitionSpec, ...]) -> Faults:
    faulty = []
    kinds = FRACTION_KINDS if any(each.charge_current_fraction is not None for each in partitions) else FRACTION_KINDS[:3]
    for kind in kinds:
        total = fsum(fraction_of(partition, kind) or 0.0 for partition in partitions)
        if abs(total - 1.0) > FRACTION_TOLERANCE:
            faulty.append(f"{kind.replace('_', ' ')} fractions add up to {total:.9g}")
    if faulty:
        yield "partitions", f"{', '.join(faulty)}; the fractions of each kind add up to 1"


def _common(spec: BatterySpec) -> Faults:
    if fault := name_fault(spec.name):
        yield "name", fault
    yield from _reserve(spec.min_soc, spec.max_soc)
    if not isfinite(spec.safe_current_a):
        yield "safe_current_a", "is not finite"
    yield from _longest_booking(spec.max_booking_h)
    yield from _alone(spec)
    if not 0.0 < spec.efficiency <= 1.0:
        yield "efficiency", f"{spec.efficiency!r} is no efficiency: above 0 and at most 1"
    if spec.meter is not None and (fault := name_fault(spec.meter)):
        yield "meter", fault
    if spec.max_ramp_a_per_s is not None:
        yield from _above_zero(spec, "max_ramp_a_per_s")
    stale_s, gone_s = spec.max_staleness_s, spec.unavailable_after_s
    if stale_s is not None and not 0.0 < stale_s < float("inf"):
        yield "max_staleness_s", f"{stale_s!r} is no age: it is above 0 s"
    if gone_s is not None and not 0.0 < gone_s < float("inf"):
        yield "unavailable_after_s", f"{gone_s!r} is no age: it is above 0 s"
    elif stale_s is not None and gone_s is not None and gone_s < stale_s:
        yield "unavailable_after_s", f"{gone_s!r} is below max_staleness_s ({stale_s!r}): a battery is stale first, then gone"


def _reserve(min_soc: float, max_soc: float) -> Faults:
    if not 0.0 <= min_soc < max_soc <= 1.0:
        yield "min_soc", f"min_soc {min_soc!r} and max_soc {max_soc!r}: 0 <= min_soc < max_soc <= 1"


def _longest_booking(max_booking_h: float) -> Faults:
    if not 0.0 < max_booking_h <= LONGEST_BOOKING_H:
        yield "max_booking_h", f"{max_booking_h!r} is no length of a booking: above 0 and at most {LONGEST_BOOKING_H:g} h"


def _alone(spec: BatterySpec | PartitionSpec) -> Faults:
    yield from _not_negative(spec, "alone_charge_limit_w", "alone_discharge_limit_w")
    if spec.voltage_max_v is not None:
        yield from _above_zero(spec, "voltage_max_v")


def _not_negative(spec: BatterySpec | PartitionSpec, *keys: str) -> Faults:
    for key in keys:
        value = getattr(spec, key)
        if value is not None and not 0.0 <= value < float("inf"):
            yield key, f"{value!r} is negative or not finite; it is a magnitude, 0 or above"


def _above_zero(spec: BatterySpec | PartitionSpec, *keys: str) -> Faults:
    for key in keys:
        if not 0.0 < getattr(spec, key) < float("inf"):
            yield key, f"{getattr(spec, key)!r} is not above 0"


def _safe_within(safe_a: float, discharge_a: float | None, charge_a: float | None) -> Faults:
    upper_a = float("inf") if discharge_a is None or discharge_a < 0.0 else discharge_a
    lower_a = float("-inf") if charge_a is None or charge_a < 0.0 else 0.0 - charge_a
    if not lower_a <= safe_a <= upper_a:
        yield "safe_current_a", f"{safe_a!r} A is outside the battery's limits, {lower_a!r} to {upper_a!r} A"


def _jbd(spec: JbdSpec) -> Faults:
    if fault := port_fault(spec.port):
        yield "port", fault
    if not 300 <= spec.baud <= 4_000_000:
        yield "baud", f"{spec.baud!r} is no rate of a serial line; JBD packs use 9600"
    if spec.address is not None and not 1 <= spec.address <= 255:
        yield "address", f"{spec.address!r} is no address of a board: 1 to 255"
    if spec.ble_password_file is not None and not spec.port.startswith("ble://"):
        yield "ble_password_file", f"belongs to a port ble://, not to {spec.port!r}; remove it"


def _physical(spec: PhysicalSpec) -> Faults:
    yield from _above_zero(spec, "refresh_period_s")
    yield from _not_negative(spec, "max_discharge_current_a", "max_charge_current_a")
    yield from _safe_within(spec.safe_current_a, spec.max_discharge_current_a, spec.max_charge_current_a)
    yield from _sample_ages(spec)
    yield from in_sight_faults(spec)
    yield from _control(spec)
    if spec.capture is not None and name_fault(spec.capture):
        yield "capture", f"{spec.capture!r} is no file name in the node's directory captures: letters, digits, _ - . and no path"
    for key in ("follow_tolerance_a", "follow_within_s"):
        if getattr(spec, key) is not None:
            yield from _above_zero(spec, key)
    yield from spec.faults()


def _sample_ages(spec: PhysicalSpec) -> Faults:
    """Check ages against the refresh period (control.md, "Quality": at least two periods; default 3 periods, at least 1.5 s)."""
    least_s = 2.0 * spec.refresh_period_s
    stale_s = spec.max_staleness_s
    if stale_s is not None and 0.0 < stale_s < least_s:
        yield "max_staleness_s", f"{stale_s!r} is less than two refresh periods ({least_s!r} s)"
    elif stale_s is None and spec.unavailable_after_s is not None:
        default_s = max(3.0 * spec.refresh_period_s, 1.5)
        if 0.0 < spec.unavailable_after_s < default_s:
            yield "unavailable_after_s", f"{spec.unavailable_after_s!r} is below max_staleness_s (default here {default_s!r})"


def _control(spec: PhysicalSpec) -> Faults:
    if spec.current_control not in spec.controls:
        known = " or ".join(f'"{each}"' for each in spec.controls)
        yield "current_control", f'"{spec.current_control}" is nothing that kind = "{spec.kind}" has: {known}'
    if spec.current_control == "external" and spec.regulator is None:
        yield "regulator", 'missing: current_control = "external" needs the device that sets the current'
    if spec.current_control != "external" and spec.regulator is not None:
        yield "regulator", f'only current_control = "external" has one; this is "{spec.current_control}"'
    if spec.regulator is not None:
        yield from _regulator(spec.regulator)
        yield from spec.regulator.faults_with(spec)
    if spec.current_control in ("none", "gate") and spec.safe_current_a != 0.0:
        yield "safe_current_a", f'a pack with current_control = "{spec.current_control}" holds no current: it is 0'
    if spec.current_control != "none":
        for key in ("max_discharge_current_a", "max_charge_current_a"):
            if getattr(spec, key) is None:
                yield key, f'missing: current_control = "{spec.current_control}" needs both limits'


def _regulator(spec: RegulatorSpec) -> Faults:
    if not spec.port.strip():
        yield "regulator.port", "is empty"
    for key, fault in spec.faults():
        yield f"regulator.{key}", fault


def port_fault(port: str) -> str | None:
    """Return what is wrong with the port of a line, None when it is good."""
    scheme, separator, address = port.partition("://")
    if separator and scheme == "ble":
        return None if _BLE.fullmatch(address) else f"{port!r}: write ble://AA:BB:CC:DD:EE:FF, or ble://hci1/AA:BB:CC:DD:EE:FF"
    if separator and scheme != "tcp":
        known = "tcp://host:port or ble://AA:BB:CC:DD:EE:FF"
        return f"{port!r}: no such transport; write a device path, usb:SERIAL, {known}"
    if separator:
        target = host_port(address)
        return None if target is not None and target[1] > 0 else f"{port!r}: write tcp://host:port, port 1 to 65535"
    if "\0" in port:
        return f"{port!r} is no device path"
    if port.startswith("usb:"):
        return None if port.removeprefix("usb:").strip() else f"{port!r}: write usb:SERIAL, the adapter's serial number"
    return None if "/" in port else f"{port!r} is no device path; write /dev/{port or 'ttyUSB0'}"


def _pseudo(spec: PseudoSpec) -> Faults:
    yield from _not_negative(spec, "voltage_v", "charge_ah", "capacity_ah", "max_discharge_current_a", "max_charge_current_a")
    if spec.charge_ah > spec.capacity_ah:
        yield "charge_ah", f"{spec.charge_ah!r} Ah is more than capacity_ah, {spec.capacity_ah!r} Ah"
    yield from _safe_within(spec.safe_current_a, spec.max_discharge_current_a, spec.max_charge_current_a)


def _null(spec: NullSpec) -> Faults:
    yield from _not_negative(spec, "voltage_v")
    yield from _safe_within(spec.safe_current_a, 0.0, 0.0)


def _aggregator(spec: AggregatorSpec) -> Faults:
    yield from _above_zero(spec, "voltage_v")
    yield from _not_negative(spec, "voltage_tolerance_v", "voltage_drift_s", "voltage_return_s")
    if not spec.sources:
        yield "sources", "an aggregator has at least one source"
    seen: set[str] = set()
    for index, source in enumerate(spec.sources):
        if fault := name_fault(source):
            yield f"sources[{index}]", fault
        if source in seen:
            yield f"sources[{index}]", f'"{source}" is named twice'
        seen.add(source)
    yield from _sharing(spec)


def _sharing(spec: AggregatorSpec) -> Faults:
    """Check how a set point is shared: each key belongs to its policy, each name to a source."""
    if spec.share != "charge" and spec.share_exponent != 1.0:
        yield "share_exponent", f'only share = "charge" has one; this is "{spec.share}"'
    elif not 0.0 <= spec.share_exponent <= MOST_EXPONENT:
        yield "share_exponent", f"{spec.share_exponent!r} lies outside 0 to {MOST_EXPONENT:g}"
    for key in ("share_ratios", "least_current_a"):
        for name, value in getattr(spec, key):
            if name not in spec.sources:
                yield f"{key}.{name}", "is no source of this aggregator"
            if not 0.0 <= value < float("inf"):
                yield f"{key}.{name}", f"{value!r} is negative or not finite; it is 0 or above"
    if spec.share == "ratio":
        yield from _ratios(spec)
    elif spec.share_ratios:
        yield "share_ratios", f'only share = "ratio" has them; this is "{spec.share}"'


def _ratios(spec: AggregatorSpec) -> Faults:
    if missing := [source for source in spec.sources if source not in dict(spec.share_ratios)]:
        yield "share_ratios", f"missing: {', '.join(missing)}; give every source a number, 0 for none"
    total = fsum(value for _, value in spec.share_ratios)
    if abs(total - 1.0) > FRACTION_TOLERANCE:
        yield "share_ratios", f"they add up to {total:.9g}; ratios add up to 1"


def _network(spec: NetworkSpec) -> Faults:
    if fault := name_fault(spec.remote_name):
        yield "remote_name", fault
    for key in ("alone_charge_limit_w", "alone_discharge_limit_w"):
        if getattr(spec, key) is not None:
            yield key, "is set at the node that owns the battery, which alone knows whether it is heard there"
    if spec.target.startswith("unix:"):
        if not spec.target.removeprefix("unix:"):
            yield "target", "unix: needs the path of the node's socket"
        return
    if spec.target.startswith(SERIAL):
        if fault := name_fault(spec.target.removeprefix(SERIAL)):
            yield "node", fault
        return
    target = host_port(spec.target)
    if target is None or target[1] == 0:
        yield "target", f"{spec.target!r} is no address of a node: write host:port (port 1 to 65535) or unix:PATH"


_OWN_RULES: dict[type[BatterySpec], Callable[..., Faults]] = {
    JbdSpec: _jbd,
    PseudoSpec: _pseudo,
    NullSpec: _null,
    AggregatorSpec: _aggregator,
    NetworkSpec: _network,
}
