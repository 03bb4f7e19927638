"""The supply behind its registers: set points, output, regulation into a battery, protections, loss of power."""

from bosd.drivers.rd6006.simulator.options import MODELS, SimulatorOptions

OVP, OCP, OTP = 1, 2, 3
"""Register 16; the number of an over-temperature is this simulator's own, as none is known."""
HOTTEST_C = 80.0
BUCK_RATIO = 1.1
SHIPPED_OVP_V = 62.0
SHIPPED_OCP_RATIO = 1.03


class Plant:
    """Currents flow out of the supply, so they are positive here; `update` settles everything at once: it has no inertia.

    `set_voltage_v`, `set_current_a`, `ovp_v`, `ocp_a` and `boot_output` survive a loss of power, as the preset M0 does.
    `accepts` False is a battery that takes nothing: its board blocks, or its fuse is gone.
    """

    def __init__(self, options: SimulatorOptions) -> None:
        self.build = MODELS[options.model]
        self.set_voltage_v = 5.0
        self.set_current_a = self.build.max_current_a
        self.ovp_v = SHIPPED_OVP_V
        self.ocp_a = self.build.max_current_a * SHIPPED_OCP_RATIO
        self.boot_output = options.boot_output
        self.input_voltage_v = options.input_voltage_v
        self.battery_voltage_v = options.battery_voltage_v
        self.resistance_ohm = options.battery_resistance_ohm
        self.accepts = True
        self.temperature_c = 30.0
        self.output_on = False
        self.protection = 0
        self.voltage_v = 0.0
        self.current_a = 0.0
        self.constant_current = False
        self.excess_v = 0.0
        self.excess_a = 0.0

    def switch(self, *, on: bool) -> None:
        """Switch the output, from the line or the front panel; either acknowledges a protection."""
        self.protection = 0
        self.output_on = on
        self.update()

    def power_up(self) -> None:
        """Come back after a loss of power: output off, or on where its boot option says so."""
        self.switch(on=self.boot_output)

    def update(self) -> None:
        """Let output and protections follow the set points and what the output is wired to."""
        self._regulate()
        self._protect()

    def _regulate(self) -> None:
        self.voltage_v = self.current_a = 0.0
        self.constant_current = False
        if not self.output_on:
            return
        top_v = min(self.set_voltage_v, self.input_voltage_v / BUCK_RATIO)
        if not self.accepts or top_v <= self.battery_voltage_v:
            self.voltage_v = top_v if not self.accepts else max(top_v, self.battery_voltage_v)
            return
        could_a = (top_v - self.battery_voltage_v) / self.resistance_ohm
        self.constant_current = could_a > self.set_current_a
        self.current_a = min(could_a, self.set_current_a)
        self.voltage_v = self.battery_voltage_v + self.current_a * self.resistance_ohm

    def _protect(self) -> None:
        if not self.output_on:
            return
        if self.voltage_v + self.excess_v > self.ovp_v:
            self._trip(OVP)
        elif self.current_a + self.excess_a > self.ocp_a:
            self._trip(OCP)
        elif self.temperature_c > HOTTEST_C:
            self._trip(OTP)

    def _trip(self, protection: int) -> None:
        self.output_on = False
        self._regulate()
        self.protection = protection
