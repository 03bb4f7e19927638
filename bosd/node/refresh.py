"""Refreshing: one task per physical battery, which reads its device and nothing else."""

import asyncio

import structlog

from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import PhysicalSpec
from bosd.clock import Clock
from bosd.errors import BosError, TransientError, UnavailableError

BACK_OFF_S = (1.0, 2.0, 2.0)
"""Pauses after failures in a row, the last one repeated (jbd.md, decided: 1, 2, 2 s)."""

_log = structlog.get_logger("refresh")


class Refresher:
    """Keeps one battery fresh: at its period (active), or when asked (lazy).

    A device that goes is logged once, and once when it returns.
    """

    def __init__(self, battery: PhysicalBattery, clock: Clock, first_delay_s: float = 0.0) -> None:
        spec = battery.spec
        assert isinstance(spec, PhysicalSpec)  # noqa: S101 (narrowing: physical batteries have nothing else)
        self.battery = battery
        self.period_s = spec.refresh_period_s
        self._clock = clock
        self._first_delay_s = first_delay_s
        self._failures = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._nap: asyncio.Future[None] | None = None
        self._asked = False

    def ask(self) -> None:
        """Have a sample taken soon."""
        self._asked = True
        if self._nap is not None and not self._nap.done():
            self._nap.set_result(None)

    async def refresh(self, deadline_s: float) -> None:
        """Wait for one sample begun after this call. Raises what the device raised, or UnavailableError when time is up."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self.ask()
        try:
            async with asyncio.timeout(deadline_s):
                await waiter
        except TimeoutError:
            raise UnavailableError(f"{self.battery.name}: no sample within {deadline_s:g} s", battery=self.battery.name) from None
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def run(self, after: "asyncio.Task[None] | None" = None) -> None:
        """Read the device for ever, from the end of `after` on, which lets go of the port.

        Only transient errors are survived. Whoever waits at the end is told.
        """
        try:
            if after is not None:
                await asyncio.wait([after])
            await self._run()
        finally:
            _finish(self._waiters, UnavailableError(f"{self.battery.name}: refreshing ended", battery=self.battery.name))

    async def _run(self) -> None:
        lazy = self.battery.lazy
        due_s = self._clock.now_s() + self._first_delay_s
        while True:
            now_s = self._clock.now_s()
            if not self._asked and (lazy or now_s < due_s):
                await self._rest(None if lazy and not self._failures else due_s - now_s)
            if lazy and not self._asked and not self._failures:
                continue
            self._asked = False
            started_s = self._clock.now_s()
            waiters, self._waiters = self._waiters, []
            await self._read(waiters)
            now_s = self._clock.now_s()
            if self._failures:
                due_s = now_s + BACK_OFF_S[min(self._failures, len(BACK_OFF_S)) - 1]
            elif started_s >= due_s:
                due_s = max(due_s + self.period_s, now_s)

    async def _rest(self, delay_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._nap = loop.create_future()
        handle = None if delay_s is None else loop.call_later(delay_s, _wake, self._nap)
        try:
            await self._nap
        finally:
            self._nap = None
            if handle is not None:
                handle.cancel()

    async def _read(self, waiters: list[asyncio.Future[None]]) -> None:
        battery = self.battery
        try:
            sample = await battery.device.read()
        except TransientError as error:
            self._failures += 1
            battery.failed(error.message)
            if self._failures == 1:
                _log.warning("battery_lost", battery=battery.name, reason=error.reason, detail=error.message)
            _finish(waiters, error)
            return
        except BaseException:
            _finish(waiters, UnavailableError(f"{battery.name}: refreshing ended", battery=battery.name))
            raise
        if self._failures:
            _log.info("battery_back", battery=battery.name, missed=self._failures)
            self._failures = 0
        battery.sampled(sample)
        _finish(waiters, None)


def port_of(battery: PhysicalBattery) -> str:
    """Return the port its device is on."""
    return battery.spec.port if isinstance(battery.spec, PhysicalSpec) else ""


def _wake(nap: "asyncio.Future[None]") -> None:
    if not nap.done():
        nap.set_result(None)


def _finish(waiters: "list[asyncio.Future[None]]", error: BosError | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)
