"""Every recorded JBD frame through a pseudo-terminal and a running node: shown as recorded, or never shown as a value."""

import contextlib
import os
import random
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from bosd.v1 import battery_pb2 as pb
from tests.support.jbd_frames import CAPTURES, basic_payload, cells_payload, load_captures, need_captures, reply
from tests.support.processes import Caller, Node, Pack, battery, until

pytestmark = pytest.mark.skipif(not CAPTURES.exists(), reason=f"no captures at {CAPTURES}")

BASIC, CELLS, GATE = 0x03, 0x04, 0xE1
CELL_MOST_V, CELL_LEAST_V, SUM_TOLERANCE = 5.0, 0.5, 0.2
"""No lithium cell is charged above 4.5 V; pack and cells are measured by different parts of a board, moments apart."""


def register_of(frame: dict[str, Any]) -> int:
    """Return the register that the recorded request was for."""
    return bytes.fromhex(frame["request_hex"])[2]


def delivered(frame: dict[str, Any]) -> dict[str, Any]:
    """Return what the exchange delivers to who asked."""
    expected = frame["expected"]
    found: dict[str, Any] = expected.get("frame") or next(iter(expected.get("frames", ())), expected)
    return found


def is_accepted(frame: dict[str, Any]) -> bool:
    """Tell whether the exchange delivers a reply, at once or behind rubbish."""
    return "accepted" in (frame["expected"]["outcome"], delivered(frame)["outcome"])


FRAMES = load_captures()
SHOWN = [frame for frame in FRAMES if register_of(frame) in (BASIC, CELLS) and is_accepted(frame)]
REFUSED = [frame for frame in FRAMES if register_of(frame) in (BASIC, CELLS) and not is_accepted(frame)]
OTHERS = [frame for frame in FRAMES if register_of(frame) not in (BASIC, CELLS)]
"""Replies to requests that the node does not send for a status: to it they are replies to another request."""
REASONS = {
    "bad_start": ("bad_start", "no answer"),
    "bad_checksum": ("bad_checksum",),
    "bad_end": ("bad_end", "bad_checksum"),
    "truncated": ("truncated",),
    "register_mismatch": ("register_mismatch",),
    "status": ("refused with 80", "status_82"),
    "payload": ("payload", "bytes", "odd"),
    "timeout": ("no answer",),
}


class Rig:
    """A pack whose registers answer what a test says, and the node that reads it when asked to."""

    def __init__(self, pack: Pack, node: Node, caller: Caller) -> None:
        self.pack = pack
        self.node = node
        self.caller = caller

    def load(self, basic: bytes, cells: bytes) -> None:
        """Have both registers answer exactly these bytes."""
        self.pack.raw(BASIC, basic)
        self.pack.raw(CELLS, cells)

    def sample(self) -> pb.BatteryStatus:
        """Have a sample taken."""
        return self.caller.refresh("b1")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One pack and one node for all frames; the node reads only when it is asked to."""
    need_captures()
    directory = tmp_path_factory.mktemp("frames")
    with Pack(directory, "pack") as pack:
        topology = pack.toml("b1", refresh="lazy", max_staleness_s=600.0)
        with Node(directory, topology) as node, Caller(node.target) as caller:
            yield Rig(pack, node, caller)


def companion(frame: dict[str, Any], register: int) -> dict[str, Any] | None:
    """Return the recording of the same pack's other register."""
    pack = frame["name"].rpartition("_")[0]
    return next((each for each in SHOWN if register_of(each) == register and each["name"].rpartition("_")[0] == pack), None)


def cells_for(voltage_v: float, count: int) -> tuple[int, ...]:
    """Return cells in mV that add up to a pack voltage."""
    return (round(voltage_v / max(count, 1) * 1000),) * max(count, 1)


def exchange(frame: dict[str, Any]) -> tuple[bytes, bytes, dict[str, Any] | None, list[float]]:
    """Return what both registers answer, the basic information that means (None: built to fit), and the cells in V.

    The register that the frame is not for answers as the same pack did, else as a pack that fits the frame.
    """
    answer, seen = bytes.fromhex(frame["response_hex"]), delivered(frame)
    glued = frame["expected"].get("frames")
    if glued is not None:  # the reply behind the first one arrives when the cells are asked for, and answers that
        return answer, reply(CELLS, cells_payload(*glued[1]["cell_mV"])), seen, [cell / 1000 for cell in glued[1]["cell_mV"]]
    other = companion(frame, CELLS if register_of(frame) == BASIC else BASIC)
    if register_of(frame) == BASIC:
        if other is not None:
            return answer, bytes.fromhex(other["response_hex"]), seen, [cell / 1000 for cell in delivered(other)["cell_mV"]]
        cells = cells_for(seen["voltage_V"], seen["cell_count"])
        return answer, reply(CELLS, cells_payload(*cells)), seen, [cell / 1000 for cell in cells]
    cells_v = [cell / 1000 for cell in seen["cell_mV"]]
    if other is not None:
        return bytes.fromhex(other["response_hex"]), answer, delivered(other), cells_v
    total_v = sum(cell for cell in cells_v if cell <= CELL_MOST_V)
    basic = basic_payload(voltage_10mv=round(total_v * 100), cells=len(cells_v))
    return reply(BASIC, basic), answer, None, cells_v


def check_basic(status: dict[str, Any], seen: dict[str, Any], cells_v: list[float]) -> None:
    """Compare a status with a recording: discharge positive, a ratio for soc, null and a name for what cannot be true."""
    assert status["current_a"] == pytest.approx(0.0 - seen["current_A"])
    assert status["soc"] == pytest.approx(seen["soc_pct"] / 100)
    assert status["cycles"] == seen["cycles"]
    assert status["temperatures_c"] == pytest.approx(seen["temps_C"])
    assert status["capacity_ah"] == pytest.approx(seen["capacity_Ah"])
    if seen["remaining_Ah"] <= 1.2 * seen["capacity_Ah"]:
        assert status["charge_ah"] == pytest.approx(seen["remaining_Ah"])
    else:
        assert status["charge_ah"] is None
        assert "charge_ah" in status["reason"]
    total_v = sum(cells_v)
    possible = (
        total_v * (1 - SUM_TOLERANCE) <= seen["voltage_V"] <= (total_v + cells_v.count(0.0) * max(cells_v)) * (1 + SUM_TOLERANCE)
    )
    if possible or max(cells_v) > CELL_MOST_V:
        assert status["voltage_v"] == pytest.approx(seen["voltage_V"])
        assert status["power_w"] == pytest.approx(0.0 - seen["voltage_V"] * seen["current_A"])
    else:
        assert status["voltage_v"] is status["power_w"] is None
        assert "voltage_v" in status["reason"]


def check_faults(status: dict[str, Any], seen: dict[str, Any]) -> None:
    """Compare the protections: those set by name; a FET switched off by command is not a fault, but shuts its direction."""
    renamed = {"reserved_15": "unknown_protection_bit_15"}
    assert status["faults"] == [renamed.get(name, name) for name in seen["protections"] if name != "software_fet_lock"]
    if not seen["charge_fet"]:
        assert "charge_fet_open" in status["reason"]
    if not seen["discharge_fet"]:
        assert "discharge_fet_open" in status["reason"]


def as_document(status: pb.BatteryStatus) -> dict[str, Any]:
    """Return a status as `bosctl --json` prints it."""
    from clients.bosctl.format_json import status_document

    return status_document(status)


def check_shown(frame: dict[str, Any], take: Callable[[], dict[str, Any]], rig: Rig) -> None:
    """Let the pack answer with a recording and compare the status that `take` returns."""
    basic, cells, seen, cells_v = exchange(frame)
    rig.load(basic, cells)
    status = take()
    assert status["quality"] == "GOOD"
    if seen is not None:
        check_basic(status, seen, cells_v)
        check_faults(status, seen)
    if max(cells_v) > CELL_MOST_V:
        assert status["cells_v"] is None
        assert "cells_v" in status["reason"]
    else:
        assert status["cells_v"] == pytest.approx(cells_v)


@pytest.mark.parametrize("frame", SHOWN, ids=lambda frame: frame["name"])
def test_recorded_values_are_shown(rig: Rig, frame: dict[str, Any]) -> None:
    """What the exchange delivers stands in the status, and what cannot be true beside it is null with its name."""
    check_shown(frame, lambda: as_document(rig.sample()), rig)


@pytest.mark.parametrize("name", ["jak_11s_balancing", "sp25s003_basic_no_ntc", "scale_flag_x10", "garbage_with_dd_then_reply"])
def test_recorded_values_in_bosctl(rig: Rig, name: str) -> None:
    """The same by the program: charging is negative, what cannot be true is null, tens of amperes are not units."""
    frame = next(frame for frame in SHOWN if frame["name"] == name)
    check_shown(frame, lambda: dict(rig.node.ask("status", "b1", "--max-age", "1ms")[0]), rig)


@pytest.fixture
def good(rig: Rig) -> pb.BatteryStatus:
    """The last good sample before the pack begins to talk nonsense."""
    rig.load(reply(BASIC, basic_payload()), reply(CELLS, cells_payload(3300, 3300, 3300, 3300)))
    return rig.sample()


def refuse(rig: Rig, good: pb.BatteryStatus) -> str:
    """Have a sample taken that fails; the values are the last good ones, with their time. Return why it failed."""
    with pytest.raises(grpc.RpcError) as caught:
        rig.sample()
    assert caught.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE)
    now = rig.caller.status("b1")
    for field in ("voltage_v", "current_a", "charge_ah", "capacity_ah", "soc", "sampled_to", "cycles"):
        assert getattr(now, field) == getattr(good, field), field
    assert list(now.cells_v) == list(good.cells_v)
    assert list(now.faults) == list(good.faults)
    assert now.age_s > good.age_s
    detail = caught.value.details() or ""
    assert detail in now.reason
    return detail


@pytest.mark.parametrize("frame", [frame for frame in REFUSED if register_of(frame) == BASIC], ids=lambda frame: frame["name"])
def test_refused_frames_are_no_samples(rig: Rig, good: pb.BatteryStatus, frame: dict[str, Any]) -> None:
    """No value of a rejected frame is ever shown, and the reason says why it was rejected."""
    rig.pack.raw(BASIC, bytes.fromhex(frame["response_hex"]))
    why = refuse(rig, good)
    assert any(reason in why for reason in REASONS[frame["expected"]["reason"]]), why


@pytest.mark.parametrize("frame", [frame for frame in REFUSED if register_of(frame) == CELLS], ids=lambda frame: frame["name"])
def test_refused_cells_leave_the_rest(rig: Rig, frame: dict[str, Any]) -> None:
    """If only the cell voltages fail, the battery is as good as before: the cells are the last ones, and that is said."""
    rig.load(reply(BASIC, basic_payload()), reply(CELLS, cells_payload(3300, 3300, 3300, 3300)))
    assert not rig.sample().reason.count("cells_v")
    rig.load(reply(BASIC, basic_payload(voltage_10mv=1330)), bytes.fromhex(frame["response_hex"]))
    status = rig.sample()
    assert (status.quality, status.voltage_v) == (pb.QUALITY_GOOD, 13.3)
    assert list(status.cells_v) in ([], [3.3, 3.3, 3.3, 3.3])
    assert "cells_v" in status.reason


def test_replies_to_other_requests_are_no_samples(rig: Rig, good: pb.BatteryStatus) -> None:
    """Every recorded reply to another request, one behind the other as answer to this one: none is basic information."""
    assert len(OTHERS) > 20
    replies = [bytes.fromhex(frame["response_hex"]) for frame in OTHERS]
    for some in (replies[::2], replies[1::2]):
        rig.pack.raw(BASIC, b"".join(some))
        assert "register_mismatch" in refuse(rig, good)


def test_a_refused_frame_in_bosctl(rig: Rig, good: pb.BatteryStatus) -> None:
    """By the program: the values stay, the reason names the checksum, and `refresh` is refused with DRIVER_ERROR."""
    frame = next(frame for frame in REFUSED if frame["name"] == "bad_checksum_low")
    rig.load(bytes.fromhex(frame["response_hex"]), reply(CELLS, cells_payload(3300, 3300, 3300, 3300)))
    error = rig.node.refusal("refresh", "b1")
    assert error["reason"] == "DRIVER_ERROR"
    assert "bad_checksum" in error["message"]
    status = rig.node.status("b1")
    assert "bad_checksum" in status["reason"]
    assert (status["voltage_v"], status["soc"]) == (good.voltage_v, good.soc)


class NoisyBoard:
    """A pseudo-terminal whose other end shouts a megabyte when it is first asked, and answers properly afterwards."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.shouted = 0
        self._thread = threading.Thread(target=self._serve, name="noisy board")
        self._thread.start()

    def _serve(self) -> None:
        chance = random.Random(77)
        with contextlib.suppress(OSError):
            while request := os.read(self._master, 64):
                while self.shouted < 2**20:
                    self.shouted += os.write(self._master, chance.randbytes(4096))
                if request[:1] == b"\xdd":
                    good = reply(CELLS, cells_payload(*(3300,) * 4)) if request[2] == CELLS else reply(BASIC, basic_payload())
                    os.write(self._master, good)

    def close(self) -> None:
        """Hang up; the reading thread notices."""
        os.close(self._slave)
        self._thread.join(5.0)
        os.close(self._master)


def test_a_megabyte_of_noise(tmp_path: Path) -> None:
    """A device that shouts 2**20 random bytes: no sample and no growth while it does, and the first good reply is shown."""
    board = NoisyBoard()
    try:
        with Node(tmp_path, battery("b1", "jbd", port=board.port, refresh_period_s=0.5)) as node:
            start_mib = node.resident_mib()
            until(lambda: board.shouted >= 2**20, because="the noise is read", timeout_s=30.0)
            status = until(lambda: (found := node.status("b1"))["quality"] == "GOOD" and found)
            assert (status["voltage_v"], status["cells_v"]) == (13.2, [3.3, 3.3, 3.3, 3.3])
            assert node.resident_mib() - start_mib < 10.0
            node.kill()
    finally:
        board.close()
