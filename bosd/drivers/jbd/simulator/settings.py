"""What can be changed and read while a simulated pack runs: one table of keys, each with its check and its effect."""

from collections.abc import Callable, Mapping

from bosd.drivers.far_end.checks import check_choice, check_number, check_turnaround
from bosd.drivers.jbd.simulator.options import WAKE_ARTEFACTS
from bosd.drivers.jbd.simulator.protocol import Board
from bosd.drivers.jbd.simulator.station import Station
from bosd.errors import InvalidArgumentError


class Settings:
    """Reads and changes the state of one pack; currents positive = discharge, volts, Ah, degC."""

    def __init__(self, board: Board, station: Station, now_s: Callable[[], float]) -> None:
        self._board = board
        self._plant = board.plant
        self._station = station
        self._now_s = now_s
        plant, pack = self._plant, self._plant.pack
        self._setters: dict[str, Callable[[str, object], Callable[[], None]]] = {
            "load_current_a": _number(plant, "load_current_a", -5000.0, 5000.0),
            "soc": self._soc,
            "remaining_ah": _number(pack, "remaining_ah", 0.0, 1000.0),
            "temperature_c": _number(pack, "temperature_c", -40.0, 120.0),
            "ambient_c": _number(pack, "ambient_c", -40.0, 120.0),
            "cell_v": self._cell_v,
            "protection_bits": self._protection_bits,
            "charge_enabled": self._switch,
            "discharge_enabled": self._switch,
            "asleep": self._asleep,
            "sleep_after_s": self._sleep_after,
            "wake_artefact": self._wake_artefact,
            "turnaround_ms": self._turnaround,
            "half_duplex": _flag(station, "half_duplex"),
            "answer_bad_checksum": _flag(station, "answer_bad_checksum"),
            "zero_checksum_refusals": _flag(board, "zero_checksum_refusals"),
            "block_parameters": _flag(board, "block_parameters"),
        }

    def set(self, values: Mapping[str, object]) -> None:
        """Change all of `values`, or none: InvalidArgumentError names the first key at fault and what would be right."""
        effects = []
        for key, value in values.items():
            if key not in self._setters:
                raise InvalidArgumentError(f"{key} cannot be set; known: {', '.join(self._setters)}", key=key)
            effects.append(self._setters[key](key, value))
        self._board.pass_time(self._now_s())
        for effect in effects:
            effect()

    def state(self) -> dict[str, object]:
        """Return the state now; `current_a` is what flows, `load_current_a` what is asked for."""
        now_s = self._now_s()
        self._board.pass_time(now_s)
        plant, pack = self._plant, self._plant.pack
        return {
            "voltage_v": plant.voltage_v,
            "current_a": plant.current_a,
            "load_current_a": plant.load_current_a,
            "remaining_ah": pack.remaining_ah,
            "capacity_ah": pack.capacity_ah,
            "soc": sum(cell.charge_ah / cell.capacity_ah for cell in pack.cells) / len(pack.cells),
            "cell_v": plant.cell_voltages_v,
            "temperature_c": pack.temperature_c,
            "ambient_c": pack.ambient_c,
            "protection_bits": plant.protection_word,
            "balance_bits": plant.balance_word,
            "charge_fet": plant.charge_fet,
            "discharge_fet": plant.discharge_fet,
            "charge_enabled": plant.charge_enabled,
            "discharge_enabled": plant.discharge_enabled,
            "cycles": plant.cycles,
            "counters": list(plant.protections.counters),
            "factory_mode": self._board.factory_mode,
            "asleep": self._station.asleep(now_s),
            "stuck": self._station.stuck(now_s),
            "configuration": {f"{register:02x}": word for register, word in sorted(plant.words.items())},
        }

    def _soc(self, key: str, value: object) -> Callable[[], None]:
        soc = check_number(key, value, 0.0, 1.0)
        return lambda: self._plant.pack.set_soc(soc)

    def _cell_v(self, key: str, value: object) -> Callable[[], None]:
        """Fix terminal voltages: one entry a cell, null for those that follow the model; null alone frees all."""
        cells = self._plant.pack.cells
        wanted = [None] * len(cells) if value is None else value
        if not isinstance(wanted, list) or len(wanted) != len(cells):
            raise InvalidArgumentError(f"{key} must be a list of {len(cells)} voltages or nulls, or null, not {value!r}", key=key)
        volts = [None if one is None else check_number(key, one, 0.0, 65.535) for one in wanted]

        def fix() -> None:
            for cell, cell_v in zip(cells, volts, strict=True):
                cell.override_v = cell_v

        return fix

    def _protection_bits(self, key: str, value: object) -> Callable[[], None]:
        bits = check_number(key, value, 0, 0xFFFF)
        return lambda: setattr(self._plant, "forced_bits", int(bits))

    def _switch(self, key: str, value: object) -> Callable[[], None]:
        enabled, plant = _boolean(key, value), self._plant
        if key == "charge_enabled":
            return lambda: plant.switch(charge=enabled, discharge=plant.discharge_enabled)
        return lambda: plant.switch(charge=plant.charge_enabled, discharge=enabled)

    def _asleep(self, key: str, value: object) -> Callable[[], None]:
        asleep = _boolean(key, value)
        return lambda: self._station.set_asleep(asleep, self._now_s())

    def _sleep_after(self, key: str, value: object) -> Callable[[], None]:
        seconds = None if value is None else check_number(key, value, 0.1, 1e9)
        return lambda: setattr(self._station, "sleep_after_s", seconds)

    def _wake_artefact(self, key: str, value: object) -> Callable[[], None]:
        artefact = check_choice(key, value, WAKE_ARTEFACTS)
        return lambda: setattr(self._station, "wake_artefact", artefact)

    def _turnaround(self, _key: str, value: object) -> Callable[[], None]:
        span = check_turnaround(value)
        return lambda: setattr(self._station, "turnaround_ms", span)


def _number(target: object, name: str, lowest: float, highest: float) -> Callable[[str, object], Callable[[], None]]:
    def parse(key: str, value: object) -> Callable[[], None]:
        number = check_number(key, value, lowest, highest)
        return lambda: setattr(target, name, number)

    return parse


def _flag(target: object, name: str) -> Callable[[str, object], Callable[[], None]]:
    def parse(key: str, value: object) -> Callable[[], None]:
        flag = _boolean(key, value)
        return lambda: setattr(target, name, flag)

    return parse


def _boolean(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{key} must be true or false, not {value!r}", key=key)
    return value
