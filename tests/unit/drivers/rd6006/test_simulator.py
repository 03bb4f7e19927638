"""The simulated supply by itself: registers, regulation, protections, faults, control socket, and the wires to a pack."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bosd.drivers.jbd.simulator import JbdSimulator
from bosd.drivers.jbd.simulator import SimulatorOptions as PackOptions
from bosd.drivers.rd6006.simulator import Rd6006Simulator, SimulatorOptions
from bosd.drivers.rd6006.simulator.device import RegisterBank, Request, crc16, request_bytes
from bosd.drivers.rd6006.simulator.plant import Plant
from bosd.errors import InvalidArgumentError


def ask(bank: RegisterBank, text: str) -> bytes:
    """Return the reply to a request without its CRC, in hex."""
    body = bytes.fromhex(text)
    return bank.answer(Request(body + crc16(body), intact=True))


def make(**options: Any) -> tuple[Plant, RegisterBank]:
    """Return a supply without a line."""
    made = SimulatorOptions(**options)
    plant = Plant(made)
    return plant, RegisterBank(made, plant)


def framed(text: str) -> bytes:
    """Return hex with its CRC."""
    body = bytes.fromhex(text)
    return body + crc16(body)


def test_the_crc_of_the_modbus_documents() -> None:
    """The read request of the application protocol's example, unit 17: 76 87."""
    assert crc16(bytes.fromhex("1103006B0003")) == bytes.fromhex("7687")


def test_identity() -> None:
    """Model word, serial number, firmware: 60062, 12345, 1.41."""
    _, bank = make()
    assert ask(bank, "01030000 0004".replace(" ", "")) == framed("010308" + "EA9E" + "0000" + "3039" + "008D")


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        ("010400000001", "018401"),
        ("010300770002", "018302"),
        ("010300000000", "018302"),
        ("0106000A0001", "018602"),
        ("010600120002", "018603"),
        ("010600091964", "018603"),
    ],
)
def test_exceptions(request_hex: str, reply_hex: str) -> None:
    """Another function, registers beyond the map or only to be read, values that cannot be (6.5 A of an RD6006)."""
    _, bank = make()
    assert ask(bank, request_hex) == framed(reply_hex)


@pytest.mark.parametrize("request_hex", ["02030000000104", "01030000002B"])
def test_silence(request_hex: str) -> None:
    """Another device's request, and too many words at once."""
    _, bank = make()
    assert ask(bank, request_hex) == b""


def test_writing_several() -> None:
    """Function 16: voltage and current in one request; how long it is stands in its seventh byte."""
    plant, bank = make()
    body = bytes.fromhex("0110000800020405B40BB8")
    assert request_bytes(body[:6]) == 0
    assert request_bytes(body) == len(body) + 2
    assert bank.answer(Request(body + crc16(body), intact=True)) == framed("011000080002")
    assert (plant.set_voltage_v, plant.set_current_a) == (14.6, 3.0)


def settle(plant: Plant, **values: float) -> Plant:
    """Switch the output on at 14.6 V and 3 A, with these changes."""
    plant.set_voltage_v, plant.set_current_a = 14.6, 3.0
    for key, value in values.items():
        setattr(plant, key, value)
    plant.switch(on=True)
    return plant


def test_constant_current_and_constant_voltage() -> None:
    """Into 13.2 V behind 0.05 ohm 28 A could flow: 3 A do, at 13.35 V. Into 14.55 V only 1 A does, at 14.6 V."""
    plant = settle(make()[0])
    assert (plant.current_a, plant.constant_current) == (3.0, True)
    assert plant.voltage_v == pytest.approx(13.35)
    plant = settle(make()[0], battery_voltage_v=14.55)
    assert (plant.current_a, plant.voltage_v) == pytest.approx((1.0, 14.6))
    assert not plant.constant_current


def test_a_low_input_voltage_limits_the_output() -> None:
    """15 V / 1.1 = 13.636 V: (13.636 - 13.2) / 0.25 ohm = 1.745 A."""
    plant = settle(make(battery_resistance_ohm=0.25)[0], input_voltage_v=15.0)
    assert plant.current_a == pytest.approx((15.0 / 1.1 - 13.2) / 0.25)


@pytest.mark.parametrize(
    ("change", "number"),
    [({"ovp_v": 13.3}, 1), ({"ocp_a": 2.5}, 2), ({"temperature_c": 81.0}, 3)],
)
def test_protections(change: dict[str, float], number: int) -> None:
    """Off, no current, and the number until somebody switches."""
    plant = settle(make()[0], **change)
    assert (plant.output_on, plant.current_a, plant.protection) == (False, 0.0, number)
    plant.switch(on=False)
    assert plant.protection == 0


@pytest.mark.parametrize(
    ("use", "key"),
    [
        (lambda supply: supply.set(outptu=True), "outptu"),
        (lambda supply: supply.set(output=1), "output"),
        (lambda supply: supply.set(set_current_a="3"), "set_current_a"),
        (lambda supply: supply.inject(fault="explode"), "fault"),
        (lambda supply: supply.inject(fault="delay", code=3), "code"),
        (lambda supply: supply.inject(fault="silent", second=3), "second"),
        (lambda supply: supply.inject(fault="drop", probability=2), "probability"),
    ],
)
async def test_bad_arguments_name_their_key(use: Callable[[Rd6006Simulator], None], key: str) -> None:
    """Nothing is changed by a request that is refused."""
    async with Rd6006Simulator(SimulatorOptions()) as supply:
        before = supply.get()
        with pytest.raises(InvalidArgumentError) as caught:
            use(supply)
        assert caught.value.metadata["key"] == key
        assert supply.get() == before


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"model": "rd9"}, "model"),
        ({"address": 0}, "address"),
        ({"input_voltage_v": -1.0}, "input_voltage_v"),
        ({"turnaround_ms": (5.0, 1.0)}, "turnaround_ms"),
        ({"serial": -1}, "serial"),
    ],
)
def test_bad_options(options: dict[str, Any], key: str) -> None:
    """Each names its key."""
    with pytest.raises(InvalidArgumentError) as caught:
        SimulatorOptions(**options)
    assert caught.value.metadata["key"] == key


async def control(path: Path, *requests: dict[str, object]) -> list[dict[str, Any]]:
    """Return the answers of a control socket."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    answers = []
    for request in requests:
        writer.write(json.dumps(request).encode() + b"\n")
        answers.append(json.loads(await reader.readline()))
    writer.close()
    await writer.wait_closed()
    return answers


async def test_control_socket(tmp_path: Path) -> None:
    """JSON lines: set, get, inject, log, stats, and an error that says what would be right."""
    path = tmp_path / "c"
    async with Rd6006Simulator(SimulatorOptions(control=path)) as supply:
        found = await control(
            path,
            {"op": "set", "output": True, "set_current_a": 2.0, "set_voltage_v": 14.6},
            {"op": "get"},
            {"op": "inject", "fault": "drop", "count": 1},
            {"op": "stats"},
            {"op": "log"},
            {"op": "clear"},
            {"op": "turn"},
            {"op": "get", "all": 1},
        )
        assert found[1]["state"]["current_a"] == 2.0
        assert found[3]["stats"]["writes"] == 0
        assert found[4]["log"] == []
        assert supply.injector.rules == []
        assert [answer["ok"] for answer in found] == [True] * 6 + [False] * 2
        assert found[6]["error"] == "op must be one of set, inject, clear, get, stats, log, not 'turn'"


async def test_wired_to_a_pack(tmp_path: Path) -> None:
    """The supply's current is the pack's charge, the pack's voltage the supply's; a pack that blocks takes nothing."""
    pack_control, control_path = tmp_path / "p", tmp_path / "s"
    options = PackOptions(control=pack_control, link=tmp_path / "pack.tty")
    supply_options = SimulatorOptions(control=control_path, pack_control=pack_control)
    async with JbdSimulator(options) as pack, Rd6006Simulator(supply_options) as supply:
        await until(lambda: supply.plant.battery_voltage_v == pytest.approx(pack.unit().plant.voltage_v, abs=0.01))
        supply.set(set_voltage_v=14.6, set_current_a=3.0, output=True)
        await until(lambda: pack.unit().plant.current_a == -3.0)
        await until(lambda: supply.plant.voltage_v == pytest.approx(pack.unit().plant.voltage_v, abs=0.01))
        pack.set(charge_enabled=False)
        await until(lambda: supply.plant.current_a == 0.0)
        assert supply.plant.output_on
        pack.set(charge_enabled=True)
        await until(lambda: pack.unit().plant.current_a == -3.0)
        supply.set(output=False)
        await until(lambda: pack.unit().plant.current_a == 0.0)


async def until(what: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(10.0):
        while not what():  # noqa: ASYNC110 (another task's state)
            await asyncio.sleep(0.01)
