"""What went over a device's line, as its driver tells it (no I/O)."""

import statistics
from collections import Counter, deque

from bosd.bal.device import Traffic

_NOT_REJECTS = frozenset({"requests", "attempts", "replies", "resyncs", "opens", "losses", "stray_bytes"})
_P95 = 0.95


def traffic_of(counters: Counter[str], latencies_s: deque[float], disbelieved: int = 0) -> Traffic:
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
