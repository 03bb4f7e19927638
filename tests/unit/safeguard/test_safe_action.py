"""The safe action over several devices, where each behaves badly in its own way."""

import asyncio

import pytest

from bosd.bal.spec import JbdSpec
from bosd.clock import LoopClock
from bosd.drivers.kind import DriverContext
from bosd.errors import UnavailableError
from bosd.safeguard import safe_action
from bosd.safeguard.safe_action import DEVICE_DEADLINE_S, JOB_DEADLINE_S, make_all_safe


class Device:
    """A device that does what its name says."""

    tries = 0

    def __init__(self, name: str) -> None:
        self._name = name

    async def make_safe(self) -> str:
        match self._name:
            case "late":
                Device.tries += 1
                if Device.tries < 4:
                    raise UnavailableError("late: in use")
            case "broken":
                raise ZeroDivisionError("a defect")
            case "away":
                raise UnavailableError("away: no such file")
            case name if name.startswith("hangs"):
                await asyncio.sleep(3600.0)
        return "both switches open"

    async def close(self) -> None:
        """Let go."""


def make_device(spec: JbdSpec, _context: DriverContext) -> Device:
    """Return such a device."""
    return Device(spec.name)


def gate(name: str, port: str) -> JbdSpec:
    """Return a gate that opens."""
    return JbdSpec(name=name, port=port, current_control="gate", safe="open")


@pytest.mark.jumping
async def test_each_line_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late lock is waited for; a defect, an absence and a hang end in time with their reason; none holds up another."""
    monkeypatch.setattr(safe_action, "make_device", make_device)
    Device.tries = 0
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    names = ("fine", "late", "broken", "away", "hangs")
    outcomes = await make_all_safe([gate(name, f"/dev/{name}") for name in names], LoopClock(loop))
    assert loop.time() - began_s == pytest.approx(DEVICE_DEADLINE_S)
    assert {outcome.name: outcome.confirmed for outcome in outcomes} == {
        "fine": True,
        "late": True,
        "broken": False,
        "away": False,
        "hangs": False,
    }
    assert [outcome.result for outcome in outcomes] == [
        "both switches open",
        "both switches open",
        "/dev/broken: ZeroDivisionError: a defect",
        "away: no such file",
        "/dev/hangs: nothing confirmed within 3 s",
    ]
    assert outcomes[1].took_s == pytest.approx(3 * safe_action.AGAIN_S)


@pytest.mark.jumping
async def test_one_after_the_other_on_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three on one line, two of which hang: the job ends after 6 s, and the third is named as not reached."""
    monkeypatch.setattr(safe_action, "make_device", make_device)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    specs = [gate("hangs1", "/dev/bus"), gate("hangs2", "/dev/bus"), gate("third", "/dev/bus"), gate("fine", "/dev/other")]
    outcomes = await make_all_safe(specs, LoopClock(loop))
    assert loop.time() - began_s == pytest.approx(JOB_DEADLINE_S)
    assert [outcome.confirmed for outcome in outcomes] == [False, False, False, True]
    assert "not reached" in outcomes[2].result
