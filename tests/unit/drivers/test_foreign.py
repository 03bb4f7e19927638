"""Drivers from other packages: found, refused with their package's name, contained; and what stands for one that is gone."""

import asyncio
import json
import math
import os
import re
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path

import pytest

from bosd.bal.device import DeviceFacts, Sample, Straying, facts_of_device
from bosd.bal.spec import AbsentSpec, PhysicalSpec
from bosd.clock import LoopClock, SystemClock
from bosd.config.kinds import battery_kinds
from bosd.config.topology_toml import format_topology, parse_stored, parse_topology
from bosd.drivers.contained import Contained
from bosd.drivers.devices import make_device
from bosd.drivers.kind import DriverContext
from bosd.drivers.lines import Lines
from bosd.errors import ConfigError, DriverError, UnavailableError, UnsupportedError
from bosd.safeguard.device_list import Devices, decode, devices_of, encode
from bosd.safeguard.safe_action import make_all_safe
from tests.support.packages import write_package

GOOD = """
from dataclasses import dataclass
from typing import ClassVar
from bosd.bal.spec import PhysicalSpec
from bosd.drivers.kind import DriverKind

@dataclass(frozen=True, slots=True, kw_only=True)
class Spec(PhysicalSpec):
    kind: ClassVar[str] = "foreign"
    controls: ClassVar[tuple[str, ...]] = ("none", "direct")
    cells: int = 4

    def faults(self):
        if self.cells == 13:
            raise RuntimeError("thirteen")
        if self.cells < 1:
            yield "cells", "is below 1"

def make(spec, context):
    raise KeyError(spec.name)

DRIVER = DriverKind(spec=Spec, make=make)
"""
TOML = """[[battery]]
name = "f"
kind = "foreign"
port = "/dev/f"
max_discharge_current_a = 20.0
max_charge_current_a = 10.0
current_control = "direct"
cells = 8
"""
CONTEXT = DriverContext(SystemClock(), Lines())


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the kind `foreign`, its module named after the directory so that none is found twice."""
    name = f"foreign_{tmp_path.name.replace('-', '_')}"
    site = write_package(tmp_path, name, {"foreign": f"{name}:DRIVER"}, GOOD)
    monkeypatch.syspath_prepend(site)
    return site


def fault_of(text: str) -> str:
    """Return what is wrong with a topology."""
    with pytest.raises(ConfigError) as caught:
        parse_topology(text)
    return caught.value.message


def test_its_keys_are_read_and_its_own_rules_hold(installed: Path) -> None:
    """A package's keys are as strict as ours; a check that fails itself is a fault of the file, not of the program."""
    (spec,) = parse_topology(TOML).batteries
    assert isinstance(spec, PhysicalSpec)
    assert (spec.kind, spec.cells) == ("foreign", 8)  # type: ignore[attr-defined]
    assert format_topology(parse_topology(TOML)) == TOML
    assert fault_of(TOML.replace("8", "0")).endswith('battery[0] "f".cells: is below 1')
    assert 'kind: the check of kind "foreign" failed itself: RuntimeError: thirteen' in fault_of(TOML.replace("8", "13"))
    assert 'battery[0] "f".cell: unknown key; did you mean "cells"?' in fault_of(TOML.replace("cells", "cell"))


def test_what_its_make_raises_is_a_fault_that_names_it(installed: Path) -> None:
    """Nothing but ConfigError comes out."""
    (spec,) = parse_topology(TOML).batteries
    assert isinstance(spec, PhysicalSpec)
    with pytest.raises(ConfigError, match="f: the driver of kind foreign cannot make it: KeyError: 'f'"):
        make_device(spec, CONTEXT)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemError('broken')\n", "cannot be loaded: SystemError: broken"),
        ("DRIVER = 1\n", "offers 1; expected an object whose spec is a class derived from PhysicalSpec"),
        ("x = 1\n", "cannot be loaded: AttributeError"),
    ],
)
def test_a_broken_package_is_named(code: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its kind, and its name and version where it cannot be loaded."""
    name = f"broken_{tmp_path.name.replace('-', '_')}"
    monkeypatch.syspath_prepend(write_package(tmp_path, name, {"foreign": f"{name}:DRIVER"}, code))
    assert says in fault_of(TOML)
    assert 'the driver of kind "foreign"' in fault_of(TOML)


def test_a_shipped_kind_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers `jbd` is not even loaded."""
    name = f"usurper_{tmp_path.name.replace('-', '_')}"
    monkeypatch.syspath_prepend(write_package(tmp_path, name, {"jbd": f"{name}:DRIVER"}, "raise SystemError\n"))
    (spec,) = parse_topology('[[battery]]\nname = "b"\nkind = "jbd"\nport = "/dev/b"\n').batteries
    assert type(spec).__module__ == "bosd.bal.spec"


def test_a_stored_battery_without_its_driver_keeps_its_table() -> None:
    """Word for word, with the limits that count for others, and through the guard's list."""
    (spec,) = parse_stored(TOML, "stored topology").batteries
    assert isinstance(spec, AbsentSpec)
    assert (spec.kind, spec.max_discharge_current_a, spec.current_control) == ("foreign", 20.0, "direct")
    assert 'no such kind: "foreign"' in spec.why
    assert format_topology(parse_stored(TOML, "stored topology")) == TOML
    told = decode(encode(Devices(devices_of([spec]))))
    assert isinstance(told, Devices)
    assert [each.kind for each in told.specs] == ["foreign"]


@pytest.mark.jumping
async def test_nothing_of_it_is_confirmed() -> None:
    """Its device refuses everything, and the guard says that it is not safe."""
    (spec,) = parse_stored(TOML, "stored topology").batteries
    assert isinstance(spec, AbsentSpec)
    device = make_device(spec, CONTEXT)
    for asked in (device.read(), device.set_current(0.0), device.held_current_a(), device.make_safe()):
        with pytest.raises(UnavailableError, match=r"f: not usable: .*no such kind"):
            await asked
    await device.close()
    (outcome,) = await make_all_safe([spec], LoopClock(asyncio.get_running_loop()))
    assert not outcome.confirmed
    assert 'no such kind: "foreign"' in outcome.result


def test_a_regulator_without_its_driver_is_no_less() -> None:
    """The battery of a shipped kind is not usable when what regulates it is gone."""
    text = TOML.replace("foreign", "jbd").replace("cells = 8\n", "").replace('"direct"', '"external"')
    (spec,) = parse_stored(text + 'regulator = { kind = "gone", port = "/dev/g" }\n', "stored topology").batteries
    assert isinstance(spec, AbsentSpec)
    assert json.loads(spec.written)["regulator"] == {"kind": "gone", "port": "/dev/g"}


class Defective:
    """A device each of whose methods fails in its own way."""

    hold_s: float | None = 5.0
    extra = "known"

    async def read(self) -> Sample:
        raise ZeroDivisionError("nothing")

    async def set_current(self, current_a: float) -> None:
        raise UnsupportedError("never")

    async def held_current_a(self) -> float | None:
        raise ConfigError("a word too much")

    async def make_safe(self) -> str:
        await asyncio.sleep(3600.0)
        return "late"

    async def close(self) -> None:
        raise OSError(os.strerror(5))

    async def hold_open(self, *, discharge: bool, charge: bool) -> None:
        raise LookupError("no switch")


async def test_defects_become_errors_of_the_port() -> None:
    """Refusals pass; what would end the daemon does not; cancellation is no defect."""
    device = Contained(Defective(), "f", SystemClock())
    assert (device.hold_s, device.extra) == (5.0, "known")
    with pytest.raises(DriverError, match="f: defect of its driver: read raised ZeroDivisionError: nothing"):
        await device.read()
    with pytest.raises(UnsupportedError, match="never"):
        await device.set_current(1.0)
    with pytest.raises(DriverError, match="f: a word too much"):
        await device.held_current_a()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await device.make_safe()
    await device.close()
    with pytest.raises(DriverError, match="hold_open raised LookupError: no switch"):
        await device.hold_open(discharge=True, charge=False)  # type: ignore[operator]


class Impossible(Defective):
    """A device whose driver tells what cannot be."""

    def __init__(self, **said: object) -> None:
        self.said = said

    async def read(self) -> Sample:
        values: dict[str, object] = {"sampled_s": 0.0, "sampled_utc_s": 0.0, "voltage_v": 13.0, "current_a": 1.0}
        return Sample(**{"charge_ah": None, "capacity_ah": None, "soc": None, **values, **self.said})  # type: ignore[arg-type]

    async def held_current_a(self) -> float | None:
        return math.nan


@pytest.mark.jumping
@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"sampled_s": 1.7e9}, "sampled_s: 1700000000.0 is no instant until now, 0 s"),
        ({"sampled_s": math.nan}, "sampled_s: nan is no instant"),
        ({"cells_v": (3.3,), "cells_s": 5.0}, "cells_s: 5.0 is no instant until now"),
        ({"sampled_utc_s": None}, "sampled_utc_s: None is no instant"),
        ({"current_a": math.nan}, "current_a: nan is no finite number"),
        ({"voltage_v": "13.2"}, "voltage_v: '13.2' is no finite number"),
        ({"voltage_v": 10**400}, "voltage_v: 1000"),
        ({"soc": 50.0}, "soc: 50 is no ratio"),
        ({"cells_v": (3.3, math.nan), "cells_s": 0.0}, "cells_v: (3.3, nan) is no tuple of finite numbers"),
        ({"temperatures_c": ("20",)}, "temperatures_c: ('20',) is no tuple of finite numbers"),
        ({"cycles": 1.5}, "cycles: 1.5 is no count"),
        ({"balancing_cells": (-1,)}, "balancing_cells: (-1,) is no tuple of numbers of cells"),
        ({"faults": "cell_overvoltage"}, "faults: 'cell_overvoltage' is no tuple of texts"),
        ({"limit_charge_a": -5.0}, "limit_charge_a: -5 is negative"),
    ],
)
async def test_a_sample_that_cannot_be_is_an_error(said: dict[str, object], names: str) -> None:
    """Else a battery dated ahead were good for ever, and one that is not a number would spoil every sum above it."""
    clock = LoopClock(asyncio.get_running_loop())
    await Contained(Impossible(), "f", clock).read()
    with pytest.raises(DriverError, match=f"f: defect of its driver: a sample that cannot be: {re.escape(names)}"):
        await Contained(Impossible(**said), "f", clock).read()
    with pytest.raises(DriverError, match="held_current_a returned nan, no finite number"):
        await Contained(Impossible(), "f", clock).held_current_a()


class Waiting(Defective):
    """A device whose driver waits for what never comes."""

    async def read(self) -> Sample:
        await asyncio.Event().wait()
        raise AssertionError

    async def held_current_a(self) -> float | None:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.jumping
async def test_a_driver_that_waits_for_ever_is_an_error() -> None:
    """Else its battery, lazy ones for good, would be worth its last sample, and what was asked of it stay in force."""
    device = Contained(Waiting(), "f", SystemClock())
    for ask in (device.read, device.held_current_a):
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(UnavailableError, match=f"f: its driver did not answer within 10 s: {ask.__name__}"):
            await ask()
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(10.0)


def test_a_defect_beside_the_port_is_contained() -> None:
    """Facts that raise are a note; what else cannot be read is as if it were left out."""

    class Odd:
        hold_s = None

        @property
        def strays(self) -> str:
            raise KeyError("mode")

        def facts(self) -> DeviceFacts:
            raise ZeroDivisionError

    device = Contained(Odd(), "f", SystemClock())  # type: ignore[arg-type]
    assert not isinstance(device, Straying)
    assert getattr(device, "strays", "none") == "none"
    assert facts_of_device(device).notes == ("f: defect of its driver: facts raised ZeroDivisionError: ",)


def test_packages_are_looked_for_once_for_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many kinds are misspelt, metadata of all packages is read once a group; what is installed later is found."""
    looks = list[object]()

    def counted(*, group: str) -> EntryPoints:
        looks.append(group)
        return entry_points(group=group)

    monkeypatch.setattr("bosd.config.kinds.entry_points", counted)
    site = write_package(tmp_path, "latecomer", {"elsewhere": "latecomer:DRIVER"}, GOOD)
    assert (
        fault_of("".join(f'[[battery]]\nname = "n{number}"\nkind = "foregin"\n' for number in range(60))).count("no such kind")
        > 1
    )
    assert len(looks) <= 1
    monkeypatch.syspath_prepend(site)
    assert "elsewhere" in battery_kinds()
