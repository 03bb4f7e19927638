"""What happens in the midst of something else: askers that die under a command, edits during a cut, commands that come late."""

import asyncio
import contextlib
import math
from dataclasses import replace

import pytest

from bosd.bal.schedule import Moment
from bosd.bal.spec import BatterySpec, PartitionSpec, SplitterSpec, Topology
from bosd.errors import BosError, UnavailableError
from bosd.fleet.timers import SessionTimers
from bosd.node.api import Edit
from bosd.node.links import NetworkLeaf
from bosd.store.limits import Limit
from tests.simulation.test_fleet_limits import edit
from tests.support.fleet.channels import Sent
from tests.support.fleet.fleet import Fleet, Host, Judge, Process, pack_spec, stub_spec, sum_spec
from tests.support.fleet.stories import SAFE_WITHIN_S, SLOW, controller, flows_a, owners, ready, told

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("dies_after_s", [0.05, 0.2, 0.4])
def test_an_asker_dies_under_its_first_command(dies_after_s: float) -> None:
    """The connection closes while the device is told: what it was told is in force for nobody, and ends, though it holds."""

    async def story(fleet: Fleet) -> None:
        pack = fleet.add_pack("p", hold_s=None, latency_s=(0.3, 0.3))
        own = fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"),), splitters=()))
        host = fleet.add_host("m", Topology(batteries=(stub_spec("sp", "o", "p"),), splitters=()))
        await ready(fleet)
        fleet.loop.create_task(fleet.refused(fleet.set(host, "sp", 10.0)), context=host.up.context())
        await asyncio.sleep(dies_after_s)
        host.kill()
        await asyncio.sleep(SAFE_WITHIN_S)
        assert pack.writes > 0
        assert (pack.true_a, own.up.node.status("p").reason) == (0.0, "")

    told(story)


def test_a_stub_is_replaced_while_it_is_cut_off() -> None:
    """A cut, then an edit of the lost stub: its share is given away no sooner than without the edit, and once."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        owners(fleet, "c", hold_s=None)
        host = controller(fleet, "a", "b", "c")
        await ready(fleet)
        await fleet.set(host, "all", 30.0)
        fleet.hosts["c"].cut_power()
        await asyncio.sleep(1.0)
        toml = host.up.node.topology().toml
        line = 'name = "sc"\n'
        assert line in toml
        edit = Edit(action="whole", toml=toml.replace(line, line + "max_staleness_s = 9.0\n"))
        await fleet.within(host, host.up.node.apply([edit], expected_revision=None, holder="person"))
        most_a = 0.0
        for _ in range(1200):
            most_a = max(most_a, math.fsum(flows_a(fleet, "a", "b", "c")))
            await asyncio.sleep(0.05)
        assert most_a <= 30.0 + 1e-9
        assert "may still run: sc up to 10 A" in host.up.node.status("all").reason
        fleet.hosts["c"].start()
        await fleet.until(lambda: "may still run" not in host.up.node.status("all").reason, within_s=60.0, because="contact")

    told(story)


@pytest.mark.parametrize("far", [True, False])
def test_a_lost_battery_that_gets_another_name_counts_on(*, far: bool) -> None:
    """An edit calls a member, which holds and is not reached, another name: its 10 A are not given to the other member."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "b")
        owners(fleet, "c", hold_s=None)
        fleet.add_pack("own", hold_s=None)

        def lost(name: str) -> BatterySpec:
            return stub_spec(name, "c", "b") if far else pack_spec(name, "own")

        host = fleet.add_host("m", Topology(batteries=(stub_spec("sb", "b", "b"), lost("old"), sum_spec("all", "sb", "old"))))
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        if far:
            fleet.hosts["c"].cut_power()
        fleet.packs["own"].change(deaf=not far)
        await asyncio.sleep(1.0)
        await edit(fleet, host, stub_spec("sb", "b", "b"), lost("new"), sum_spec("all", "sb", "new"))
        for _ in range(60):
            await asyncio.sleep(0.25)
            assert flows_a(fleet, "b", "c" if far else "own") == pytest.approx([10.0, 10.0])
        assert "may still run: new up to 10 A" in host.up.node.status("all").reason

    told(story)


@pytest.mark.parametrize("far", [True, False])
def test_a_lost_battery_taken_out_and_put_in_again_counts_on(*, far: bool) -> None:
    """A member that holds 10 A and is not reached is taken out in one edit, and put in in another: the sum counts it again."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "b")
        owners(fleet, "c", hold_s=None)
        fleet.add_pack("own", hold_s=None)
        lost = stub_spec("lost", "c", "b") if far else pack_spec("lost", "own")
        host = fleet.add_host("m", Topology(batteries=(stub_spec("sb", "b", "b"), lost, sum_spec("all", "sb", "lost"))))
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        if far:
            fleet.hosts["c"].cut_power()
        fleet.packs["own"].change(deaf=not far)
        await asyncio.sleep(1.0)
        without = await edit(fleet, host, stub_spec("sb", "b", "b"), sum_spec("all", "sb"))
        assert without.unconfirmed == ("lost",)
        assert ("may still run 10 A" if far else "did not confirm 0 A") in without.warnings[-1]
        await asyncio.sleep(1.0)
        await edit(fleet, host, stub_spec("sb", "b", "b"), lost, sum_spec("all", "sb", "lost"))
        await asyncio.sleep(3.0)
        for _ in range(60):
            await asyncio.sleep(0.25)
            assert flows_a(fleet, "b", "c" if far else "own") == pytest.approx([10.0, 10.0])
        assert "may still run: lost up to 10 A" in host.up.node.status("all").reason

    told(story)


def test_the_share_of_a_lost_battery_is_given_away_by_its_removal_no_sooner_than_it_is_safe() -> None:
    """A cut, then an edit that takes the lost stub out waits until its owner has let go: the sum is never above 20 A."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "b", "c")
        host = controller(fleet, "b", "c")
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        fleet.cut("m", "c")
        await asyncio.sleep(2.0)
        edited = fleet.loop.create_task(edit(fleet, host, stub_spec("sb", "b", "b"), sum_spec("all", "sb")))
        most_a = 0.0
        while not edited.done() or flows_a(fleet, "b")[0] < 20.0:
            most_a = max(most_a, math.fsum(flows_a(fleet, "b", "c")))
            await asyncio.sleep(0.05)
        assert (await edited).unconfirmed == ()
        assert most_a == pytest.approx(20.0)
        assert flows_a(fleet, "b", "c") == [20.0, 0.0]

    told(story)


def test_what_is_asked_while_an_edit_is_stored_keeps_the_new_limits() -> None:
    """A pack at 0 A gets limits of 8 A, the disk takes 2 s for it, 16 A are asked meanwhile: 8 A are never passed."""

    async def story(fleet: Fleet) -> None:
        pack = fleet.add_pack("p")
        host = fleet.add_host("m", Topology(batteries=(pack_spec("p", "p"),)))
        await ready(fleet)
        host.store.takes_s = lambda: 2.0
        edited = asyncio.create_task(edit(fleet, host, replace(pack_spec("p", "p"), max_charge_current_a=8.0)))
        await asyncio.sleep(0.5)
        asked = asyncio.create_task(fleet.refused(fleet.set(host, "p", -16.0)))
        while not (edited.done() and asked.done()):
            await asyncio.sleep(0.05)
            assert pack.true_a >= -8.0
        await edited
        refused = asked.result()
        assert refused is not None
        assert "stopped while an edit is stored that replaces it" in refused.message
        await asyncio.sleep(2.0)
        await fleet.set(host, "p", -8.0)
        assert flows_a(fleet, "p") == [-8.0]

    told(story)


def test_a_late_repeat_does_not_revive_what_its_sender_gave_up() -> None:
    """A repeat of an earlier run arrives when the next one has a session: the set point is bound to neither, and ends."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("p", hold_s=1.0)
        own = fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"),), splitters=()))
        host = fleet.add_host("m", Topology(batteries=(stub_spec("sp", "o", "p"),), splitters=()))
        await ready(fleet)
        await fleet.set(host, "sp", 10.0)
        asked = own.up.node.directory["p"].setpoint
        assert asked is not None
        assert asked.lease is not None
        session = own.up.sessions.peers()["node:m"]
        assert session is not None
        late = own.up.sessions.fence(
            "node:m", boot_id=own.up.boot_id, epoch=session.epoch, sequence=99, owner_s=own.clock.now_s()
        )
        host.kill()
        host.start()
        newer = await fleet.until(
            lambda: (now := own.up.sessions.peers()["node:m"]) is not None and now.epoch > session.epoch,
            within_s=3.0,
            because="the next run says hello",
        )
        assert newer < 3.0
        repeat = own.up.node.set_current("p", 10.0, ttl_s=3600.0, holder="node:m", fence=late)
        refused = await fleet.refused(fleet.within(own, repeat))
        assert refused is not None
        assert refused.metadata["check"] == "EPOCH"
        lower = own.up.node.set_current("p", 4.0, ttl_s=3600.0, holder="node:m", fence=late)
        await fleet.within(own, lower)
        now = own.up.node.directory["p"].setpoint
        assert now is not None
        assert (now.current_a, now.lease) == (4.0, asked.lease)
        assert now.lease is asked.lease

    told(story)


@pytest.mark.parametrize(("timers", "lease_s"), [(None, 3.0), (SLOW, 30.0)])
def test_what_nobody_asked_for_is_kept_for_one_lease(timers: SessionTimers | None, lease_s: float) -> None:
    """A board comes back and finds 7 A held, its controller gone: shown as UNOWNED for one lease of its own, then ended."""

    async def story(fleet: Fleet) -> None:
        pack = fleet.add_pack("p", hold_s=None)
        own = fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"),), splitters=()))
        pack.write(7.0)
        own.start()
        await fleet.until(lambda: own.up.serving, within_s=1.0, because="it is up")
        found_s = await fleet.until(lambda: "UNOWNED" in own.up.node.status("p").reason, within_s=3.0, because="it is found")
        ended_s = await fleet.until(lambda: pack.true_a == 0.0, within_s=lease_s + 2.0, because="it is ended")
        assert found_s + ended_s == pytest.approx(lease_s, abs=1.0)

    told(story, timers)


def test_a_stop_whose_asker_dies_is_kept() -> None:
    """The asker of a stop is gone before its device answers: it stays latched, reaches the device, and survives a restart."""

    async def story(fleet: Fleet) -> None:
        pack = fleet.add_pack("p", hold_s=None)
        own = fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"),), splitters=()))
        await ready(fleet)
        await fleet.set(own, "p", 5.0)
        pack.change(deaf=True)
        stopping = fleet.loop.create_task(own.up.node.stop(["p"], holder="person"), context=own.up.context())
        await asyncio.sleep(0.5)
        stopping.cancel()
        pack.change(deaf=False)
        await fleet.until(lambda: pack.true_a == 0.0, within_s=3.0, because="it is told again")
        await fleet.until(lambda: "p" in own.store.stops, within_s=6.0, because="it is recorded")
        own.kill()
        own.start()
        await fleet.until(lambda: own.up.serving, within_s=1.0, because="it is up")
        assert own.up.node.directory["p"].stopped

    told(story)


class _CutAt(Judge):
    """Cuts two hosts off from each other when the first call of a kind arrives after `armed`."""

    def __init__(self, fleet: Fleet, path: str, between: tuple[str, str]) -> None:
        self.armed = self.done = False
        self._fleet, self._path, self._between = fleet, path, between

    def call_arrived(self, path: str, request: bytes, sent: Sent, server: Process) -> None:
        """Cut, once."""
        del request, sent, server
        if self.armed and not self.done and path == self._path:
            self.done = True
            self._fleet.cut(*self._between)


def test_a_cut_between_sync_and_ready_counts_no_longer_than_any() -> None:
    """The owner was heard at Sync and is lost before Ready: its share is given away when the announced time has passed."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        cutter = _CutAt(fleet, "/bosd.v1.NodeService/Ready", ("m", "a"))
        fleet.judges.append(cutter)
        fleet.cut("m", "a")
        await asyncio.sleep(4.0)
        cutter.armed = True
        fleet.heal("m", "a")
        await fleet.until(lambda: cutter.done, within_s=5.0, because="m agrees anew")
        took_s = await fleet.until(
            lambda: flows_a(fleet, "a", "b") == pytest.approx([0.0, 20.0], rel=1e-3),
            within_s=SAFE_WITHIN_S + 6.0,
            because="b takes over",
        )
        assert took_s > SAFE_WITHIN_S - 1.0

    told(story)


def test_a_restarted_controller_waits_for_what_holds() -> None:
    """An owner goes dark while its pack holds, then the controller is started anew: nothing is raised before a person says so.

    What an earlier run asked for is noted before it is sent; contact, or `assume-safe`, ends it, over restarts too.
    """

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        owners(fleet, "b", hold_s=None)
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", 20.0, ttl_s=60.0)
        fleet.hosts["b"].cut_power()
        host.kill()
        await asyncio.sleep(100.0)
        host.start()
        await asyncio.sleep(100.0)
        refusal = await fleet.refused(fleet.set(host, "all", 20.0))
        assert refusal is not None
        assert "sb was not heard since this node started" in refusal.message
        assert 'until contact, or "bosctl fleet assume-safe b:7000" at m: it holds' in refusal.message
        assert flows_a(fleet, "a", "b") == [0.0, pytest.approx(10.0)]
        fleet.packs["b"].change(deaf=True)
        stub = host.up.node.directory["sb"]
        assert isinstance(stub, NetworkLeaf)
        assert stub.assume_safe()
        await fleet.set(host, "all", 20.0)
        host.kill()
        host.start()
        await asyncio.sleep(30.0)
        await fleet.set(host, "all", 20.0)

    told(story)


def test_a_restarted_controller_waits_as_long_as_the_whole_chain() -> None:
    """Three nodes in a row are cut hop by hop: what the far pack may run counts for as long as the near owner announced."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("far", hold_s=4.0)
        fleet.add_pack("near", charge_ah=50.0)
        fleet.add_host("o", Topology(batteries=(pack_spec("b", "far"),)))
        fleet.add_host("q", Topology(batteries=(stub_spec("so", "o", "b"),)))
        fleet.add_host("r", Topology(batteries=(stub_spec("sq", "q", "so"),)))
        tops = (stub_spec("sr", "r", "sq"), pack_spec("own", "near"), sum_spec("all", "sr", "own"))
        host = fleet.add_host("m", Topology(batteries=tops))
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        fleet.cut("m", "r")
        host.kill()
        host.start()
        began_s = fleet.loop.time()
        for one, other in (("r", "q"), ("q", "o")):
            await asyncio.sleep(2.3)
            fleet.cut(one, other)
        await asyncio.sleep(2.3)
        fleet.packs["far"].change(deaf=True)
        while fleet.packs["near"].true_a <= 10.0:
            with contextlib.suppress(BosError):
                await fleet.set(host, "all", 20.0)
            assert math.fsum(flows_a(fleet, "far", "near")) <= 20.0 + 1e-9
            await asyncio.sleep(0.2)
        assert fleet.loop.time() - began_s > SAFE_WITHIN_S

    told(story)


def test_a_booking_that_begins_while_devices_are_made_safe_tells_nothing() -> None:
    """One device does not answer at the end of the node, and meanwhile the other's booking begins: it stays at 0 A."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("p", hold_s=None)
        fleet.add_pack("q", hold_s=None)
        own = fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"), pack_spec("q", "q")), splitters=()))
        await ready(fleet)
        await fleet.within(own, own.up.node.book("p", 8.0, Moment(in_s=2.5), Moment(in_s=600.0), holder="person"))
        await asyncio.sleep(2.0)
        fleet.packs["q"].deaf = True
        unconfirmed = fleet.loop.create_task(fleet.within(own, own.up.node.shut_down()))
        await fleet.until(lambda: own.up.node.directory["p"].booked is not None, within_s=1.0, because="the booking begins")
        assert not unconfirmed.done()
        assert await unconfirmed == ("q",)
        await asyncio.sleep(5.0)
        assert flows_a(fleet, "p") == [0.0]

    told(story)


def test_what_cannot_be_noted_for_a_restart_is_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk a stub's set point is lowered and ended, and not raised: a node that died would not know what it left."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        host = controller(fleet, "a")
        await ready(fleet)
        await fleet.set(host, "all", 5.0)

        async def full(key: str, safe_within_s: float | None) -> None:
            raise UnavailableError(f"no space left for {key}, {safe_within_s}")

        monkeypatch.setattr(host.notes, "note", full)
        refused = await fleet.refused(fleet.set(host, "all", 10.0))
        assert refused is not None
        assert "no space left for b@a:7000" in refused.message
        assert flows_a(fleet, "a") == [5.0]
        await fleet.set(host, "all", 4.0)
        assert flows_a(fleet, "a") == [4.0]
        await fleet.within(host, host.up.node.clear_current("all", holder="person"))
        assert flows_a(fleet, "a") == [0.0]
        refused = await fleet.refused(fleet.set(host, "all", 1.0))
        assert refused is not None
        assert flows_a(fleet, "a") == [0.0]

    told(story)


def test_a_limit_that_falls_while_others_are_lowered_is_not_exceeded() -> None:
    """Pack p waits at 0 A for q, which is slow, to turn with it: a limit of 5 A comes, and p is not told its 10 A of before."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("p")
        fleet.add_pack("q", hold_s=None, latency_s=(0.45, 0.45))
        batteries = (pack_spec("p", "p", period_s=5.0), pack_spec("q", "q", period_s=5.0), sum_spec("all", "p", "q"))
        host = fleet.add_host("m", Topology(batteries=batteries, splitters=()))
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        await asyncio.sleep(4.0)
        turned = fleet.loop.create_task(fleet.refused(fleet.set(host, "all", -20.0)))
        await fleet.until(lambda: flows_a(fleet, "p", "q") == [0.0, 10.0], within_s=1.0, because="p waits", step_s=0.01)
        assert host.up.limits is not None
        limit = Limit(source="operator", battery="p", direction="charge", limit_w=240.0)  # at 48 V
        await fleet.within(host, host.up.limits.book.put(limit))
        least_a = 0.0
        for _ in range(300):
            least_a = min(least_a, flows_a(fleet, "p")[0])
            await asyncio.sleep(0.02)
        assert least_a == 0.0
        refused = await turned
        assert refused is not None
        assert "a limit of p fell meanwhile" in refused.message
        await fleet.refused(fleet.set(host, "all", -20.0))
        await fleet.until(lambda: flows_a(fleet, "p")[0] < 0.0, within_s=5.0, because="it is asked again")
        assert flows_a(fleet, "p") == pytest.approx([-5.0])

    told(story)


async def _raising(fleet: Fleet) -> tuple[Host, "asyncio.Task[BosError | None]"]:
    """Return the host of an own pack and of a far one that is not heard any more, while both are told 15 A in place of 10."""
    owners(fleet, "far")
    fleet.add_pack("near", hold_s=None)
    batteries = (stub_spec("sf", "far", "b"), pack_spec("near", "near"), sum_spec("all", "sf", "near"))
    host = fleet.add_host("m", Topology(batteries=batteries, splitters=()))
    await ready(fleet)
    await fleet.set(host, "all", 20.0)
    fleet.cut("m", "far")
    raising = fleet.loop.create_task(fleet.refused(fleet.set(host, "all", 30.0)))
    await fleet.until(lambda: flows_a(fleet, "near") == [15.0], within_s=1.0, because="the own pack follows", step_s=0.01)
    assert not raising.done()
    return host, raising


def test_a_limit_does_not_wait_for_another_node() -> None:
    """A raise waits for a node that is not heard; a limit of 5 A on an own pack holds within a second (control.md)."""

    async def story(fleet: Fleet) -> None:
        host, raising = await _raising(fleet)
        assert host.up.limits is not None
        limit = Limit(source="operator", battery="near", direction="discharge", limit_w=240.0)  # at 48 V
        await fleet.within(host, host.up.limits.book.put(limit))
        await fleet.until(lambda: flows_a(fleet, "near")[0] <= 5.0, within_s=1.0, because="the limit holds", step_s=0.01)
        assert not raising.done()
        assert await raising is not None
        for _ in range(500):
            await asyncio.sleep(0.02)
            assert flows_a(fleet, "near")[0] <= 5.0 * (1.0 + 1e-9)

    told(story)


@pytest.mark.parametrize("less_a", [10.0, 0.0])
def test_a_holder_that_asks_for_less_does_not_wait_for_another_node(less_a: float) -> None:
    """Nor does a lowering by who asked for more a moment ago: that request ends, and the own pack is lowered within a second."""

    async def story(fleet: Fleet) -> None:
        host, raising = await _raising(fleet)
        lowering = fleet.loop.create_task(fleet.refused(fleet.set(host, "all", less_a)))
        await fleet.until(lambda: flows_a(fleet, "near")[0] <= less_a / 2.0, within_s=1.0, because="it is less", step_s=0.01)
        refused = await raising
        assert refused is not None
        assert "asked for less of all meanwhile" in refused.message
        await lowering
        assert host.up.node.status("all").requested_current_a == less_a
        fleet.heal("m", "far")
        await fleet.until(
            lambda: math.fsum(flows_a(fleet, "far", "near")) == pytest.approx(less_a), within_s=30.0, because="all is as asked"
        )

    told(story)


def test_what_another_asks_for_less_does_not_wait_for_another_node() -> None:
    """Two parts of one battery: one is raised and waits for a node that is not heard, the other one's holder asks for nothing."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "far")
        fleet.add_pack("near", hold_s=None)
        batteries = (stub_spec("sf", "far", "b"), pack_spec("near", "near"), sum_spec("all", "sf", "near"))
        parts = tuple(PartitionSpec(name=name, fraction=0.5) for name in ("one", "other"))
        splitter = SplitterSpec(name="sp", policy="proportional", source="all", partitions=parts)
        host = fleet.add_host("m", Topology(batteries=batteries, splitters=(splitter,)))
        await ready(fleet)
        await fleet.set(host, "one", 10.0)
        await fleet.set(host, "other", 10.0)
        fleet.cut("m", "far")
        raising = fleet.loop.create_task(fleet.refused(fleet.set(host, "one", 14.0)))
        await fleet.until(
            lambda: flows_a(fleet, "near") == pytest.approx([12.0], rel=1e-3),
            within_s=1.0,
            because="the own pack follows",
            step_s=0.01,
        )
        lowering = fleet.loop.create_task(fleet.refused(fleet.set(host, "other", 0.0)))
        await fleet.until(lambda: flows_a(fleet, "near")[0] <= 7.01, within_s=1.0, because="it is less", step_s=0.01)
        assert not raising.done()
        assert await raising is not None
        await lowering

    told(story)
