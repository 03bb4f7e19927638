"""Short ways to make batteries for tests of the core; currents in A, charges in Ah, all at 48 V unless said otherwise."""

from typing import Any

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.device import Sample
from bosd.bal.physical import PhysicalBattery
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.spec import AggregatorSpec, JbdSpec, PartitionSpec, PseudoSpec, SplitterSpec
from bosd.bal.splitter import Splitter
from bosd.policy.registry import policy


class FakeDevice:
    """A device that is never asked anything: the core's tests hand samples and answers in themselves."""

    hold_s: float | None = None

    async def read(self) -> Sample:
        raise NotImplementedError

    async def set_current(self, current_a: float) -> None:
        raise NotImplementedError

    async def held_current_a(self) -> float | None:
        """Hold nothing."""
        return None

    async def make_safe(self) -> str:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


def pseudo(name: str, limit_a: float, capacity_ah: float, charge_ah: float | None = None, **fields: Any) -> PseudoBattery:
    """Return a pseudo battery with the same limit both ways, full unless said otherwise."""
    values: dict[str, Any] = {
        "voltage_v": 48.0,
        "charge_ah": capacity_ah if charge_ah is None else charge_ah,
        "capacity_ah": capacity_ah,
        "max_discharge_current_a": limit_a,
        "max_charge_current_a": limit_a,
        **fields,
    }
    return PseudoBattery(PseudoSpec(name=name, **values), 0.0)


def jbd_spec(name: str, limit_a: float | None = 40.0, **fields: Any) -> JbdSpec:
    """Return the specification of a pack whose current a regulator sets."""
    values: dict[str, Any] = {
        "port": f"/dev/{name}",
        "max_discharge_current_a": limit_a,
        "max_charge_current_a": limit_a,
        "current_control": "gate",
        **fields,
    }
    return JbdSpec(name=name, **values)


def physical(name: str, limit_a: float | None = 40.0, **fields: Any) -> PhysicalBattery:
    """Return a physical battery that was never sampled: 1 s period, GOOD to 3 s, STALE to 9 s."""
    return PhysicalBattery(jbd_spec(name, limit_a, **fields), FakeDevice())


def sample(at_s: float, charge_ah: float | None = 50.0, current_a: float | None = 0.0, **fields: Any) -> Sample:
    """Return a sample of a 100 Ah pack at 48 V."""
    values: dict[str, Any] = {
        "sampled_s": at_s,
        "sampled_utc_s": 1_800_000_000.0 + at_s,
        "voltage_v": 48.0,
        "current_a": current_a,
        "charge_ah": charge_ah,
        "capacity_ah": 100.0,
        "soc": None if charge_ah is None else charge_ah / 100.0,
        **fields,
    }
    return Sample(**values)


def sampled(name: str, limit_a: float = 40.0, *, at_s: float = 0.0, charge_ah: float = 50.0, **fields: Any) -> PhysicalBattery:
    """Return a physical battery of 100 Ah with one sample."""
    battery = physical(name, limit_a, **fields)
    battery.sampled(sample(at_s, charge_ah))
    return battery


def aggregate(*members: Battery, name: str = "agg", tolerance_v: float = 4.0) -> Aggregator:
    """Return an aggregate around 48 V."""
    sources = tuple(member.name for member in members)
    return Aggregator(AggregatorSpec(name=name, sources=sources, voltage_v=48.0, voltage_tolerance_v=tolerance_v), members)


def split(
    source: Battery, *fractions: float, name: str = "sp", parts: tuple[PartitionSpec, ...] = (), by: str = "proportional"
) -> Splitter:
    """Return a splitter of policy `by` with partitions sp1, sp2, ... of these fractions, or with `parts`."""
    specs = parts or tuple(PartitionSpec(name=f"{name}{i}", fraction=each) for i, each in enumerate(fractions, 1))
    return Splitter(SplitterSpec(name=name, policy=by, source=source.name, partitions=specs), policy(by), source)


def run(splitter: Splitter, now_s: float, *currents_a: float) -> None:
    """Put set points on the partitions in force: a step, then their sum on a software source."""
    splitter.step(now_s)
    for partition, current_a in zip(splitter.partitions, currents_a, strict=True):
        partition.applied_a = current_a
        partition.touch()
    splitter.source.apply(sum(currents_a), now_s)  # type: ignore[attr-defined]
