"""`device`: a device as a document and as a table."""

import io

from rich.console import Console

from bosd.v1 import device_pb2 as pb
from clients.bosctl.commands.device import _draw, device_document

DEVICE = pb.Device(
    name="b1",
    kind="jbd",
    port="/dev/ttyUSB0",
    identity=[pb.DeviceText(name="hardware", text="JBD-SP04S034")],
    trips=[pb.DeviceCount(name="cell_overvoltage", count=3), pb.DeviceCount(name="short_circuit", count=0)],
    flags=[pb.DeviceFlag(name="charge_switch_closed", set=True), pb.DeviceFlag(name="afe_error", set=False)],
    balancing_cells=[2, 8],
    limits=[pb.DeviceLimit(direction="charge", limit_a=50.0, source="configured")],
    traffic=pb.DeviceTraffic(
        requests=10,
        retries=2,
        replies=9,
        resyncs=1,
        rejects=[pb.DeviceCount(name="bad_checksum", count=2)],
        latency_min_s=0.033,
        latency_median_s=0.077,
        latency_p95_s=0.112,
        latency_max_s=0.246,
    ),
    notes=["something to know"],
    read_at=1_700_000_000.0,
    regulator=pb.Device(name="b1", kind="rd6006", port="/dev/ttyUSB1", identity=[pb.DeviceText(name="model", text="RD6006")]),
)


def test_document() -> None:
    """What is known stands by name; what is not is null."""
    document = device_document(DEVICE)
    assert document["identity"] == {"hardware": "JBD-SP04S034"}
    assert document["trips"] == {"cell_overvoltage": 3, "short_circuit": 0}
    assert document["flags"] == {"charge_switch_closed": True, "afe_error": False}
    assert document["traffic"]["rejects"] == {"bad_checksum": 2}
    assert document["read_at"].startswith("2023-11-14T22:13:20")
    assert document["regulator"]["identity"] == {"model": "RD6006"}
    bare = device_document(pb.Device(name="b1"))
    assert bare["regulator"] is None
    assert (bare["traffic"]["latency_median_s"], bare["read_at"], bare["identity"]) == (None, None, {})


def test_table() -> None:
    """A table says what is set and what has acted, and the times in ms."""
    file = io.StringIO()
    _draw(Console(file=file, width=120), DEVICE)
    for part in (
        "b1  jbd  /dev/ttyUSB0",
        "JBD-SP04S034",
        "50.00 A  configured",
        "cell_overvoltage 3",
        "cells 2, 8",
        "77 ms in the middle, 33 to 246 ms, 95 % within 112 ms",
        "something to know",
        "b1  rd6006  /dev/ttyUSB1",
    ):
        assert part in file.getvalue()
    assert "short_circuit" not in file.getvalue()
    assert "afe_error" not in file.getvalue()
