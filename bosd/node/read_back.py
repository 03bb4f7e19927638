"""Reading back: each device that this node commands is looked at, whether it does what it was told (design, decision 7)."""

import asyncio
from collections.abc import Callable

import structlog

from bosd.bal.battery import Battery
from bosd.bal.follow import Deviation, Follower, FollowRule, Reading
from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import PhysicalSpec
from bosd.bal.splitter import Splitter
from bosd.clock import Clock
from bosd.errors import BosError, NotFollowedError

LOOK_S = 1.0
REST_LOOKS = 5
"""Of a device that was told 0 A and follows, only each fifth look is taken."""

_log = structlog.get_logger("read back")


def rule_of(spec: PhysicalSpec) -> FollowRule:
    """Return what counts as following for a battery: its own keys, else its driver's usual values."""
    return FollowRule(
        tolerance_a=spec.usual_tolerance_a if spec.follow_tolerance_a is None else spec.follow_tolerance_a,
        within_s=spec.usual_within_s if spec.follow_within_s is None else spec.follow_within_s,
        gate=spec.current_control == "gate",
    )


def is_stopped(battery: Battery) -> bool:
    """Return whether a stop of it, or of what it rests below, keeps it at 0 A."""
    above = battery.user
    if battery.stopped or above is None:
        return battery.stopped
    if isinstance(above, Splitter):
        return all(is_stopped(each) for each in above.partitions)
    return isinstance(above, Battery) and is_stopped(above)


class ReadBack:
    """Follows one battery; `begun` hears when a deviation begins, with the error, `tell_again` when a device runs away.

    A gate's switch that is closed against its command, by another program or a board that started anew, is told again at once.
    """

    def __init__(
        self,
        battery: PhysicalBattery,
        clock: Clock,
        *,
        begun: Callable[[PhysicalBattery, NotFollowedError], None],
        tell_again: Callable[[], None],
        sample_soon: Callable[[PhysicalBattery], None],
    ) -> None:
        spec = battery.spec
        assert isinstance(spec, PhysicalSpec)  # noqa: S101 (narrowing: physical batteries have nothing else)
        self._battery = battery
        self._clock = clock
        self._begun = begun
        self._tell_again = tell_again
        self._sample_soon = sample_soon
        self._follower = Follower(rule_of(spec))
        self._period_s = max(spec.refresh_period_s, LOOK_S)
        self._commanded: tuple[float, float] | None = None
        self._told_once = False

    async def run(self) -> None:
        """Look for ever."""
        rests = 0
        while True:
            await asyncio.sleep(LOOK_S)
            battery = self._battery
            at_rest = battery.commanded_a == 0.0 and battery.deviation is None and not battery.strays
            rests = rests + 1 if at_rest else 0
            if rests % REST_LOOKS == 0:
                await self.look()

    async def look(self) -> None:
        """Take one look, where the device was told something and is not being told anything now."""
        battery = self._battery
        commanded_a = battery.commanded_a
        if commanded_a is None or not self._still(commanded_a):
            return
        if self._commanded is None or self._commanded[0] != commanded_a:
            self._commanded = (commanded_a, self._clock.now_s())
        if commanded_a != 0.0 or battery.rests_unseen:
            self._keep_sampled()
        held_a, wrong = await self._held()
        if not self._still(commanded_a):
            return
        now_s, sample = self._clock.now_s(), battery.sample
        reading = Reading(
            commanded_a=commanded_a,
            held_a=held_a,
            held_s=now_s,
            measured_a=None if sample is None else sample.current_a,
            measured_s=0.0 if sample is None else sample.sampled_s,
            restrained_by=str(getattr(battery.device, "restrained_by", "")),
            wrong=wrong,
        )
        deviation = self._follower.look(reading, self._commanded[1])
        if self._told_once and not wrong:
            self._told_once = False
        elif battery.is_gate and wrong and deviation is None and not self._told_once:
            self._told_once = True
            _log.warning("told_again", battery=battery.name, commanded_a=commanded_a, detail=wrong)
            self._tell(reading)
        self._judge(reading, deviation)

    def _tell(self, now: Reading) -> None:
        """Have the device told again, counted at what it runs against its command as far as that is known."""
        runs_a = now.measured_a if now.held_a is None and self._battery.strays else now.held_a
        self._battery.lost_answer(now.commanded_a if runs_a is None else runs_a)
        self._tell_again()

    def _still(self, commanded_a: float) -> bool:
        battery = self._battery
        return battery.commanded_a == commanded_a and battery.telling_a is None

    def _keep_sampled(self) -> None:
        """Have a lazy battery sampled while something is asked of it."""
        battery = self._battery
        old = battery.sample is None or self._clock.now_s() - battery.sample.sampled_s > self._period_s
        if battery.lazy and old:
            self._sample_soon(battery)

    async def _held(self) -> tuple[float | None, str]:
        """Return what the device holds, None where it does not say, and what it holds wrong besides."""
        try:
            async with asyncio.timeout(self._battery.command_deadline_s):
                return await self._battery.device.held_current_a(), ""
        except NotFollowedError as error:
            return None, error.message
        except (BosError, TimeoutError):
            return None, ""

    def _judge(self, now: Reading, deviation: Deviation | None) -> None:
        battery, before = self._battery, self._battery.deviation
        battery.deviates(deviation)
        if deviation is None:
            if before is not None:
                _log.info("follows_again", battery=battery.name, commanded_a=battery.commanded_a)
            return
        reading = deviation.reading
        if before is None:
            numbers = {"commanded_a": reading.commanded_a, "held_a": reading.held_a, "measured_a": reading.measured_a}
            _log.warning("not_followed", battery=battery.name, way=deviation.way, **numbers)
            message = f"{battery.name} does not follow: {deviation}"
            self._begun(battery, NotFollowedError(message, battery=battery.name, **numbers))
        if reading is now and (deviation.runs_away or (battery.strays and deviation.way == "more" and is_stopped(battery))):
            self._tell(now)
