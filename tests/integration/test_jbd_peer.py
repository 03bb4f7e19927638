"""An independent implementation from PyPI (bmstools 1.2.0) talks to the simulated pack through a real pseudo-terminal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import serial
from bmstools.jbd import JBD
from bmstools.jbd.jbd import BMSPasswordError

from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions

PIN = "abc123"


@asynccontextmanager
async def _peer(path: Path, **options: Any) -> AsyncIterator[tuple[JbdSimulator, Any]]:
    """Give a pack on a line that costs no time, and the peer at it."""
    keys = {"link": path / "bms", "baud": 1_000_000, "turnaround_ms": (0.0, 0.0), "any_password": True, **options}
    async with JbdSimulator(SimulatorOptions(**keys)) as simulator:
        with serial.Serial(str(simulator.link)) as port:
            yield simulator, JBD(port)


async def test_it_reads_what_the_pack_is(tmp_path: Path) -> None:
    """5 A charging are +5000 mA on the wire; 8 cells whose sum is the pack; the name; 60 of 120 Ah."""
    async with _peer(tmp_path, series=8, capacity_ah=120.0, load_current_a=-5.0, ntc_count=4, tail="standard") as (_, peer):
        basic, cells, device = await asyncio.to_thread(peer.readInfo)
    assert (basic["pack_ma"], basic["cur_cap"], basic["full_cap"], basic["cap_pct"]) == (5000, 60000, 120000, 50)
    assert (basic["cell_cnt"], basic["ntc_cnt"], basic["ntc3"]) == (8, 4, 25.0)
    assert (basic["year"], basic["month"], basic["day"]) == (2022, 3, 28)
    assert abs(sum(cells.values()) - basic["pack_mv"]) <= 10
    assert device["device_name"] == "BOSD-SIM-JBD"


async def test_it_reads_the_configuration_and_leaves_factory_mode(tmp_path: Path) -> None:
    """Every register it knows, with the values read from one captured board: 230 A both ways, 75.0 and -10.0 degC, 3650 mV."""
    async with _peer(tmp_path) as (simulator, peer):
        settings = await asyncio.to_thread(peer.readEeprom)
        assert simulator.stats()["factory_mode"] is False
    assert (settings["chgoc"], settings["dsgoc"], settings["chgot"], settings["chgut"]) == (230000, -230000, 75.0, -10.0)
    assert (settings["covp"], settings["cell_cnt"], settings["design_cap"], settings["barcode"]) == (
        3650,
        4,
        100000,
        "SIM00000001",
    )
    assert len(settings) > 80


async def test_it_switches_the_mosfets_and_the_balancer(tmp_path: Path) -> None:
    """Both off and on again by 0xE1, protection bit 12 meanwhile; odd cells bled by 0xE2 until factory mode is left."""
    async with _peer(tmp_path) as (_, peer):
        await asyncio.to_thread(peer.chgDsgEnable, False, False)
        off = await asyncio.to_thread(peer.readBasicInfo)
        await asyncio.to_thread(peer.chgDsgEnable, True, True)
        on = await asyncio.to_thread(peer.readBasicInfo)
        await asyncio.to_thread(peer.balOpenOdd)
        bled = await asyncio.to_thread(peer.readBasicInfo)
        await asyncio.to_thread(peer.balExit)
        rest = await asyncio.to_thread(peer.readBasicInfo)
    assert (off["chg_fet_en"], off["dsg_fet_en"], off["software_err"]) == (False, False, True)
    assert (on["chg_fet_en"], on["dsg_fet_en"], on["software_err"]) == (True, True, False)
    assert [bled[f"bal{index}"] for index in range(4)] == [True, False, True, False]
    assert rest["bal_raw"] == 0


async def test_it_writes_a_setting_that_stays(tmp_path: Path) -> None:
    """Written with 2828 at the end, read again in another session."""
    async with _peer(tmp_path) as (_, peer):
        await asyncio.to_thread(peer.writeEeprom, {"covp": 3600})
        assert (await asyncio.to_thread(peer.readReg, "covp")).get("covp") == 3600


@pytest.mark.timeout(30)
async def test_a_password_keeps_it_out_until_it_knows_it(tmp_path: Path) -> None:
    """Refused five times with its own, let in with the board's."""
    async with _peer(tmp_path, any_password=False, password=PIN) as (simulator, peer):
        with pytest.raises(BMSPasswordError):
            await asyncio.to_thread(peer.readEeprom)
        assert simulator.stats()["factory_enters"] == 0
        peer.password = PIN
        assert (await asyncio.to_thread(peer.readEeprom))["cell_cnt"] == 4
