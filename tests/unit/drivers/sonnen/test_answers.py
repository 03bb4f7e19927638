"""Answers of real batteries that people published, and what is no answer."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bosd.drivers.sonnen.answers import Battery, Status, in_series, named_mode, read_battery, read_json, read_status
from bosd.drivers.sonnen.sample import Freshness, build_sample, voltage_of
from bosd.errors import DriverError
from tests.support.examples import examples

STATUS: dict[str, Any] = {
    "Apparent_output": 98,
    "BackupBuffer": "20",
    "BatteryCharging": True,
    "BatteryDischarging": False,
    "OperatingMode": "2",
    "Pac_total_W": -1394,
    "RSOC": 88,
    "RemainingCapacity_Wh": 40181,
    "Sac1": 99,
    "Sac2": None,
    "SystemStatus": "OnGrid",
    "Timestamp": "2023-11-20 17:00:55",
    "USOC": 81,
    "Uac": 235,
    "Ubat": 212,
    "dischargeNotAllowed": False,
}
"""A charging battery of 20 kWh, firmware 1.14.5 (facts of the test data of the package sonnen_api_v2, GitHub)."""
BATTERY: dict[str, Any] = {
    "chargecurrentlimit": 39.97,
    "cyclecount": 30.0,
    "dischargecurrentlimit": 39.97,
    "fullchargecapacity": 201.98,
    "maximumcelltemperature": 19.95,
    "maximummoduletemperature": -273.15,
    "minimumcelltemperature": 18.95,
    "nominalmoduledcvoltage": 102.4,
    "remainingcapacity": 177.74,
    "systemalarm": 0.0,
    "systemdcvoltage": 208.3,
    "systemwarning": 0.0,
    "usableremainingcapacity": 163.60,
}
"""The same battery's `/battery`."""
LEGACY: dict[str, Any] = {"Pac_total_W": -5, "USOC": 0, "RSOC": 6, "OperatingMode": "2", "Ubat": 48, "dischargeNotAllowed": True}
"""An eco 8 of 48 V at its lower end (facts of an example in openWB, GitHub)."""


def test_a_published_status() -> None:
    """Positive on discharge, so this one charges; its mode is a text, its reserve too."""
    status = read_status(STATUS, "http://b/api/v2/status")
    assert (status.power_w, status.user_soc, status.mode, status.voltage_v) == (-1394.0, 0.81, "2", 212.0)
    assert (status.reserve, status.discharge_allowed, status.on_grid) == (0.2, True, True)
    assert named_mode(status.mode) == "mode 2 (self-consumption)"


def test_a_published_battery_becomes_amperes_and_ampere_hours_of_the_pack() -> None:
    """Two modules in series: 201.98 Ah at 102.4 V are 20.68 kWh, the pack's size, and 100.99 Ah at the pack's 204.8 V."""
    status, battery = read_status(STATUS, "s"), read_battery(BATTERY, "b")
    assert battery.full_ah is not None
    assert battery.full_ah * 2 * 102.4 == pytest.approx(20_683, abs=1.0)  # fullchargecapacitywh of the same answer
    voltage_v = voltage_of(status, battery, None)
    sample = build_sample(status, battery, voltage_v=voltage_v, measured=(1.0, 2.0), configured_a=(50.0, 30.0))
    assert sample.voltage_v == 208.3
    assert sample.current_a == pytest.approx(-1394 / 208.3)
    assert sample.charge_ah == pytest.approx(163.60 / 2)
    assert sample.capacity_ah == pytest.approx((201.98 - (177.74 - 163.60)) / 2)
    assert (sample.soc, sample.cycles, sample.temperatures_c, sample.faults) == (0.81, 30, (18.95, 19.95), ())
    assert (sample.limit_discharge_a, sample.limited_by) == (39.97, ("discharge limited to 39.97 A by the battery",))
    assert sample.discharge_allowed
    assert sample.charge_allowed


def test_an_empty_battery_may_not_discharge() -> None:
    """Its own word counts; without `/battery` the charge is unknown, not 0."""
    status = read_status(LEGACY, "s")
    sample = build_sample(status, None, voltage_v=voltage_of(status, None, None), measured=(1.0, 2.0))
    assert (sample.voltage_v, sample.charge_ah, sample.capacity_ah, sample.soc) == (48.0, None, None, 0.0)
    assert not sample.discharge_allowed
    assert sample.blocked_by == ("discharge not allowed by the battery",)


def test_a_battery_that_tells_no_voltage_needs_a_configured_one() -> None:
    """Without one the current is unknown and the note says what to write."""
    status = read_status({**LEGACY, "Ubat": None}, "s")
    assert voltage_of(status, None, 51.2) == 51.2
    sample = build_sample(status, None, voltage_v=voltage_of(status, None, None), measured=(1.0, 2.0))
    assert (sample.voltage_v, sample.current_a) == (None, None)
    assert sample.notes == ("voltage_v: the battery tells none; write voltage_v",)


@pytest.mark.parametrize(
    ("voltage_v", "module_v", "modules"),
    [(208.3, 102.4, 2), (53.0, 51.2, 1), (310.0, 102.4, 3), (48.0, None, 1), (40.0, 102.4, 1)],
)
def test_modules_in_series(voltage_v: float, module_v: float | None, modules: int) -> None:
    """The nearest whole number of modules, and one where a voltage is missing."""
    assert in_series(voltage_v, module_v) == modules


def test_the_charge_cannot_be_more_than_the_capacity() -> None:
    """A tenth is left to the estimate."""
    read_battery({**BATTERY, "remainingcapacity": 215.0}, "b")
    with pytest.raises(DriverError, match=r"b: remainingcapacity is 300, more than fullchargecapacity, 201\.98"):
        read_battery({**BATTERY, "remainingcapacity": 300.0}, "b")


def test_an_alarm_is_a_fault() -> None:
    """With its number, as no page names them."""
    assert read_battery({**BATTERY, "systemalarm": 4.0, "systemwarning": 2}, "b").faults == ("alarm 4", "warning 2")


def test_a_time_stamp_that_stands_still_keeps_its_instant() -> None:
    """One that moves, in any direction, is a new measurement, and so is none at all."""
    freshness = Freshness()
    assert freshness.measured("a", 1.0, 101.0) == (1.0, 101.0)
    assert freshness.measured("a", 5.0, 105.0) == (1.0, 101.0)
    assert freshness.measured("0", 6.0, 106.0) == (6.0, 106.0)
    assert freshness.measured(None, 7.0, 107.0) == (7.0, 107.0)
    assert freshness.measured(None, 8.0, 108.0) == (8.0, 108.0)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def decoded(fields: dict[str, object]) -> tuple[Status, Battery] | DriverError:
    """Return both documents with these fields changed, or why they are refused."""
    try:
        return read_status({**STATUS, **fields}, "s"), read_battery({**BATTERY, **fields}, "b")
    except DriverError as error:
        return error


@settings(max_examples=examples(300))
@given(fields=st.dictionaries(st.sampled_from([*STATUS, *BATTERY]), VALUES, max_size=8))
def test_any_change_is_a_reading_within_its_ranges_or_a_named_fault(fields: dict[str, object]) -> None:
    """Whatever stands in the fields: finite numbers within their ranges, or DriverError."""
    read = decoded(fields)
    if isinstance(read, DriverError):
        assert read.metadata["place"] in ("s", "b")
        return
    status, battery = read
    sample = build_sample(status, battery, voltage_v=voltage_of(status, battery, 50.0), measured=(1.0, 2.0))
    numbers = (sample.voltage_v, sample.current_a, sample.charge_ah, sample.capacity_ah, sample.soc, sample.limit_charge_a)
    assert all(math.isfinite(number) for number in numbers if number is not None)
    assert sample.soc is not None
    assert 0.0 <= sample.soc <= 1.0
    if sample.charge_ah is not None and sample.capacity_ah is not None:
        assert 0.0 <= sample.charge_ah <= sample.capacity_ah


@settings(max_examples=examples(300))
@given(body=st.binary(max_size=64) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_document_or_a_named_fault(body: bytes) -> None:
    """Bytes that are no JSON, and JSON that is no status."""
    with pytest.raises(DriverError, match=r"\As: "):  # no body so short has the fields of a status
        read_status(read_json(body, "s"), "s")
