"""A Riden RD60xx bench supply as a regulator: it charges a battery at a current, up to a voltage.

It is a source, so it cannot discharge. It holds its set points whatever dies: its map has no watchdog and no register that
could arm one (registers.py), and its output stays as it is when the line falls silent. So `hold_s` is None.
"""

import asyncio
import math

import structlog

from bosd.bal.device import DeviceFacts, LimitFact
from bosd.drivers.line import RequestLine
from bosd.drivers.rd6006 import registers
from bosd.drivers.rd6006.codec import Status
from bosd.drivers.rd6006.registers import INPUT_RATIO, Model
from bosd.drivers.rd6006.supply import Supply, floor_count
from bosd.drivers.regulator import Direction
from bosd.drivers.traffic import traffic_of
from bosd.drivers.transport import SERIAL_GAP_S, SERIAL_REPLY_S
from bosd.errors import CurrentOutOfRangeError, DriverError, InvalidArgumentError, NotFollowedError, UnsupportedError

OVP_MARGIN_V = 0.5
OCP_MARGIN = 1.1
"""Its protections stand a little above the set points, which it keeps by itself: they are for what is no regulation any more."""
LEAST_OCP_MARGIN_A = 0.1
TRIP_PAUSE_S = 30.0
"""How long a supply that a protection switched off is left off, however often it is asked for a current."""
ATTEMPTS = 3
_ATTEMPT_PAUSE_S = 0.2
_EXCHANGE_S = ATTEMPTS * SERIAL_REPLY_S + _ATTEMPT_PAUSE_S + SERIAL_GAP_S
_EXCHANGES_TO_ZERO = 5
"""Another request that is under way, output off, current to 0, what it is where that is not known, read back."""

_log = structlog.get_logger("rd6006")


class Rd6006Regulator:
    """The supply on `line`, never above `max_current_a` (a magnitude) and `max_voltage_v`, the pack's highest voltage.

    Before its output goes on, and after each loss of the line, its model is read, and its own protections are set just above
    these two and read back. Each set point is: voltage and current, read back, then output on, read back; 0 A is: output off
    first. Its answers are what it shows at that moment, as a person may turn its knobs.
    """

    hold_s: float | None = None
    failsafe_time_s: float = _EXCHANGES_TO_ZERO * _EXCHANGE_S
    directions: frozenset[Direction] = frozenset({"charge"})

    def __init__(self, line: RequestLine, *, max_current_a: float, max_voltage_v: float, address: int = 1) -> None:
        self.port = line.port
        self.max_current_a = max_current_a
        self.max_voltage_v = max_voltage_v
        self._supply = Supply(line, address)
        self._lock = asyncio.Lock()
        self._prepared_at = -1
        self._tripped = ""
        self._again_s = -math.inf
        self._asked_a = 0.0
        self._seen: Status | None = None
        self._closed = False
        line.share()

    async def set_current(self, current_a: float) -> None:
        """Charge with `-current_a`, or with 0 switch off; return once that is read back.

        Raises UnsupportedError for a discharge, CurrentOutOfRangeError beyond `max_current_a`, NotFollowedError when it shows
        something else, DriverError for a protection that switched it off, an input voltage that is too low, or nonsense.
        """
        self._check(current_a)
        async with self._lock:
            if current_a == 0.0:
                self._asked_a = 0.0
                await self._switch_off()
            else:
                await self._charge(0.0 - current_a)
                self._asked_a = current_a

    async def read(self) -> float:
        """Return what it holds: minus its current set point while its output is on, else 0.

        Raises NotFollowedError while it runs at another voltage than it was told.
        """
        async with self._lock:
            status = await self._look()
            model = await self._supply.known()
            if self._asked_a != 0.0 and status.output_on:
                self._check_voltage(self._asked_a, self._top_v(model), model, status)
        return held_a(status)

    async def measured_a(self) -> float | None:
        """Return the current through its output, as it measures it."""
        async with self._lock:
            status = await self._look()
        return 0.0 - status.output_current_a if status.output_on else 0.0

    @property
    def restrained_by(self) -> str:
        """Why it gave less than its set point of its own accord when it was last read; empty when it did not."""
        status = self._seen
        if self._tripped or status is None:
            return self._tripped
        in_voltage = status.output_on and not status.constant_current
        return f"constant voltage at {status.set_voltage_v:g} V" if in_voltage else ""

    def facts(self) -> DeviceFacts:
        """Return who it is, what it did when it was last looked at, and its line's traffic; nothing is asked."""
        line = self._supply.line
        return DeviceFacts(
            identity=(*self._supply.identity, *(_seen_texts(self._seen) if self._seen is not None else ())),
            limits=(LimitFact(direction="charge", limit_a=self.max_current_a, source="its max_current_a"),),
            flags=_flags(self._seen) if self._seen is not None else (),
            traffic=traffic_of(line.counters, line.latencies_s),
            notes=(self._tripped,) if self._tripped else (),
        )

    async def close(self) -> None:
        """Let go of the line; the supply goes on as it was told."""
        if not self._closed:
            self._closed = True
            self._supply.line.close()

    def _check(self, current_a: float) -> None:
        if not math.isfinite(current_a):
            raise InvalidArgumentError(f"{self.port}: a current is finite, asked were {current_a}", field="current_a")
        if current_a > 0.0:
            message = f"{self.port}: a bench supply only charges, asked were {current_a:g} A; discharging needs a load"
            raise UnsupportedError(message, port=self.port, asked_a=current_a, lower_a=0.0 - self.max_current_a, upper_a=0.0)
        if -current_a > self.max_current_a * (1.0 + 1e-9):
            message = f"{self.port}: {-self.max_current_a:g} to 0 A by max_current_a, asked were {current_a:g} A"
            raise CurrentOutOfRangeError(message, asked_a=current_a, lower_a=0.0 - self.max_current_a, upper_a=0.0)

    async def _switch_off(self) -> None:
        await self._supply.switch(on=False)
        await self._supply.clear_current()  # whoever switches it on by hand starts at nothing
        status = await self._look(urgent=True)
        if status.output_on:
            raise self._not_followed(0.0, status)

    async def _charge(self, current_a: float) -> None:
        status = await self._look()
        self._refuse_while_tripped()
        if not status.output_on or self._prepared_at != self._supply.identified:
            await self._prepare()
            status = await self._look()
        self._check_input(status)
        model = await self._supply.known()
        voltage_v = self._top_v(model)
        if abs(status.set_voltage_v - voltage_v) > model.voltage_scale_v / 2:
            await self._supply.write_voltage(registers.SET_VOLTAGE, voltage_v)
        if abs(status.set_current_a - current_a) > model.current_scale_a / 2:
            await self._supply.write_current(registers.SET_CURRENT, current_a)
        if not status.output_on:
            self._check_set(current_a, voltage_v, model, await self._look())
            await self._supply.switch(on=True)
        status = await self._look()
        self._check_set(current_a, voltage_v, model, status)
        if not status.output_on:
            if status.trip:
                self._trip(status)
                self._refuse_while_tripped()
            raise self._not_followed(0.0 - current_a, status)

    async def _prepare(self) -> None:
        """Identify it, set its own protections, and read them back."""
        model = await self._supply.identify()
        if self.max_current_a > model.max_current_a or self.max_voltage_v > model.max_voltage_v:
            message = f"{self.port}: max_current_a {self.max_current_a:g} A and max_voltage_v {self.max_voltage_v:g} V: "
            raise DriverError(
                f"{message}the {model.name} gives at most {model.max_current_a:g} A and {model.max_voltage_v:g} V",
                port=self.port,
                model=model.name,
            )
        ovp_v = self.max_voltage_v + OVP_MARGIN_V
        ocp_a = max(self.max_current_a * OCP_MARGIN, self.max_current_a + LEAST_OCP_MARGIN_A)
        ovp_v, ocp_a = min(ovp_v, model.highest_ovp_v), min(ocp_a, model.highest_ocp_a)
        if not _just_below(await self._supply.protections(), (ovp_v, ocp_a), model):
            await self._supply.write_voltage(registers.OVP, ovp_v)
            await self._supply.write_current(registers.OCP, ocp_a)
            held_v, held_a = await self._supply.protections()
            if not _just_below((held_v, held_a), (ovp_v, ocp_a), model):
                message = f"{self.port}: protections read back as OVP {held_v:g} V and OCP {held_a:g} A"
                raise DriverError(f"{message}, written were {ovp_v:g} V and {ocp_a:g} A", port=self.port)
        if self._prepared_at < 0 and await self._supply.boots_on():
            _log.warning("output_on_at_boot", port=self.port, detail="after a loss of power its output comes back on by itself")
        self._prepared_at = self._supply.identified

    async def _look(self, *, urgent: bool = False) -> Status:
        """Read the status; note a protection that switched off what it was told."""
        status = self._seen = await self._supply.status(urgent=urgent)
        if status.trip and not status.output_on and self._asked_a != 0.0:
            self._trip(status)
        elif status.output_on and not status.trip:
            self._tripped = ""
        return status

    def _top_v(self, model: Model) -> float:
        """Return the highest voltage it can be set to within `max_voltage_v`."""
        return floor_count(self.max_voltage_v, model.voltage_scale_v) * model.voltage_scale_v

    def _trip(self, status: Status) -> None:
        self._asked_a = 0.0
        self._tripped = (
            f"{status.trip}: its own protection switched it off at {status.output_voltage_v:g} V, {status.temperature_c} degC"
        )
        self._again_s = asyncio.get_running_loop().time() + TRIP_PAUSE_S
        _log.warning("tripped", port=self.port, protection=status.trip, voltage_v=status.output_voltage_v)

    def _refuse_while_tripped(self) -> None:
        left_s = self._again_s - asyncio.get_running_loop().time()
        if self._tripped and left_s > 0.0:
            message = f"{self.port}: {self._tripped}; not switched on again for {left_s:.0f} s"
            raise DriverError(message, port=self.port, protection=self._tripped.partition(":")[0])

    def _check_input(self, status: Status) -> None:
        least_v = INPUT_RATIO * self.max_voltage_v
        if status.input_voltage_v < least_v:
            message = f"{self.port}: input voltage {status.input_voltage_v:g} V is too low for {self.max_voltage_v:g} V"
            raise DriverError(
                f"{message}: it needs {least_v:.4g} V ({INPUT_RATIO:g} times max_voltage_v)",
                port=self.port,
                input_voltage_v=status.input_voltage_v,
            )

    def _check_set(self, current_a: float, voltage_v: float, model: Model, status: Status) -> None:
        if abs(status.set_current_a - current_a) > 1.5 * model.current_scale_a:
            raise self._not_followed(0.0 - current_a, status)
        self._check_voltage(0.0 - current_a, voltage_v, model, status)

    def _check_voltage(self, commanded_a: float, voltage_v: float, model: Model, status: Status) -> None:
        if abs(status.set_voltage_v - voltage_v) > 1.5 * model.voltage_scale_v:
            raise self._not_followed(commanded_a, status)

    def _not_followed(self, commanded_a: float, status: Status) -> NotFollowedError:
        state = "on" if status.output_on else "off"
        return NotFollowedError(
            f"{self.port}: told {commanded_a:g} A at up to {self.max_voltage_v:g} V, it holds "
            f"{0.0 - status.set_current_a:g} A at {status.set_voltage_v:g} V, output {state}",
            commanded_a=commanded_a,
            held_a=held_a(status),
            measured_a=0.0 - status.output_current_a,
            port=self.port,
        )


def held_a(status: Status) -> float:
    """Return the current it goes on with by itself, positive on discharge."""
    return 0.0 - status.set_current_a if status.output_on else 0.0


def _flags(status: Status) -> tuple[tuple[str, bool], ...]:
    return (("output_on", status.output_on), ("constant_current", status.output_on and status.constant_current))


def _seen_texts(status: Status) -> tuple[tuple[str, str], ...]:
    return (
        ("set to", f"{status.set_current_a:g} A at up to {status.set_voltage_v:g} V"),
        ("gives", f"{status.output_current_a:g} A at {status.output_voltage_v:g} V"),
        ("input", f"{status.input_voltage_v:g} V"),
        ("temperature", f"{status.temperature_c} \N{DEGREE SIGN}C"),
    )


def _just_below(held: tuple[float, float], wanted: tuple[float, float], model: Model) -> bool:
    """Return whether a voltage and a current held are those that were wanted, or less than two counts below."""
    scales = (model.voltage_scale_v, model.current_scale_a)
    return all(-scale / 2 < want - hold < 2 * scale for hold, want, scale in zip(held, wanted, scales, strict=True))
