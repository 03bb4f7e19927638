"""What a JBD board's driver tells of itself: traffic and named bits (no I/O)."""

import statistics
from collections import Counter, deque

from bosd.bal.device import Traffic
from bosd.drivers.jbd.codec import BasicInfo
from bosd.drivers.jbd.registers import CHARGE_FET, CHARGE_TIMEOUT_BIT, DISCHARGE_FET, PROTECTIONS, SOFTWARE_LOCK_BIT

_NOT_REJECTS = frozenset({"requests", "attempts", "replies", "resyncs", "opens", "losses", "stray_bytes"})
_P95 = 0.95


def traffic_of(counters: Counter[str], latencies_s: deque[float], disbelieved: int) -> Traffic:
    """Return the counts of a line as a driver's traffic; `disbelieved` are sound replies that could not be true."""
    rejects = [(name, count) for name, count in sorted(counters.items()) if count and name not in _NOT_REJECTS]
    ordered = sorted(latencies_s)
    return Traffic(
        requests=counters["requests"],
        retries=max(0, counters["attempts"] - counters["requests"]),
        replies=counters["replies"],
        resyncs=counters["resyncs"],
        rejects=(*rejects, ("not_believed", disbelieved)) if disbelieved else tuple(rejects),
        latency_min_s=ordered[0] if ordered else None,
        latency_median_s=statistics.median(ordered) if ordered else None,
        latency_p95_s=ordered[min(len(ordered) - 1, int(_P95 * len(ordered)))] if ordered else None,
        latency_max_s=ordered[-1] if ordered else None,
    )


def tail_texts(info: BasicInfo) -> tuple[tuple[str, str], ...]:
    """Return what newer boards append to the basic information, by name; nothing for boards that append less."""
    tail = info.tail
    if tail is None:
        return ()
    return (
        ("full-charge capacity", f"{tail.full_charge_ah:g} Ah"),
        ("balance current", f"{tail.balance_current_ma} mA"),
        ("humidity", f"{tail.humidity_pct} %"),
        ("alarm word", f"{tail.alarm_bits:04X}"),
    )


def flags_of(info: BasicInfo) -> tuple[tuple[str, bool], ...]:
    """Return switches and protections by name; the lock by command is a fact beside them, no fault of the cells."""
    names = [*enumerate(PROTECTIONS), (SOFTWARE_LOCK_BIT, "locked_by_command"), (CHARGE_TIMEOUT_BIT, "charge_timeout")]
    return (
        ("charge_switch_closed", bool(info.fet_bits & CHARGE_FET)),
        ("discharge_switch_closed", bool(info.fet_bits & DISCHARGE_FET)),
        *((name, bool(info.protection_bits >> bit & 1)) for bit, name in names),
    )
