"""A regulator does not charge for long what nobody sees."""

from dataclasses import replace
from typing import Any

import pytest
import structlog

from bosd.bal.in_sight import LONGEST_UNSEEN_S, kept_in_sight
from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import JbdSpec, SimulatedRegulatorSpec
from bosd.config.topology_toml import parse_stored, parse_topology
from bosd.drivers.absent import AbsentDevice
from bosd.errors import ConfigError
from tests.support.bal_makers import jbd_spec

CHARGED = jbd_spec("b1", 5.0, current_control="external", regulator=SimulatedRegulatorSpec(port="/run/load"))
TABLE = """
[[battery]]
name = "b1"
kind = "jbd"
port = "/dev/b1"
current_control = "external"
max_discharge_current_a = 5.0
max_charge_current_a = 5.0
regulator = { kind = "simulated", port = "/run/load" }
"""


def ages_s(spec: JbdSpec) -> tuple[float, float]:
    """Return the ages at which a battery is stale and gone."""
    battery = PhysicalBattery(spec, AbsentDevice(spec.name, "not here"))
    return battery.max_staleness_s, battery.unavailable_after_s


@pytest.mark.parametrize(
    ("keys", "at_fault", "most_s"),
    [
        ({"unavailable_after_s": 1e9}, "unavailable_after_s", 60),
        ({"unavailable_after_s": 60.001}, "unavailable_after_s", 60),
        ({"max_staleness_s": 61.0}, "max_staleness_s", 60),
        ({"refresh_period_s": 20.5}, "refresh_period_s", 20),
    ],
)
def test_beyond_a_minute_is_refused_and_what_was_stored_is_lowered(keys: dict[str, Any], at_fault: str, most_s: int) -> None:
    """A new one is a fault that says what is right; one that was in force before is kept, lowered, and said."""
    text = TABLE + "".join(f"{key} = {value}\n" for key, value in keys.items())
    with pytest.raises(ConfigError, match=rf'battery\[0\] "b1"\.{at_fault}: .* is silent; at most {most_s} s'):
        parse_topology(text)
    with structlog.testing.capture_logs() as lines:
        (spec,) = parse_stored(text, "stored topology, revision 3").batteries
    assert isinstance(spec, JbdSpec)
    assert getattr(spec, at_fault) == most_s
    assert ages_s(spec)[1] <= LONGEST_UNSEEN_S
    assert [(line["event"], line["battery"]) for line in lines] == [("age_lowered", "b1")]
    assert at_fault in lines[0]["detail"]


def test_what_is_within_stays_as_it_is() -> None:
    """The bound itself, the usual values, and any age where no regulator runs."""
    for spec in (CHARGED, replace(CHARGED, unavailable_after_s=60.0, max_staleness_s=60.0, refresh_period_s=20.0)):
        assert kept_in_sight(spec) is spec
    bare = replace(CHARGED, current_control="none", regulator=None, unavailable_after_s=1e9)
    assert kept_in_sight(bare) is bare
    assert ages_s(bare)[1] == 1e9


def test_the_usual_age_is_within_it_too() -> None:
    """Three times stale, a minute at most with a regulator: 3 periods of 10 s are stale, 90 s would be gone."""
    assert ages_s(replace(CHARGED, refresh_period_s=10.0)) == (30.0, 60.0)
    assert ages_s(replace(CHARGED, refresh_period_s=10.0, current_control="gate", regulator=None)) == (30.0, 90.0)
    assert ages_s(CHARGED) == (3.0, 9.0)
