"""The Sonnen driver against the simulated battery over real sockets, on virtual time."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from bosd.drivers.sonnen.driver import DOUBT_S, TOLERANCE_RATIO, TOLERANCE_W
from bosd.errors import BosError, DriverError, NotFollowedError, UnavailableError, UnsupportedError
from tests.support.sonnen import TOKEN, token_file, world

pytestmark = pytest.mark.jumping


async def test_what_the_house_draws_is_the_current_in_automatic_mode(tmp_path: Path) -> None:
    """AC power over the cells' voltage, positive on discharge; charge and capacity are the usable part at the pack's voltage."""
    async with world(tmp_path, options={"capacity_wh": 20_480.0, "soc": 0.5}) as here:
        here.simulator.model.consumption_w = 2000.0
        await asyncio.sleep(5.0)
        sample = await here.driver.read()
        assert sample.voltage_v == pytest.approx(here.simulator.model.voltage_v, abs=0.05)
        assert sample.current_a == pytest.approx(here.simulator.model.power_w / here.simulator.model.voltage_v, abs=0.05)
        # 20,480 Wh of two modules of 102.4 V in series: 100 Ah, of which 7 % are nobody's
        assert sample.capacity_ah == pytest.approx(93.0, abs=0.01)
        assert sample.charge_ah == pytest.approx(46.5, abs=0.05)
        assert sample.soc == pytest.approx(0.5)
        assert sample.temperatures_c == (20.5, 21.5)
        assert await here.driver.held_current_a() is None


@pytest.mark.parametrize("asked_a", [8.0, -8.0, 0.0])
async def test_a_set_point_is_followed_in_manual_mode_and_measured(tmp_path: Path, asked_a: float) -> None:
    """The command returns once values measured after it show it, and not before."""
    async with world(tmp_path) as here:
        model = here.simulator.model
        await here.driver.read()
        await here.driver.set_current(asked_a)
        assert model.mode == "1"
        wanted_w = asked_a * 210.5  # of a half-full pack at rest: 64 cells of 3.29 V
        assert model.power_w == pytest.approx(wanted_w, abs=TOLERANCE_W + TOLERANCE_RATIO * abs(wanted_w))
        sample = await here.driver.read()
        assert sample.current_a == pytest.approx(asked_a, abs=0.3)
        assert await here.driver.held_current_a() == pytest.approx(asked_a, abs=0.3)


async def test_a_set_point_holds_for_hours(tmp_path: Path) -> None:
    """Nothing writes it again, as the battery is taken to hold it; energy follows from power, time and losses."""
    async with world(tmp_path, options={"soc": 0.9}) as here:
        await here.driver.read()
        await here.driver.set_current(5.0)
        posts = here.simulator.counters.copy()
        before_wh = here.simulator.model.stored_wh
        await asyncio.sleep(2 * 3600.0)
        sample = await here.driver.read()
        assert sample.current_a == pytest.approx(5.0, abs=0.2)
        assert before_wh - here.simulator.model.stored_wh == pytest.approx(2 * here.simulator.model.set_point_w / 0.95, rel=0.01)
        changed = here.simulator.counters - posts
        assert not [name for name in changed if name.startswith(("POST", "PUT"))]


async def test_the_other_direction_is_ended_first(tmp_path: Path) -> None:
    """From discharging to charging, the discharge goes to 0 W before the charge is given."""
    async with world(tmp_path) as here:
        await here.driver.read()
        await here.driver.set_current(5.0)
        seen: list[float] = []
        give = here.api.set_point

        async def spied(direction: str, power_w: int) -> None:
            await give(direction, power_w)  # type: ignore[arg-type]
            seen.append(here.simulator.model.set_point_w)

        here.api.set_point = spied  # type: ignore[method-assign]
        await here.driver.set_current(-5.0)
        assert seen[0] == 0.0
        assert seen[1] < -900.0


async def test_what_the_inverter_cannot_do_is_not_followed(tmp_path: Path) -> None:
    """Three numbers: what was commanded, in which mode it is, and what is measured."""
    async with world(tmp_path, options={"inverter_w": 1000.0}) as here:
        await here.driver.read()
        with pytest.raises(NotFollowedError, match=r"commanded \d+ W, is in mode 1 \(manual\), measures 1000 W") as caught:
            await here.driver.set_current(15.0)
        assert float(caught.value.metadata["commanded_a"]) == 15.0
        assert float(caught.value.metadata["measured_a"]) == pytest.approx(1000.0 / 210.5, abs=0.1)


async def test_values_from_before_a_command_confirm_nothing(tmp_path: Path) -> None:
    """A battery that shows 0 W in manual mode for ever is not believed to have obeyed 0 W."""
    async with world(tmp_path) as here:
        await here.driver.read()
        await here.driver.set_current(0.0)
        here.simulator.frozen = True
        with pytest.raises(NotFollowedError, match="its values stand still since 20"):
            await here.driver.set_current(0.0)


async def test_values_that_stand_still_grow_old(tmp_path: Path) -> None:
    """A sample keeps the instant at which its time stamp was first seen, and says so after a while."""
    async with world(tmp_path) as here:
        loop = asyncio.get_running_loop()
        first = await here.driver.read()
        here.simulator.frozen = True
        await here.driver.read()
        await asyncio.sleep(DOUBT_S + 2.0)
        later = await here.driver.read()
        assert later.sampled_s == pytest.approx(first.sampled_s, abs=1.1)
        assert loop.time() - later.sampled_s > DOUBT_S
        assert any("stand still" in note for note in later.notes)
        here.simulator.frozen = False
        await asyncio.sleep(1.0)
        fresh = await here.driver.read()
        assert loop.time() - fresh.sampled_s < 1.0
        assert not fresh.notes


async def test_a_mode_changed_in_the_app_is_said_and_changed_back_by_the_next_command(tmp_path: Path) -> None:
    """The battery then does what it likes: the reading has its real current, and a word about it."""
    async with world(tmp_path) as here:
        await here.driver.read()
        await here.driver.set_current(8.0)
        here.simulator._set({"mode": "10", "consumption_w": 0.0})
        await asyncio.sleep(5.0)
        assert here.driver.strays == ""
        sample = await here.driver.read()
        assert sample.current_a == pytest.approx(0.0, abs=0.1)
        assert "NOT_FOLLOWED: commanded" in sample.notes[0]
        assert "is in mode 10 (time-of-use)" in sample.notes[0]
        assert sample.discharge_allowed
        assert here.driver.strays == "in mode 10 (time-of-use), not in manual mode"
        await here.driver.set_current(8.0)
        assert not (await here.driver.read()).notes
        assert here.driver.strays == ""
        assert here.simulator.model.mode == "1"


async def test_a_battery_that_stops_following_is_said_after_ten_seconds(tmp_path: Path) -> None:
    """It runs empty under a set point: limits 0 at once, as it is at its reserve, and a word about the set point."""
    async with world(tmp_path, options={"reserve": 10, "soc": 0.105}) as here:
        await here.driver.read()
        await here.driver.set_current(10.0)
        sample = await here.driver.read()
        for _ in range(400):
            if sample.notes:
                break
            await asyncio.sleep(2.0)
            sample = await here.driver.read()
        assert "NOT_FOLLOWED" in sample.notes[0]
        assert not sample.discharge_allowed
        assert sample.charge_allowed
        assert sample.blocked_by == ("at its reserve: 10 % left, 10 % kept",)


@pytest.mark.parametrize(
    ("safe", "released_mode", "mode", "said"),
    [
        ("release", "self-consumption", "2", "0 W, then back to mode 2 (self-consumption)"),
        ("release", "time-of-use", "10", "0 W, then back to mode 10 (time-of-use)"),
        ("open", "self-consumption", "1", "0 W in manual mode"),
    ],
)
async def test_the_safe_action_ends_the_set_point(tmp_path: Path, safe: str, released_mode: str, mode: str, said: str) -> None:
    """No set point is left in the battery, whichever mode it ends in."""
    async with world(tmp_path, safe=safe, released_mode=released_mode) as here:
        await here.driver.read()
        await here.driver.set_current(8.0)
        assert await here.driver.make_safe() == said
        assert here.simulator.model.mode == mode
        assert here.simulator.model.set_point_w == 0.0
        assert await here.driver.make_safe() == (said if safe == "open" else f"left in mode {mode} ({released_mode})")


async def test_the_safe_action_leaves_a_battery_that_nobody_commanded(tmp_path: Path) -> None:
    """In its own mode it holds no set point: nothing is written."""
    async with world(tmp_path) as here:
        assert await here.driver.make_safe() == "left in mode 2 (self-consumption)"
        assert not [name for name in here.simulator.counters if name.startswith(("POST", "PUT"))]


async def test_the_safe_action_overtakes_a_command_that_still_confirms(tmp_path: Path) -> None:
    """It waits for no confirmation of another one, whose command fails as overtaken."""
    async with world(tmp_path, options={"inverter_w": 500.0}) as here:
        await here.driver.read()
        async with asyncio.TaskGroup() as group:

            async def command() -> None:
                with pytest.raises(DriverError, match="overtaken by a later command"):
                    await here.driver.set_current(15.0)

            group.create_task(command())
            await asyncio.sleep(1.0)
            began_s = asyncio.get_running_loop().time()
            await here.driver.make_safe()
            assert asyncio.get_running_loop().time() - began_s < 1.5
        assert here.simulator.model.set_point_w == 0.0


async def test_without_control_nothing_is_ever_written(tmp_path: Path) -> None:
    """Reading needs no right to write."""
    async with world(tmp_path, current_control="none") as here:
        here.simulator.writable = False
        await here.driver.read()
        assert await here.driver.held_current_a() is None
        assert await here.driver.make_safe() == "no current control: left as it is"
        with pytest.raises(UnsupportedError):
            await here.driver.set_current(1.0)


async def test_a_token_without_the_right_to_write_says_where_to_allow_it(tmp_path: Path) -> None:
    """403 of a set point names the page of the battery."""
    async with world(tmp_path) as here:
        here.simulator.writable = False
        await here.driver.read()
        with pytest.raises(DriverError, match=r"403 Forbidden: the token may not do this; allow the JSON write API"):
            await here.driver.set_current(1.0)


async def test_a_wrong_token_is_refused_and_an_exchanged_one_taken(tmp_path: Path) -> None:
    """The file is read for each request: no restart is needed, and no message holds a token."""
    async with world(tmp_path) as here:
        token_file(tmp_path, "wrong-token")
        with pytest.raises(DriverError, match="401 Unauthorized") as caught:
            await here.driver.read()
        assert "wrong-token" not in caught.value.message
        token_file(tmp_path, TOKEN)
        assert (await here.driver.read()).voltage_v is not None


async def test_firmware_without_battery_document_is_read_by_its_status(tmp_path: Path) -> None:
    """Voltage and current are there, charge and capacity unknown and noted."""
    async with world(tmp_path) as here:
        here.fault("error", path="/battery", status=404)
        sample = await here.driver.read()
        assert sample.voltage_v == pytest.approx(211.0, abs=1.0)
        assert sample.current_a is not None
        assert sample.charge_ah is None
        assert "404 Not Found" in sample.notes[0]


async def test_off_grid_nothing_may_be_asked(tmp_path: Path) -> None:
    """In an outage the battery follows its loads, and the set point is not executed."""
    async with world(tmp_path) as here:
        here.simulator._set({"on_grid": False})
        await asyncio.sleep(2.0)
        sample = await here.driver.read()
        assert not sample.discharge_allowed
        assert not sample.charge_allowed
        assert sample.blocked_by == ("off grid: the battery follows its loads alone",)


async def test_the_battery_lowers_limits_and_says_so(tmp_path: Path) -> None:
    """Its own 39.97 A (published answer) are below what is configured here."""
    async with world(tmp_path, max_discharge_current_a=60.0, max_charge_current_a=30.0) as here:
        sample = await here.driver.read()
        assert (sample.limit_discharge_a, sample.limit_charge_a) == (39.97, 39.97)
        assert sample.limited_by == ("discharge limited to 39.97 A by the battery",)


FAULTS: list[tuple[str, dict[str, object], type[BosError], str]] = [
    ("error", {"status": 500}, UnavailableError, "/status: 500: the battery's own server failed"),
    ("error", {"status": 503}, UnavailableError, "/status: 503: the battery's own server failed"),
    ("error", {"status": 404}, DriverError, "404 Not Found: this battery's firmware does not offer it"),
    ("error", {"status": 418}, DriverError, "418: refused"),
    ("slow", {"seconds": 5.0}, UnavailableError, "no whole answer within 2 s"),
    ("slow_body", {"seconds": 0.1}, UnavailableError, "no whole answer within 2 s"),
    ("reset", {"count": 2}, UnavailableError, "connection lost before the whole answer"),
    ("truncated", {}, UnavailableError, "connection lost before the whole answer"),
    ("garbage", {}, DriverError, "no HTTP answer"),
    ("text", {"body": "[1, 2]"}, DriverError, r"expected a JSON object, got \[1, 2\]"),
    ("text", {"body": "{}"}, DriverError, "an empty object; some firmware answers a wrong token so"),
    ("text", {"body": '{"USOC": 5'}, DriverError, "expected JSON, got 10 bytes that begin with"),
    ("text", {"body": "[" * 60000}, DriverError, "expected JSON, got 60000 bytes"),
    ("text", {"body": ""}, DriverError, "expected JSON, got 0 bytes"),
    ("html", {}, DriverError, "expected JSON, got HTML"),
    ("huge", {}, DriverError, "the answer is longer than 65536 bytes"),
    ("redirect", {}, DriverError, "302: redirected to 'https://login.example/', which is not followed"),
    ("zipped", {}, DriverError, "content encoding 'gzip', which was not asked for"),
    ("field", {"field": "Pac_total_W"}, DriverError, "Pac_total_W is missing"),
    ("field", {"field": "Pac_total_W", "value": "12"}, DriverError, "Pac_total_W is '12', expected a number"),
    ("field", {"field": "Pac_total_W", "value": True}, DriverError, "Pac_total_W is True, expected a number"),
    ("field", {"field": "Pac_total_W", "value": "NaN"}, DriverError, "Pac_total_W is nan, expected -1e\\+06 to 1e\\+06"),
    ("field", {"field": "Pac_total_W", "value": 10**400}, DriverError, "Pac_total_W is a larger integer, expected"),
    ("field", {"field": "USOC", "value": 101}, DriverError, "USOC is 101, expected 0 to 100"),
    ("field", {"field": "Ubat", "value": "Infinity"}, DriverError, "Ubat is inf, expected 0 to 1500"),
    ("field", {"field": "OperatingMode"}, DriverError, "OperatingMode is missing"),
    ("field", {"field": "OperatingMode", "value": "manual"}, DriverError, "OperatingMode is 'manual', expected a whole number"),
    ("field", {"field": "dischargeNotAllowed", "value": "no"}, DriverError, "dischargeNotAllowed is 'no', expected true"),
]


@pytest.mark.parametrize(("fault", "parameters", "kind", "reason"), FAULTS)
async def test_every_fault_has_a_reason_and_the_next_reading_is_good(
    tmp_path: Path, fault: str, parameters: dict[str, object], kind: type[BosError], reason: str
) -> None:
    """Within the deadline, without the token, and without a trace in the next request."""
    async with world(tmp_path) as here:
        here.fault(fault, **{"count": 1, "path": "/status", **parameters})
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(kind, match=reason) as caught:
            await here.driver.read()
        assert type(caught.value) is kind
        assert asyncio.get_running_loop().time() - began_s <= 2.1
        assert TOKEN not in caught.value.message
        assert here.simulator.url in caught.value.message
        assert (await here.driver.read()).voltage_v is not None


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    """A refused connection says so, with the address."""
    async with world(tmp_path) as here:
        await here.simulator._runner.cleanup()
        with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:\d+: connect call failed|connection refused"):
            await here.driver.read()


async def test_a_command_whose_answer_is_lost_is_uncertain_and_no_more(tmp_path: Path) -> None:
    """The battery did it: the command fails as unavailable, the next one sets things right."""
    async with world(tmp_path) as here:
        await here.driver.read()
        here.fault("late", path="/setpoint/discharge", count=1)
        with pytest.raises(UnavailableError, match="connection lost"):
            await here.driver.set_current(8.0)
        power_w = here.simulator.model.set_point_w
        assert power_w > 1000.0
        assert here.simulator.counters[f"POST /setpoint/discharge/{power_w:.0f}"] == 1  # never sent twice
        await here.driver.set_current(0.0)
        assert here.simulator.model.set_point_w == 0.0


async def test_a_cancelled_call_leaves_nothing_behind(tmp_path: Path) -> None:
    """Cancelled after each number of turns of the loop, in reading, commanding and making safe: the next call works."""
    async with world(tmp_path) as here:
        await here.driver.read()
        calls = (here.driver.read, lambda: here.driver.set_current(3.0), here.driver.make_safe, here.driver.held_current_a)
        ended = 0
        for turns in range(0, 60, 3):
            for call in calls:
                task = asyncio.get_running_loop().create_task(call())
                for _ in range(turns):
                    await asyncio.sleep(0)
                ended += not task.done()
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        assert ended > 20
        await here.driver.set_current(-4.0)
        assert here.simulator.model.set_point_w < -800.0
        await here.driver.make_safe()
        assert (await here.driver.read()).notes == ()


async def test_a_closed_driver_is_unavailable(tmp_path: Path) -> None:
    """Closing twice is as good as once."""
    async with world(tmp_path) as here:
        await here.driver.read()
        await here.driver.close()
        await here.driver.close()
        with pytest.raises(UnavailableError, match="closed"):
            await here.driver.read()
