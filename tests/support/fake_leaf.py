"""A device leaf whose answers a test decides: it confirms, refuses, hangs or loses the answer."""

import asyncio

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.spec import BatterySpec
from bosd.bal.status import BatteryStatus, Quality
from bosd.errors import BosError


class Wire:
    """What all fake leaves of a test write on: who was told what, when it began and ended."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []
        self.confirmed: list[tuple[str, float]] = []


class FakeLeaf(DeviceLeaf):
    """100 Ah, half full, `limit_a` both ways.

    `raises` is what the next commands answer with, `hangs` makes them wait for `go_on`, `takes_s` is how long each takes.
    `runs_a` is what the device truly does, `lifetimes_s` the times to live it was told.
    """

    kind = "fake"
    expires = True
    __slots__ = ("go_on", "good", "hangs", "lifetimes_s", "limit_a", "raises", "runs_a", "takes_s", "wire")

    def __init__(self, name: str, wire: Wire, limit_a: float = 40.0) -> None:
        super().__init__(BatterySpec(name=name))
        self.wire = wire
        self.limit_a = limit_a
        self.raises: BosError | None = None
        self.hangs = False
        self.go_on = asyncio.Event()
        self.takes_s = 0.0
        self.runs_a = 0.0
        self.good = True
        self.lifetimes_s: list[float | None] = []

    async def command(self, current_a: float, ttl_s: float | None) -> None:
        self.wire.told.append((self.name, current_a))
        self.lifetimes_s.append(ttl_s)
        if self.hangs:
            await self.go_on.wait()
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        if self.raises is not None:
            raise self.raises
        self.runs_a = current_a
        self.wire.confirmed.append((self.name, current_a))

    def _compute(self, now_s: float) -> BatteryStatus:
        able = self.good and not self.stopped
        return BatteryStatus(
            name=self.name,
            kind=self.kind,
            voltage_v=48.0,
            current_a=self.runs_a if self.good else None,
            charge_ah=50.0,
            capacity_ah=100.0,
            max_discharge_current_a=self.limit_a if able else 0.0,
            max_charge_current_a=self.limit_a if able else 0.0,
            ideal_max_discharge_current_a=self.limit_a,
            ideal_max_charge_current_a=self.limit_a,
            expected_charge_ah=50.0,
            sampled_from_s=now_s,
            sampled_to_s=now_s,
            sampled_from=now_s,
            sampled_to=now_s,
            quality=Quality.GOOD if self.good else Quality.UNAVAILABLE,
            commandable=able,
            controllable=True,
            reason=self.clamped_by,
            **self.setpoint_fields(controllable=True),
        )


def limit(leaf: Battery, limit_a: float) -> None:
    """Let a fake leaf be able to do `limit_a` from now on."""
    assert isinstance(leaf, FakeLeaf)
    leaf.limit_a = limit_a
    leaf.touch()
