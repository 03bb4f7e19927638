"""The `[eebus]` section: a grid operator's limit on a battery, through the external EEBUS service.

Its faults are its own: a wrong section takes nothing else away.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from bosd.bal.spec import Topology
from bosd.config.faults import FileFaults
from bosd.config.reader import read_table, shown
from bosd.errors import ConfigError

BINARIES = Path("/usr/libexec/bosd")
"""Where a relative path of the binary begins; certificates begin in the state directory."""
_SKI = re.compile(r"[0-9a-f]{40}")
_HIGHEST_PORT = 65535
_CATEGORIES, _DEVICE_TYPES, _ENTITY_TYPES = range(1, 8), range(1, 15), range(1, 49)
"""Numbers of the service's enumerations (eebus.md 1.4)."""
_SERVED_ENTITIES = frozenset({2, 16, 23, 27, 30, 40, 42})
"""Compressor, HeatPumpAppliance, Inverter, SmartEnergyAppliance, SubMeterElectricity, EVSE, CEM: control boxes take no others."""
_LONGEST_S = 366 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EebusKeys:
    """The keys as they are written: powers in watts, times in seconds (eebus.md 2.1 and 3)."""

    battery: str
    vendor_code: str
    device_brand: str
    device_model: str
    serial_number: str
    profile: Literal["spec", "seed"] = "spec"
    use_case: str = "LPC"
    manage_eebus_grpc_api_binary: bool = True
    eebus_service_port: int = 4715
    grpc_port: int = 50051
    eebus_ems_ski: str = ""
    eebus_ems_ski_allowlist: str = ""
    accept_unknown_ems: bool = False
    certificate_path: Path = Path("eebus/evse_cert")
    private_key_path: Path = Path("eebus/evse_key")
    eebus_grpc_api_binary_path: Path = Path("eebus_grpc_api")
    failsafe_control_limit_W: float = 4200.0  # noqa: N815 (the seed's name)
    max_nominal_power_W: float = 32000.0  # noqa: N815 (the seed's name)
    autonomous_limit_W: float | None = None  # noqa: N815 (the seed's name)
    eebus_device_categories: tuple[int, ...] = (5,)
    eebus_device_type: int = 13
    eebus_entity_types: tuple[int, ...] = (23,)
    heartbeat_timeout_s: float = 120.0
    init_timeout_s: float = 120.0
    recovery_window_s: float = 120.0
    failsafe_duration_s: float = 7200.0
    failsafe_duration_min_s: float = 7200.0
    failsafe_duration_max_s: float = 86400.0
    tick_s: float = 1.0
    announced_heartbeat_s: float = 60.0
    reconnect_delay_s: float = 5.0
    restart_delay_s: float = 5.0
    call_deadline_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EebusConfig:
    """The section as it is used: paths absolute, peers in one sorted list."""

    keys: EebusKeys
    skis: tuple[str, ...]
    binary: Path
    certificate: Path
    private_key: Path


def read_eebus(tables: Mapping[str, object], state_dir: Path, where: str) -> tuple[EebusConfig | None, str]:
    """Return the section, None without one; or, where it is faulty, one message with all its faults."""
    if "eebus" not in tables:
        return None, ""
    faults = FileFaults(where)
    config = _read(tables["eebus"], state_dir, faults)
    try:
        faults.raise_any()
    except ConfigError as error:
        return None, error.message
    return config, ""


def _read(table: object, state_dir: Path, faults: FileFaults) -> EebusConfig | None:
    if not isinstance(table, dict):
        faults.add("eebus", f"expected one [eebus] section, got {shown(table)}")
        return None
    keys = read_table(EebusKeys, table, "eebus", faults)
    if keys is None:  # what can be read is checked all the same: one message has all
        readable = FileFaults(faults.where)
        good = {key: value for key, value in table.items() if _is_good(key, value)}
        keys = read_table(EebusKeys, {**_PLACEHOLDERS, **good}, "eebus", readable)
        assert keys is not None  # noqa: S101 (only what can be read is left)
    skis = _skis(keys, faults)
    binary, certificate, private_key = (
        BINARIES / keys.eebus_grpc_api_binary_path,
        state_dir / keys.certificate_path,
        state_dir / keys.private_key_path,
    )
    _check_identity(keys, faults)
    _check_numbers(keys, faults)
    if keys.manage_eebus_grpc_api_binary:
        _check_binary(binary, faults)
        _check_writable(certificate, "eebus.certificate_path", faults)
        _check_writable(private_key, "eebus.private_key_path", faults)
    return EebusConfig(keys=keys, skis=skis, binary=binary, certificate=certificate, private_key=private_key)


_PLACEHOLDERS = dict.fromkeys(("battery", "vendor_code", "device_brand", "device_model", "serial_number"), "-")


def _is_good(key: str, value: object) -> bool:
    ignored = FileFaults("")
    return read_table(EebusKeys, {**_PLACEHOLDERS, key: value}, "eebus", ignored) is not None


def _skis(keys: EebusKeys, faults: FileFaults) -> tuple[str, ...]:
    """Return all peers that are named, normalised, each once."""
    found = set()
    for key, text in (("eebus_ems_ski", keys.eebus_ems_ski), ("eebus_ems_ski_allowlist", keys.eebus_ems_ski_allowlist)):
        words = ["".join(word.split()).lower() for word in text.split(",")]
        for word in filter(None, words):
            if not _SKI.fullmatch(word):
                faults.add(f"eebus.{key}", f"{shown(word)} has {len(word)} characters, an SKI is 40 of 0-9 and a-f")
            found.add(word)
    return tuple(sorted(found))


def _check_identity(keys: EebusKeys, faults: FileFaults) -> None:
    for key in ("battery", "vendor_code", "device_brand", "device_model", "serial_number"):
        if not getattr(keys, key).strip():
            faults.add(f"eebus.{key}", "is empty")
    if keys.use_case.upper() == "LPP":
        faults.add("eebus.use_case", 'LPP cannot be served: the EEBUS service has no interface for it yet; write "LPC"')
    elif keys.use_case.upper() != "LPC":
        faults.add("eebus.use_case", f'no such use case: {shown(keys.use_case)}; write "LPC"')
    numbers = (
        ("eebus_device_categories", keys.eebus_device_categories, _CATEGORIES),
        ("eebus_device_type", (keys.eebus_device_type,), _DEVICE_TYPES),
        ("eebus_entity_types", keys.eebus_entity_types, _ENTITY_TYPES),
    )
    for key, values, known in numbers:
        if not values:
            faults.add(f"eebus.{key}", "is empty")
        for value in values:
            if value not in known:
                faults.add(f"eebus.{key}", f"{value} is not {known[0]} to {known[-1]}")


def _check_numbers(keys: EebusKeys, faults: FileFaults) -> None:
    for key, lowest in (("eebus_service_port", 0), ("grpc_port", 1)):
        if not lowest <= getattr(keys, key) <= _HIGHEST_PORT:
            faults.add(f"eebus.{key}", f"{getattr(keys, key)} is not {lowest} to {_HIGHEST_PORT}")
    for key in ("failsafe_control_limit_W", "max_nominal_power_W", "autonomous_limit_W"):
        value = getattr(keys, key)
        if value is not None and value < 0.0:
            faults.add(f"eebus.{key}", f"{value:g} W is below 0")
    for field in fields(keys):
        if field.name.endswith("_s"):
            value = getattr(keys, field.name)
            zero = field.name.startswith("failsafe_duration")
            if not (0.0 < value <= _LONGEST_S or (zero and value == 0.0)):
                faults.add(
                    f"eebus.{field.name}", f"{value:g} s is not {'0 or' if zero else 'above 0 and'} at most {_LONGEST_S:g} s"
                )
    if keys.failsafe_duration_min_s > keys.failsafe_duration_max_s:
        text = f"{keys.failsafe_duration_min_s:g} s is above failsafe_duration_max_s ({keys.failsafe_duration_max_s:g} s)"
        faults.add("eebus.failsafe_duration_min_s", text)


def _check_binary(path: Path, faults: FileFaults) -> None:
    place = "eebus.eebus_grpc_api_binary_path"
    try:
        mode = path.stat().st_mode
    except OSError as error:
        without = "write where it is, or manage_eebus_grpc_api_binary = false where something else runs it"
        faults.add(place, f"{path}: {error.strerror}; {without}")
        return
    if not stat.S_ISREG(mode) or not mode & stat.S_IXUSR or not os.access(path, os.X_OK):
        faults.add(place, f"{path} is no program that may be run: chmod u+x")


def _check_writable(path: Path, place: str, faults: FileFaults) -> None:
    """Add that the directory of a file cannot be made; the binary makes a missing certificate and key by itself."""
    above = next(parent for parent in path.parents if parent.exists())
    if path.is_dir():
        faults.add(place, f"{path} is a directory")
    elif not above.is_dir() or (not path.exists() and not os.access(above, os.W_OK | os.X_OK)):
        faults.add(place, f"{path} cannot be made: {above} is no directory that may be written")


def eebus_warnings(config: EebusConfig | None, topology: Topology) -> tuple[str, ...]:
    """Return what is allowed and yet worth a word."""
    if config is None:
        return ()
    keys = config.keys
    names = {spec.name for spec in topology.batteries}
    names.update(part.name for splitter in topology.splitters for part in splitter.partitions)
    found = [
        f"eebus.eebus_entity_types: control boxes limit the consumption of CEM (42), Compressor (2), EVSE (40), "
        f"HeatPumpAppliance (16), Inverter (23), SmartEnergyAppliance (27) and SubMeterElectricity (30), not of {entity}"
        for entity in keys.eebus_entity_types
        if entity not in _SERVED_ENTITIES
    ]
    if not config.skis and not keys.accept_unknown_ems:
        found.append("eebus: no peer is named in eebus_ems_ski or eebus_ems_ski_allowlist: none is let in")
    if keys.accept_unknown_ems:
        found.append("eebus.accept_unknown_ems: whoever is on the local network may become the peer that limits")
    if keys.failsafe_control_limit_W > keys.max_nominal_power_W:
        found.append("eebus.failsafe_control_limit_W: is above max_nominal_power_W, so the failsafe limits nothing")
    if names and keys.battery not in names:
        found.append(f"eebus.battery: {shown(keys.battery)} is no battery of this file; the stored topology has to have it")
    return tuple(found)
