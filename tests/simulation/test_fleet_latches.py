"""A latch stands until somebody releases it: against releases and edits under way, and edits that take its battery away."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from bosd.bal.schedule import Moment
from bosd.bal.spec import BatterySpec, Topology
from bosd.bal.status import Link
from bosd.errors import InDoubtError, StoppedError, StoreError
from bosd.node.api import Edit
from bosd.node.stops import RECORD_PAUSE_S
from tests.simulation.test_fleet_limits import edit, limit
from tests.support.fleet.fleet import Fleet, Host, pack_spec, stub_spec, sum_spec
from tests.support.fleet.stories import controller, flows_a, owners, ready, told

DISK_S = 1.5
"""What a worn card takes to write."""


async def _stopped(fleet: Fleet, own: Host) -> None:
    """A person stops the owner's battery."""
    await fleet.within(own, own.up.node.stop(["b"], reason="smoke", holder="person"))


async def _is_latched(fleet: Fleet, own: Host, asker: Host) -> None:
    """See that nothing flows, whatever is asked, now and after a restart of the owner."""
    for restarts in range(2):
        await asyncio.sleep(10.0)
        await fleet.refused(fleet.set(asker, "all", 10.0))  # or it is the set point of before, which waits for a release
        await asyncio.sleep(10.0)
        assert flows_a(fleet, "a") == [0.0]
        assert own.up.node.directory["b"].stopped
        if not restarts:
            own.kill()
            own.start()
            await fleet.until(lambda: own.up.serving, within_s=5.0, because="it serves again")


def _slow(call: Callable[..., Any], *, fails: bool = False) -> Callable[..., Any]:
    async def slowly(*args: object, **named: object) -> object:
        await asyncio.sleep(DISK_S)
        if fails:
            raise StoreError("no space left on device")
        return await call(*args, **named)

    return slowly


def test_a_stop_during_a_release_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a release waits for the disk somebody stops again: the release is refused, nothing runs on."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        asker, own = controller(fleet, "a"), fleet.hosts["a"]
        await ready(fleet)
        await fleet.set(asker, "all", 10.0)
        await _stopped(fleet, own)
        with monkeypatch.context() as patch:
            patch.setattr(own.store, "clear_stops", _slow(own.store.clear_stops))
            release = fleet.loop.create_task(fleet.refused(fleet.within(own, own.up.node.release(["b"], holder="admin"))))
            await asyncio.sleep(DISK_S / 2.0)
            await _stopped(fleet, own)
            refused = await release
        assert refused is not None
        assert "b was stopped again by person while it was being released" in refused.message
        await _is_latched(fleet, own, asker)

    told(story)


@pytest.mark.parametrize("fails", [False, True])
def test_a_stop_during_an_edit_stays(monkeypatch: pytest.MonkeyPatch, *, fails: bool) -> None:
    """While an edit holds the battery at 0 A somebody stops it: it is stopped after the edit, whether that succeeds or not."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        asker, own = controller(fleet, "a"), fleet.hosts["a"]
        await ready(fleet)
        await fleet.set(asker, "all", 10.0)
        toml = own.up.node.topology().toml
        edits = [Edit(action="remove", name="b"), *([] if fails else [Edit(action="add", toml=toml)])]
        with monkeypatch.context() as patch:
            patch.setattr(own.store, "append_revision", _slow(own.store.append_revision, fails=fails))
            edit = fleet.loop.create_task(
                fleet.refused(fleet.within(own, own.up.node.apply(edits[:1], expected_revision=None, holder="x", comment="")))
            )
            await asyncio.sleep(DISK_S / 2.0)
            await _stopped(fleet, own)
            assert (await edit is None) is not fails
        if not fails:
            await fleet.within(own, own.up.node.apply(edits[1:], expected_revision=None, holder="x", comment=""))
        await _is_latched(fleet, own, asker)

    told(story)


def test_a_release_during_an_edit_lets_nothing_flow_before_its_end() -> None:
    """A stopped battery is to get limits of 8 A; meanwhile it is released, and 16 A are in force again: 8 A are never passed."""

    async def story(fleet: Fleet) -> None:
        pack, other = fleet.add_pack("p"), fleet.add_pack("q", hold_s=None)
        host = fleet.add_host("m", Topology(batteries=(pack_spec("p", "p"), pack_spec("q", "q"))))
        await ready(fleet)
        node = host.up.node
        await fleet.set(host, "p", 16.0)
        await fleet.set(host, "q", 5.0)
        await fleet.within(host, node.stop(["p"], holder="person"))
        other.change(deaf=True)  # what is to be brought to 0 A takes its time
        specs = (pack_spec("p", "p", limit_a=8.0), pack_spec("q", "q", limit_a=8.0))
        edited = asyncio.create_task(edit(fleet, host, *specs))
        await asyncio.sleep(0.2)
        await fleet.within(host, node.release(["p"], holder="person"))
        assert "stopped while an edit is stored" in node.status("p").reason
        while not edited.done():
            assert pack.true_a == 0.0
            await asyncio.sleep(0.02)
        for _ in range(100):
            assert pack.true_a <= 8.0
            await asyncio.sleep(0.02)
        assert (pack.true_a, node.status("p").stopped) == (8.0, False)

    told(story)


def test_a_release_that_was_refused_as_the_disk_hung_ends_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk does what it is told after the release was refused: the battery is stopped all the same, over a restart too."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        asker, own = controller(fleet, "a"), fleet.hosts["a"]
        await ready(fleet)
        await fleet.set(asker, "all", 10.0)
        await _stopped(fleet, own)
        clear = own.store.clear_stops

        async def late(names: Sequence[str]) -> None:
            await clear(names)
            raise InDoubtError("the disk did not answer within 10 s")

        with monkeypatch.context() as patch:
            patch.setattr(own.store, "clear_stops", late)
            refused = await fleet.refused(fleet.within(own, own.up.node.release(["b"], holder="admin")))
        assert isinstance(refused, StoreError)
        await _is_latched(fleet, own, asker)

    told(story)


def test_a_release_that_is_refused_as_the_disk_hangs_is_not_handed_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The board loses its power before the disk answers: what that does with what it had by then ends no stop."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        asker, own = controller(fleet, "a"), fleet.hosts["a"]
        await ready(fleet)
        await _stopped(fleet, own)
        clear, handed = own.store.clear_stops, list[Sequence[str]]()

        async def hangs(names: Sequence[str] = ()) -> None:
            handed.append(names)
            raise InDoubtError("the disk did not answer within 10 s")

        with monkeypatch.context() as patch:
            patch.setattr(own.store, "prove", hangs)
            patch.setattr(own.store, "clear_stops", hangs)
            assert await fleet.refused(fleet.within(own, own.up.node.release(["b"], holder="admin"))) is not None
            own.cut_power()
        for names in handed:
            await clear(names)
        own.start()
        await fleet.until(lambda: own.up.serving, within_s=5.0, because="it serves again")
        assert own.up.node.status("b").stopped
        assert not fleet.ready(asker)

    told(story)


def test_a_stop_that_was_released_before_its_asker_went_is_over() -> None:
    """Stop and release of a cut link arrive in one instant, and nobody waits for the stop any more: a restart latches nothing."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        asker, own = controller(fleet, "a"), fleet.hosts["a"]
        await ready(fleet)
        await fleet.set(asker, "all", 10.0)
        fleet.packs["a"].deaf = True
        stop = fleet.loop.create_task(_stopped(fleet, own))
        await asyncio.sleep(0.01)
        assert own.up.node.directory["b"].stopped
        await fleet.within(own, own.up.node.release(["b"], holder="admin"))
        stop.cancel()
        await asyncio.wait((stop,))
        await asyncio.sleep(10.0)
        assert await own.store.load_stops() == ()

    told(story)


def test_what_is_released_is_not_recorded_behind_the_release() -> None:
    """A disk that was full takes a stop while its release is being stored: a restart latches nothing."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        asker, own = controller(fleet, "a"), fleet.hosts["a"]
        await ready(fleet)
        own.store.failed = True
        await _stopped(fleet, own)
        own.store.failed = False
        own.store.takes_s = lambda: 2.0 * RECORD_PAUSE_S
        release = fleet.loop.create_task(fleet.within(own, own.up.node.release(["b"], holder="admin"), 60.0))
        await asyncio.sleep(RECORD_PAUSE_S)  # by now the stop is being recorded again
        await release
        await asyncio.sleep(60.0)
        assert await own.store.load_stops() == ()
        await fleet.set(asker, "all", 10.0)

    told(story)


def test_a_stopped_battery_that_is_put_there_again_is_stopped() -> None:
    """Taking a stopped battery away and putting it there again is no release."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        asker, own = controller(fleet, "a"), fleet.hosts["a"]
        await ready(fleet)
        await _stopped(fleet, own)
        toml = own.up.node.topology().toml
        for each in (Edit(action="remove", name="b"), Edit(action="add", toml=toml)):
            await fleet.within(own, own.up.node.apply([each], expected_revision=None, holder="x", comment=""))
        await _is_latched(fleet, own, asker)
        await fleet.within(own, own.up.node.release(["b"], holder="admin"))
        await fleet.until(fleet.all_ready, within_s=5.0, because="it may be commanded again")
        await fleet.set(asker, "all", 10.0)
        assert flows_a(fleet, "a") == [10.0]

    told(story)


def test_a_stop_whose_owner_is_away_is_delivered_at_contact() -> None:
    """An owner is dead when its stub is stopped: once it is back the stop stands there, and there alone."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        asker, own = fleet.add_host("m", Topology(batteries=(stub_spec("sa", "a", "b"),), splitters=())), fleet.hosts["a"]
        await ready(fleet)
        own.kill()
        node = asker.up.node
        stopped = await fleet.within(asker, node.stop(["sa"], reason="smoke", holder="person"))
        assert list(stopped.not_at_owner) == ["sa"]
        await asyncio.sleep(60.0)
        assert [latch.name for latch in await asker.store.load_stops()] == ["sa"]
        refused = await fleet.refused(
            fleet.within(asker, node.book("sa", 4.0, Moment(in_s=0.0), Moment(in_s=600.0), holder="person"))
        )
        assert isinstance(refused, StoppedError)
        own.start()
        await fleet.until(lambda: own.up.serving and own.up.node.directory["b"].stopped, within_s=10.0, because="it has the stop")
        await fleet.until(lambda: not node.directory["sa"].stopped, within_s=5.0, because="it stands at the owner alone")
        (latch,) = await own.store.load_stops()
        assert (latch.who, latch.reason) == ("node:m", "smoke")
        assert await asker.store.load_stops() == ()
        assert await fleet.refused(fleet.set(asker, "sa", 4.0)) is not None
        await fleet.within(own, own.up.node.release(["b"], holder="admin"))
        await asyncio.sleep(90.0)  # longer than the most between two tries
        assert not own.up.node.directory["b"].stopped
        await fleet.set(asker, "sa", 10.0)
        assert flows_a(fleet, "a") == [10.0]

    told(story)


def test_a_stop_that_is_released_before_its_owner_is_back_is_not_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release at contact takes the stop away everywhere, also while it is on its way and the disk is slow."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        asker, own = fleet.add_host("m", Topology(batteries=(stub_spec("sa", "a", "b"),), splitters=())), fleet.hosts["a"]
        await ready(fleet)
        own.kill()
        node = asker.up.node
        await fleet.within(asker, node.stop(["sa"], reason="smoke", holder="person"))
        await asyncio.sleep(10.0)
        monkeypatch.setattr(asker.store, "clear_stops", _slow(asker.store.clear_stops))
        own.start()
        await fleet.until(lambda: own.up.serving and own.up.node.directory["b"].stopped, within_s=10.0, because="it has the stop")
        await fleet.within(asker, node.release(["sa"], holder="admin"))
        for _ in range(100):
            await asyncio.sleep(1.0)
            assert not own.up.node.directory["b"].stopped
        assert not node.directory["sa"].stopped
        await fleet.set(asker, "sa", 10.0)
        assert flows_a(fleet, "a") == [10.0]

    told(story)


def test_a_stop_says_by_whom_since_when_and_why() -> None:
    """At the owner, at its stub, and to who is refused, at both with STOPPED; a sum names who is stopped."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        asker, own = controller(fleet, "b"), fleet.hosts["a"]
        lone = fleet.add_host("l", Topology(batteries=(stub_spec("sa", "a", "b"),), splitters=()))
        await ready(fleet)
        for owner in ("a", "b"):
            await _stopped(fleet, fleet.hosts[owner])
        (latch,) = await own.store.load_stops()
        since = datetime.fromtimestamp(latch.at_utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"stopped by person since {since}, smoke"
        await fleet.until(lambda: lone.up.node.status("sa").stopped, within_s=2.0, because="the stub hears of it")
        assert own.up.node.status("b").reason == text
        assert text in lone.up.node.status("sa").reason
        for host, name in ((own, "b"), (lone, "sa")):
            refused = await fleet.refused(fleet.set(host, name, 5.0))
            assert isinstance(refused, StoppedError)
            assert text in refused.message
            told = await fleet.within(host, host.up.node.explain(name))
            assert f"by person since {since}, smoke" in str(told)
        refused = await fleet.refused(fleet.set(asker, "all", 5.0))
        assert refused is not None
        assert "stopped: sb" in refused.message
        own.kill()
        own.start()
        await fleet.until(lambda: own.up.serving, within_s=5.0, because="it serves again")
        assert text in own.up.node.status("b").reason

    told(story)


def test_a_stop_holds_while_a_raise_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of stubs is noted for a restart before it is sent: a stop overtakes it, and nothing is sent behind that."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        asker = controller(fleet, "a", "b")
        await ready(fleet)
        monkeypatch.setattr(asker.notes, "note", _slow(asker.notes.note))
        raised = fleet.loop.create_task(fleet.refused(fleet.set(asker, "all", 20.0)))
        await asyncio.sleep(DISK_S / 2.0)
        assert flows_a(fleet, "a", "b") == [0.0, 0.0], "it waits for the disk"
        stopped = await fleet.within(asker, asker.up.node.stop(["all"], holder="person"))
        assert (stopped.stopped, stopped.unconfirmed) == (("all",), ())
        for _ in range(round(4.0 * DISK_S / 0.05)):
            await asyncio.sleep(0.05)
            assert flows_a(fleet, "a", "b") == [0.0, 0.0]
        refused = await raised
        assert refused is not None
        assert "superseded by a stop" in refused.message

    told(story)


def test_no_late_stop_comes_behind_a_release_that_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stub was stopped while its owner was away; back in session it is released, on a slow disk: its owner hears of no stop."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        asker, own = controller(fleet, "a"), fleet.hosts["a"]
        await ready(fleet)
        own.kill()
        answer = await fleet.within(asker, asker.up.node.stop(["sa"], holder="person"))
        assert list(answer.not_at_owner) == ["sa"]
        own.start()
        status = asker.up.node.status
        await fleet.until(lambda: status("sa").link is Link.READY, within_s=9.0, because="it is back", step_s=0.001)
        with monkeypatch.context() as patch:
            patch.setattr(asker.store, "clear_stops", _slow(asker.store.clear_stops))
            await fleet.within(asker, asker.up.node.release(["sa"], holder="admin"))
        await asyncio.sleep(10.0)
        assert not own.up.node.directory["b"].stopped
        assert not status("sa").stopped
        await fleet.set(asker, "all", 10.0)

    told(story)


def test_what_a_stopped_device_is_found_running_ends_at_once() -> None:
    """It did not hear the stop, and its owner is started anew: 7 A are kept for nobody, though another's are for one lease."""

    async def story(fleet: Fleet) -> None:
        pack = fleet.add_pack("p", hold_s=None)
        own = fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"),), splitters=()))
        await ready(fleet)
        await fleet.set(own, "p", 7.0)
        pack.change(deaf=True)
        await fleet.within(own, own.up.node.stop(["p"], holder="person"))
        own.kill()
        pack.change(deaf=False)
        own.start()
        await fleet.until(lambda: pack.true_a == 0.0, within_s=1.5, because="it is told as soon as it was looked at")

    told(story)


@pytest.mark.parametrize("limited", ["p", "all"])
def test_what_a_device_is_found_running_above_a_limit_ends_at_once(limited: str) -> None:
    """It did not hear a limit of 48 W, and its owner is started anew: the 7 A it takes are kept for nobody."""

    async def story(fleet: Fleet) -> None:
        pack = fleet.add_pack("p", hold_s=None)
        own = fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"), sum_spec("all", "p")), splitters=()))
        await ready(fleet)
        await fleet.set(own, "all", -7.0)
        pack.change(deaf=True)
        await limit(fleet, own, limited, 48.0)
        await asyncio.sleep(1.0)
        assert pack.true_a == pytest.approx(-7.0)
        own.kill()
        pack.change(deaf=False)
        own.start()
        await fleet.until(lambda: pack.true_a == 0.0, within_s=1.5, because="it is told as soon as it was looked at")

    told(story)


@pytest.mark.parametrize("far", [True, False])
def test_a_stop_goes_with_its_device_to_another_name(*, far: bool) -> None:
    """An edit calls a stopped pack, or a stopped stub whose owner is away, another name: stopped, over a power cut too."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "o")
        fleet.add_pack("p", hold_s=None)

        def called(name: str) -> BatterySpec:
            return stub_spec(name, "o", "b") if far else pack_spec(name, "p")

        host = fleet.add_host("m", Topology(batteries=(called("old"),), splitters=()))
        await ready(fleet)
        if far:
            fleet.cut("m", "o")
        await fleet.within(host, host.up.node.stop(["old"], reason="smoke", holder="person"))
        await edit(fleet, host, called("new"))
        await asyncio.sleep(0.1)
        host.cut_power()
        await asyncio.sleep(5.0)
        host.start()
        fleet.heal("m", "o")
        await asyncio.sleep(10.0)
        refused = await fleet.refused(fleet.set(host, "new", 10.0))
        assert isinstance(refused, StoppedError)
        assert flows_a(fleet, "o", "p") == [0.0, 0.0]
        assert (await fleet.within(host, host.up.node.release(["new"], holder="person"))).released == ("new",)
        await fleet.set(host, "new", 10.0)

    told(story)


def test_what_nobody_asks_for_any_more_does_not_flow_at_a_release() -> None:
    """A stop at its owner ends the raise of a to -15 A, 10 A are asked instead, and it is released: nothing charges any more."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        host, own = controller(fleet, "a", "b"), fleet.hosts["a"]
        await ready(fleet)
        await fleet.set(host, "all", -20.0)
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.refused(fleet.set(host, "all", -30.0)))
            await asyncio.sleep(0.02)
            await fleet.within(own, own.up.node.stop(["b"], holder="somebody"))
        await asyncio.sleep(1.0)
        await fleet.set(host, "all", 10.0)
        assert flows_a(fleet, "a", "b") == pytest.approx([0.0, 10.0])
        await fleet.within(own, own.up.node.release(["b"], holder="somebody"))
        for _ in range(20):
            assert min(flows_a(fleet, "a", "b")) >= 0.0
            await asyncio.sleep(0.1)

    told(story)
