"""The battery behind the board's connector: pack, protections, MOSFETs and the load that somebody outside asks for."""

import math

from bosd.drivers.jbd.simulator import configuration
from bosd.drivers.jbd.simulator.configuration import default_configuration
from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.pack import Pack
from bosd.drivers.jbd.simulator.protection import CHARGE_BLOCKING, DISCHARGE_BLOCKING, LOCK_BIT, Protections, Readings

RECLOSE_CURRENT_A = 2.0
"""Reverse current above which the board closes a disabled MOSFET to spare its body diode (newer firmware)."""

_LONGEST_STEP_S = 1.0
_MOST_STEPS = 3600


class Plant:
    """The model as a whole, moved on by `advance`; currents positive = discharge.

    `load_current_a` is what the outside would draw; `current_a` is what the MOSFETs let through. One MOSFET disabled still
    passes the other direction through its body diode. The protections and the configuration words are the board's.
    """

    def __init__(self, options: SimulatorOptions) -> None:
        self.pack = Pack(options, options.rng("cells"))
        self.words = default_configuration(options, self.pack)
        self.protections = Protections()
        self.forced_bits = 0
        self.load_current_a = options.load_current_a
        self.charge_enabled = True
        self.discharge_enabled = True
        self.balance_test = 0
        self._updated_s: float | None = None

    def update(self, now_s: float) -> None:
        """Bring the model to `now_s`; an instant before the last one changes nothing."""
        if self._updated_s is not None and now_s > self._updated_s:
            self.advance(now_s - self._updated_s)
        self._updated_s = max(now_s, self._updated_s or now_s)

    def advance(self, seconds: float) -> None:
        """Move the model on in equal steps of at most 1 s, longer ones where that would take more than 3600 steps."""
        count = min(max(math.ceil(seconds / _LONGEST_STEP_S), 1), _MOST_STEPS)
        for _ in range(count):
            self._step(seconds / count)

    @property
    def current_a(self) -> float:
        """Current through the connector, positive = discharge; 0 where MOSFETs or protections block the asked direction."""
        enabled = self._discharge_closed() if self.load_current_a > 0 else self._charge_closed()
        return self.load_current_a if enabled else 0.0

    @property
    def charge_fet(self) -> bool:
        """Whether the charge MOSFET conducts; it also does while more than 2 A flow out."""
        return self._charge_closed() or self.current_a > RECLOSE_CURRENT_A

    @property
    def discharge_fet(self) -> bool:
        """Whether the discharge MOSFET conducts; it also does while more than 2 A flow in."""
        return self._discharge_closed() or self.current_a < -RECLOSE_CURRENT_A

    @property
    def protection_word(self) -> int:
        """The protections that are up, those forced from outside, and bit 12 while a MOSFET is switched off by command."""
        locked = not (self.charge_enabled and self.discharge_enabled)
        return self.protections.word | self.forced_bits | locked << LOCK_BIT

    @property
    def cell_voltages_v(self) -> list[float]:
        """Terminal voltage of each cell at the present current."""
        return self.pack.cell_voltages_v(self.current_a)

    @property
    def voltage_v(self) -> float:
        """Pack voltage: the sum of the cells."""
        return sum(self.cell_voltages_v)

    @property
    def balance_word(self) -> int:
        """Cells being bled, bit 0 = cell 1: the balance test's, or those above start and window of the configuration."""
        if self.balance_test:
            pattern = 0x55555555 if self.balance_test == 1 else 0xAAAAAAAA
            return pattern & ((1 << len(self.pack.cells)) - 1)
        functions = self.words[configuration.FUNCTIONS]
        waiting = functions & configuration.BALANCE_ONLY_CHARGING and self.current_a >= 0.0
        if waiting or not functions & configuration.BALANCE_ENABLED:
            return 0
        volts = self.cell_voltages_v
        start_v = self.words[configuration.BALANCE_START] / 1000.0
        floor_v = max(start_v, min(volts) + self.words[configuration.BALANCE_WINDOW] / 1000.0)
        return sum(1 << index for index, cell_v in enumerate(volts) if cell_v > floor_v)

    @property
    def cycles(self) -> int:
        """Cycles at start plus the charge drawn since over the capacity."""
        return self.words[configuration.CYCLES] + int(self.pack.discharged_ah / self.pack.capacity_ah)

    def switch(self, *, charge: bool, discharge: bool) -> None:
        """Enable or disable each MOSFET by command; a current above 2 A the other way closes a disabled one again at once."""
        self.charge_enabled, self.discharge_enabled = charge, discharge
        self._reclose()

    def restart(self) -> None:
        """Start the board anew: alarms dropped, MOSFETs enabled, one more restart counted."""
        self.protections.clear()
        self.charge_enabled = self.discharge_enabled = True
        self.balance_test = 0
        self.protections.counters[11] += 1

    def _step(self, seconds: float) -> None:
        self.pack.step(seconds, self.current_a, self.balance_word)
        current_a, volts = self.current_a, self.cell_voltages_v
        readings = Readings(
            lowest_cell_v=min(volts),
            highest_cell_v=max(volts),
            voltage_v=sum(volts),
            temperature_c=self.pack.temperature_c,
            charge_current_a=max(-current_a, 0.0),
            discharge_current_a=max(current_a, 0.0),
        )
        self.protections.step(seconds, readings, self.words)
        self._reclose()

    def _reclose(self) -> None:
        if self.current_a > RECLOSE_CURRENT_A:
            self.charge_enabled = True
        if self.current_a < -RECLOSE_CURRENT_A:
            self.discharge_enabled = True

    def _charge_closed(self) -> bool:
        return self.charge_enabled and not (self.protections.word | self.forced_bits) & CHARGE_BLOCKING

    def _discharge_closed(self) -> bool:
        return self.discharge_enabled and not (self.protections.word | self.forced_bits) & DISCHARGE_BLOCKING
