"""What is judged: true is what was so at some instant of the reading, in the unit and with the sign of the port."""

from dataclasses import replace
from typing import Any

import pytest

from bosd.bal.device import Sample
from bosd.drivers.impossible import impossible
from bosd.drivers.kit.bench import Tolerance, Truth
from bosd.drivers.kit.judge import Judge

SAMPLE = Sample(
    sampled_s=0.0,
    sampled_utc_s=0.0,
    voltage_v=13.2,
    current_a=5.0,
    charge_ah=50.0,
    capacity_ah=100.0,
    soc=0.5,
    cells_v=(3.3, 3.3),
    cells_s=0.0,
)


class World:
    """A truth that moves, and its clock."""

    def __init__(self, memory_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.truth = Truth(voltage_v=13.2, current_a=5.0, charge_ah=50.0, capacity_ah=100.0, soc=0.5, cells_v=(3.3, 3.3))
        self.judge = Judge(lambda: self.truth, Tolerance(), lambda: self.now_s, memory_s)

    def change(self, now_s: float, **values: Any) -> None:
        """Let time pass, then something change."""
        self.now_s = now_s
        self.judge.look()
        self.truth = replace(self.truth, **values)


def test_what_was_true_when_the_reading_began_or_ended_is_true() -> None:
    """A value may be taken at any instant of its reading."""
    world = World()
    world.judge.begin()
    world.change(0.1, current_a=8.0)
    assert world.judge.wrong(SAMPLE) == []
    assert world.judge.wrong(replace(SAMPLE, current_a=8.0)) == []


def test_what_was_true_before_it_is_wrong() -> None:
    """The old value, as if it were new."""
    world = World()
    world.judge.begin()
    world.change(1.0, current_a=8.0)
    world.judge.begin()
    assert world.judge.wrong(SAMPLE) == ["current_a: says 5, true was 8 (tolerance 0.005)"]


@pytest.mark.parametrize(("at_s", "wrong"), [(3.0, 0), (3.5, 1)])
def test_memory_is_for_connections_that_stand_still(at_s: float, wrong: int) -> None:
    """Three seconds of stall: what was true within them counts, and the one look before."""
    world = World(memory_s=3.0)
    world.judge.begin()
    world.change(0.1, current_a=8.0)
    world.change(0.2)
    world.now_s = at_s
    world.judge.begin()
    assert len(world.judge.wrong(SAMPLE)) == wrong


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"voltage_v": 13.206}, "voltage_v: says 13.206, true was 13.2"),
        ({"soc": 50.0}, "soc: says 50"),
        ({"cells_v": (3.3, 3.302)}, "cells_v: cell 2 says 3.302 V"),
        ({"cells_v": (3.3,)}, "cells_v: says 1 cells, true are 2"),
        ({"cells_s": -700.0}, "cells_s: -700 s is no instant of the last 600 s"),
        ({"cells_s": None}, "cells_s: None beside cells_v"),
        ({"limit_charge_a": -3.0}, "limit_charge_a: -3 is negative"),
        ({"current_a": float("nan")}, "current_a: says nan"),
        ({"charge_allowed": False}, "blocked_by: empty"),
    ],
)
def test_each_wrong_value_is_told(values: dict[str, object], says: str) -> None:
    """With what it says and what was true."""
    world = World()
    world.judge.begin()
    assert any(found.startswith(says) for found in world.judge.wrong(replace(SAMPLE, **values))), values  # type: ignore[arg-type]


@pytest.mark.parametrize("ages", [False, True])
def test_cells_that_were_right_may_age_where_hardly_any_answer_arrives(*, ages: bool) -> None:
    """Eleven minutes old with their own instant: right where only the medium is to blame; others of that age never are."""
    world = World()
    world.judge.lets_cells_age = ages
    world.judge.begin()
    assert world.judge.wrong(SAMPLE) == []
    world.now_s = 660.0
    world.judge.begin()
    later = replace(SAMPLE, sampled_s=660.0, sampled_utc_s=SAMPLE.sampled_utc_s + 660.0)
    old = [f"cells_s: {SAMPLE.cells_s:g} s is no instant of the last 600 s; now is 660 s"]
    assert world.judge.wrong(later) == ([] if ages else old)
    assert world.judge.wrong(replace(later, cells_v=(3.302, 3.3))) == old


def test_what_the_device_does_not_tell_has_no_value() -> None:
    """A number where the truth has none is made up."""
    world = World()
    world.change(0.0, charge_ah=None)
    world.judge.begin()
    assert world.judge.wrong(SAMPLE) == ["charge_ah: says 50, which the device cannot know; unknown is None"]
    assert world.judge.wrong(replace(SAMPLE, charge_ah=None)) == []


def test_a_good_sample_is_possible() -> None:
    """Whatever is true, these rules hold."""
    assert list(impossible(SAMPLE)) == []
    assert list(impossible(replace(SAMPLE, charge_allowed=False, blocked_by=("cell_overvoltage",)))) == []
