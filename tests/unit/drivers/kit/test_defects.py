"""The kit finds what it is for: a driver without a defect passes, and each defect fails the check that is meant for it."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from bosd.bal.device import Sample
from bosd.drivers.jbd import DRIVER as JBD
from bosd.drivers.jbd.bench import JbdBench
from bosd.drivers.jbd.framing import Frame, FrameReader
from bosd.drivers.kind import DriverContext
from bosd.drivers.kit import blocking
from bosd.drivers.kit.hours import run_hours
from bosd.drivers.kit.result import Verdict
from bosd.drivers.kit.trial import run_checks
from bosd.drivers.kit.world import Trial
from bosd.errors import DriverError, UnavailableError
from tests.support.pump import BENCH, HOLD_S, Pump, PumpSpec, pump_kind

READS = 1200
"""Of the memory check: a reading that keeps its sample keeps well over 100 bytes, where 32 KiB are allowed."""


class Charging(Pump):
    """Has the signs of chargers."""

    def sample(self, values: Mapping[str, str]) -> Sample:
        right = super().sample(values)
        return replace(right, current_a=0.0 - (right.current_a or 0.0))


class Millivolts(Pump):
    """Passes on the protocol's unit."""

    def sample(self, values: Mapping[str, str]) -> Sample:
        return replace(super().sample(values), voltage_v=float(values["V"]))


class Zero(Pump):
    """Makes 0 of what is not known."""

    def number(self, values: Mapping[str, str], key: str) -> float | None:
        return super().number(values, key) or 0.0


class Unblocked(Pump):
    """Does not look at what the device blocks."""

    def sample(self, values: Mapping[str, str]) -> Sample:
        return replace(super().sample(values), charge_allowed=True, discharge_allowed=True, blocked_by=())


class Patient(Pump):
    """Has no deadline: it asks again until it is answered."""

    async def ask(self, text: str) -> str:
        while True:
            try:
                return await super().ask(text)
            except Exception:  # noqa: BLE001 (the defect)
                await asyncio.sleep(0.1)


class Old(Pump):
    """Gives the last values when there are no new ones."""

    last: Sample | None = None

    async def read(self) -> Sample:
        try:
            self.last = await super().read()
        except DriverError:
            raise
        except Exception:
            if self.last is None:
                raise
        return self.last


class Locked(Pump):
    """Does not give its lock back when it is cancelled."""

    def __init__(self, spec: PumpSpec, context: DriverContext) -> None:
        super().__init__(spec, context)
        self.lock = asyncio.Lock()

    async def ask(self, text: str) -> str:
        await self.lock.acquire()
        answer = await super().ask(text)
        self.lock.release()
        return answer


class Trusting(Pump):
    """Takes the acknowledgement for the deed."""

    async def set_current(self, current_a: float) -> None:
        await self.ask(f"S={current_a * 1000:.0f}")


class Backwards(Pump):
    """Commands with the sign of chargers, and reads it back so."""

    async def ask(self, text: str) -> str:
        return await super().ask(f"S={-int(text[2:])}" if text.startswith("S=") else text)

    async def held_current_a(self) -> float | None:
        held_a = await super().held_current_a()
        return None if held_a is None else 0.0 - held_a


class Forever(Pump):
    """Declares a hold that the device has not."""

    hold_s = None


class TooShort(Pump):
    """Declares a longer hold than the device has."""

    hold_s = HOLD_S * 3


class Careless(Pump):
    """Says that it made safe what it did not."""

    async def make_safe(self) -> str:
        return "at 0 A"


class Strange(Pump):
    """Lets an error of its own out."""

    async def ask(self, text: str) -> str:
        try:
            return await super().ask(text)
        except Exception as error:
            raise ValueError(text) from error


class Hoarding(Pump):
    """Keeps every sample."""

    kept: list[Sample]

    def __init__(self, spec: PumpSpec, context: DriverContext) -> None:
        super().__init__(spec, context)
        self.kept = []

    async def read(self) -> Sample:
        self.kept.append(await super().read())
        return self.kept[-1]


class Open(Pump):
    """Never lets go of its line."""

    async def close(self) -> None:
        """Forget to."""


class Slow(Pump):
    """Takes longer than its refresh period."""

    async def read(self) -> Sample:
        await asyncio.sleep(1.5)
        return await super().read()


class Blocking(Pump):
    """Sleeps on the loop, in a task of its own."""

    async def read(self) -> Sample:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.wait())
        return await super().read()

    async def wait(self) -> None:
        time.sleep(0.05)  # noqa: ASYNC251 (the defect)


class Busy(Pump):
    """Computes for as long as `blocking.COMPUTED_S` allows, and longer."""

    async def read(self) -> Sample:
        sample = await super().read()
        begun_s = time.thread_time()
        while time.thread_time() < begun_s + blocking.COMPUTED_S * 1.5:
            pass
        return sample


class Stubborn(Pump):
    """Asks again when it is cancelled."""

    async def ask(self, text: str) -> str:
        try:
            return await super().ask(text)
        except asyncio.CancelledError:
            return await super().ask(text)


class Converting(Pump):
    """Makes an error of the port of its cancellation."""

    async def ask(self, text: str) -> str:
        try:
            return await super().ask(text)
        except BaseException as error:
            raise UnavailableError("no answer") from error


class Untold(Pump):
    """Knows nothing, ever."""

    def sample(self, values: Mapping[str, str]) -> Sample:
        return replace(super().sample(values), voltage_v=None, current_a=None)


class OtherClock(Pump):
    """Dates its samples by a clock of its own: their age is below 0 for ever, and the battery never stale."""

    def sample(self, values: Mapping[str, str]) -> Sample:
        return replace(super().sample(values), sampled_s=1.7e9)


class OtherDate(Pump):
    """Dates its samples by a wall clock that is an hour off."""

    def sample(self, values: Mapping[str, str]) -> Sample:
        right = super().sample(values)
        return replace(right, sampled_utc_s=right.sampled_utc_s + 3600.0)


class Milliamperes(Pump):
    """Passes on the unit of the protocol for a limit."""

    def sample(self, values: Mapping[str, str]) -> Sample:
        return replace(super().sample(values), limit_discharge_a=20_000.0)


class Kelvin(Pump):
    """Passes on the unit of the protocol for a temperature."""

    def sample(self, values: Mapping[str, str]) -> Sample:
        return replace(super().sample(values), temperatures_c=(298.15,))


class Remembering(Pump):
    """Tells what was commanded last for what the device holds."""

    told_a = 0.0

    async def set_current(self, current_a: float) -> None:
        await super().set_current(current_a)
        self.told_a = current_a

    async def held_current_a(self) -> float | None:
        held_a = await super().held_current_a()
        return self.told_a if held_a == 0.0 else held_a


class Longer(Pump):
    """Declares half as much again as the device's hold."""

    hold_s = HOLD_S * 1.5


def test_a_driver_without_a_defect_passes_every_check() -> None:
    """And the details are what the made-up device is made of."""
    results = run_checks(Trial(pump_kind(), BENCH, 1), READS)
    assert {result.check: result.detail for result in results if result.verdict is Verdict.FAILED} == {}
    told = {result.check: result.detail for result in results if result.verdict is Verdict.PASSED}
    assert told["signs"] == "10 A discharging, -10 A charging"
    assert told["hold"] == "lets go within hold_s = 10 s"
    assert told["unknown is None"] == "None: charge_ah, soc, cells_v"
    assert {result.check for result in results if result.verdict is Verdict.NOT_APPLICABLE} == {"sleep", "two on a line"}


@pytest.mark.parametrize(
    ("driver", "check", "says"),
    [
        (Charging, "signs", "it charges with 10 A and current_a says 10: discharge is positive"),
        (Millivolts, "units", "voltage_v: says 13250, true was 13.25"),
        (Untold, "units", "never told: voltage_v, current_a, which the device knows"),
        (OtherClock, "units", "sampled_s: 1.7e+09 s is no instant of the reading"),
        (OtherDate, "units", "sampled_utc_s: -3600 s from the instant that sampled_s names"),
        (Milliamperes, "units", "limit_discharge_a: says 20000, true was 20 "),
        (Kelvin, "units", "temperatures_c: sensor 1 says 298.15 degC, true was 25 degC"),
        (Remembering, "hold", "1 s after hold_s (10 s) held_current_a says 2 A, the device holds 0 A"),
        (Longer, "hold", "at 90% of hold_s (15 s) the device holds 0 A"),
        (Zero, "unknown is None", "charge_ah says 0.0"),
        (Unblocked, "limits", "charge_allowed is still true"),
        (Patient, "timeouts", "no end within 5 s"),
        (Old, "timeouts", "a sample came from a device without power"),
        (Locked, "cancellation", "reading after read was cancelled at wait 1: no end within 5 s"),
        (Stubborn, "cancellation", "read cancelled at wait 1: NotCancelledError: it went on"),
        (Converting, "cancellation", "read cancelled at wait 1: NotCancelledError: it became UnavailableError"),
        (Blocking, "never blocks", "it blocks: a reading sleeps "),
        (Trusting, "honest refusals", "was confirmed by a device with deaf"),
        (Backwards, "set points", "set_current(2) was confirmed, but the device holds -2 A"),
        (Forever, "hold", "hold_s None says that it holds for ever"),
        (TooShort, "hold", "at 90% of hold_s (30 s) the device holds 0 A"),
        (Careless, "safe action", "make_safe was confirmed, but the device holds 2 A"),
        (Strange, "timeouts", "raised ValueError"),
        (Hoarding, "memory", f"bytes more after {READS} readings"),
        (Open, "close", "its line is still open"),
        (Slow, "time and bytes", "a reading takes 1500 ms, longer than the refresh period of 1 s"),
    ],
)
def test_a_defect_fails_its_check(driver: type[Pump], check: str, says: str) -> None:
    """With what was seen."""
    (result,) = run_checks(Trial(pump_kind(driver), BENCH, 1), READS, only=(check,))
    assert result.verdict is Verdict.FAILED, result
    assert says in result.detail


def test_answers_of_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that looks at the register alone takes the late answer of the board beside it for its own."""

    def careless(self: FrameReader, frames: list[Frame]) -> Frame | None:
        return next((frame for frame in frames if frame.register == self._register), None)

    monkeypatch.setattr(FrameReader, "_pick", careless)
    (result,) = run_checks(Trial(JBD, JbdBench(), 1), READS, only=("two on a line",))
    assert result.verdict is Verdict.FAILED, result
    assert "a late answer of the other one: " in result.detail


def test_a_driver_that_computes_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tenth of the bound, so that the test need not wait."""
    monkeypatch.setattr(blocking, "COMPUTED_S", blocking.COMPUTED_S / 10)
    (result,) = run_checks(Trial(pump_kind(Busy), BENCH, 1), READS, only=("never blocks",))
    assert re.search(r"it blocks: a reading computes [0-9]+ ms without awaiting; 10 at most", result.detail), result


def test_a_defect_in_the_hours_of_faults_is_counted_and_ends_nothing() -> None:
    """An error that the port does not know is shown in its row, like a wrong value."""
    rows = run_hours(Trial(pump_kind(Strange), BENCH, 1), 0.1)
    lossy = next(row for row in rows if row.fault == "5 % of bytes lost")
    assert lossy.wrong
    assert "raised ValueError: ?, where it may raise UnavailableError and DriverError" in lossy.examples[0]
    assert next(row for row in rows if row.fault == "nothing goes wrong").wrong == 0


def test_a_specification_that_no_file_may_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that forgot to say that it takes set points could be tried and never be used."""
    monkeypatch.setattr(PumpSpec, "controls", ("none",))
    (result,) = run_checks(Trial(pump_kind(), BENCH, 1), READS, only=("units",))
    assert result.verdict is Verdict.FAILED
    assert 'would be refused in a file: current_control: "direct" is nothing that kind = "pump" has' in result.detail
