"""What the control socket may change, and how it says no."""

import json

import pytest

from bosd.drivers.far_end.control import ControlProtocol
from bosd.drivers.jbd.simulator.settings import Settings
from bosd.errors import InvalidArgumentError
from tests.unit.drivers.jbd_simulator.bench_pack import Bench


def make() -> tuple[Bench, Settings]:
    """Return a bench and the settings on it."""
    bench = Bench()
    return bench, Settings(bench.board, bench.station, lambda: bench.now_s)


def test_values_take_effect_and_are_shown() -> None:
    """Set, then read back."""
    bench, settings = make()
    settings.set({"load_current_a": 4.0, "soc": 0.25, "temperature_c": 40.0, "protection_bits": 1 << 11})
    state = settings.state()
    assert (state["load_current_a"], state["soc"], state["remaining_ah"], state["temperature_c"]) == (4.0, 0.25, 25.0, 40.0)
    assert state["protection_bits"] == 1 << 11
    assert state["current_a"] == 0.0
    settings.set({"cell_v": [3.1, None, None, None], "protection_bits": 0})
    assert bench.plant.cell_voltages_v[0] == 3.1
    settings.set({"cell_v": None})
    assert bench.plant.cell_voltages_v[0] != 3.1


def test_the_time_before_a_change_counts_at_the_old_current() -> None:
    """An hour at 10 A, then 0 A: 10 Ah."""
    bench, settings = make()
    settings.set({"load_current_a": 10.0})
    bench.now_s += 3600.0
    settings.set({"load_current_a": 0.0})
    bench.now_s += 3600.0
    assert settings.state()["remaining_ah"] == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"load_current_a": "four"}, "load_current_a"),
        ({"load_current_a": float("nan")}, "load_current_a"),
        ({"soc": 2}, "soc"),
        ({"cell_v": [3.0]}, "cell_v"),
        ({"asleep": 1}, "asleep"),
        ({"turnaround_ms": [5]}, "turnaround_ms"),
        ({"wake_artefact": "x"}, "wake_artefact"),
        ({"volts": 1}, "volts"),
    ],
)
def test_bad_values_change_nothing_and_name_the_key(values: dict[str, object], key: str) -> None:
    """All or none, with the key at fault."""
    bench, settings = make()
    with pytest.raises(InvalidArgumentError, match=key) as caught:
        settings.set({"soc": 0.9, **values} if key != "soc" else values)
    assert caught.value.metadata["key"] == key
    assert bench.plant.pack.remaining_ah == 50.0


@pytest.mark.parametrize("line", [b"", b"{", b"[" * 60000, b"\xff\xfe", b"[]", b"1", b'{"op": NaN}'])
def test_lines_that_are_no_requests_are_refused(line: bytes) -> None:
    """Whatever arrives, the answer is an object with ok false and an error."""

    def refuse(request: dict[str, object]) -> dict[str, object]:
        raise InvalidArgumentError("op must be known", key="op")

    answer = ControlProtocol(refuse, set())._answer(line)
    assert answer["ok"] is False
    assert json.dumps(answer["error"])
