"""What an asker knows of an owner is agreed anew while a session lives, until both ends name the same."""

import asyncio

import pytest

from bosd.bal.spec import Topology
from bosd.config.topology_toml import format_topology
from bosd.node.api import Edit
from bosd.node.leaves import LEASE_S
from bosd.node.links import NetworkLeaf
from bosd.node.ramps import FULL_S
from tests.support.fleet.fleet import PORT, Fleet, pack_spec, stub_spec, sum_spec
from tests.support.fleet.stories import SAFE_WITHIN_S, controller, flows_a, owners, ready, told

RESYNC_S = 5.0
"""A beat (0.5 s) tells that something changed; a call may take 2 s, a pause after a failure takes 2 s more."""


def test_agreeing_anew_is_tried_until_it_succeeds() -> None:
    """A link is down just as the owner's configuration changes, for less than a lease: the asker knows the new one soon after."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        await ready(fleet)
        (remote,) = host.up.pool.remotes.values()
        session, own = remote.session, fleet.hosts["a"].up
        epoch = session.state.epoch
        digest = own.node.config_digest
        own.sessions.config_digest = lambda: digest() + "/edited"
        await fleet.until(lambda: session.drifted, within_s=1.0, because="a beat tells of it", step_s=0.001)
        fleet.cut("m", "a")
        await asyncio.sleep(2.2)
        fleet.heal("m", "a")
        await fleet.until(lambda: not session.drifted, within_s=RESYNC_S, because="both agree again")
        assert session.state.epoch == epoch, "it is the session of before"

    told(story)


def test_a_device_that_is_looked_at_late_is_known_to_be() -> None:
    """Both nodes start anew while a board is deaf, which its owner counts; it is heard a minute later: it may be commanded."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        host, pack = controller(fleet, "a"), fleet.packs["a"]
        await ready(fleet)
        await fleet.set(host, "all", 10.0)
        for each in (host, fleet.hosts["a"]):
            each.kill()
        pack.deaf = True
        fleet.start()
        await asyncio.sleep(60.0)
        refused = await fleet.refused(fleet.set(host, "all", 12.0))
        assert refused is not None
        assert "counted at 10 A, which an earlier run had it run, until it answers" in refused.message
        pack.deaf = False
        await asyncio.sleep(RESYNC_S)
        await fleet.set(host, "all", 12.0)
        assert flows_a(fleet, "a") == [12.0]

    told(story)


def test_a_stub_that_is_added_to_a_living_session_is_agreed_on() -> None:
    """Its bound is known as that of one that was there at Hello, so it counts no longer than that once it is lost."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=1.0)
        fleet.add_pack("p", hold_s=1.0)
        fleet.hosts["a"].topology = Topology(batteries=(pack_spec("b", "a"), pack_spec("p", "p")), splitters=())
        host = controller(fleet, "a")
        await ready(fleet)
        (remote,) = host.up.pool.remotes.values()
        epoch = remote.session.state.epoch
        edit = Edit(action="add", toml=format_topology(Topology(batteries=(stub_spec("sp", "a", "p"),), splitters=())))
        await fleet.within(host, host.up.node.apply([edit], expected_revision=None, holder="person"))
        stubs = [host.up.node.directory[name] for name in ("sa", "sp")]
        await fleet.until(lambda: fleet.ready(host), within_s=RESYNC_S, because="it may be commanded")
        await fleet.set(host, "sp", 10.0)
        assert remote.session.state.epoch == epoch, "it is the session of before"
        assert [stub.let_go_s for stub in stubs if isinstance(stub, NetworkLeaf)] == [SAFE_WITHIN_S, SAFE_WITHIN_S]
        fleet.hosts["a"].cut_power()
        await fleet.until(lambda: "counted at 10 A" in host.up.node.status("sp").reason, within_s=5.0, because="it is lost")
        free = lambda: "counted at" not in host.up.node.status("sp").reason  # noqa: E731
        await fleet.until(free, within_s=SAFE_WITHIN_S, because="it is safe by itself")

    told(story)


def test_a_ramp_goes_on_where_its_stub_is_replaced() -> None:
    """A lost stub is held down, then written otherwise: when its owner is back it rises as the old one would have."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        fleet.cut("m", "a")
        await fleet.until(lambda: flows_a(fleet, "a", "b")[1] > 19.0, within_s=20.0, because="b has the share of a")
        toml, line = host.up.node.topology().toml, 'name = "sa"\n'
        assert line in toml
        edit = Edit(action="whole", toml=toml.replace(line, line + "max_staleness_s = 9.0\n"))
        await fleet.within(host, host.up.node.apply([edit], expected_revision=None, holder="person"))
        fleet.heal("m", "a")
        await fleet.until(lambda: flows_a(fleet, "a")[0] > 0.0, within_s=10.0, because="a comes back")
        assert flows_a(fleet, "a")[0] < 5.0, "slowly"
        await fleet.until(lambda: flows_a(fleet, "a")[0] > 9.5, within_s=FULL_S + 5.0, because="a has its share")
        await fleet.until(lambda: not host.up.node.directory["sa"].caps, within_s=FULL_S, because="nothing holds it down")

    told(story)


@pytest.mark.parametrize(("hold_s", "near_a"), [(4.0, 20.0), (None, 10.0)])
def test_what_comes_back_behind_a_relay_comes_back_slowly(hold_s: float | None, near_a: float) -> None:
    """The relay is heard all the while; the owner behind it is not, for longer than its bound. What holds counts meanwhile."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("far", hold_s=hold_s, latency_s=(0.001, 0.004))  # quicker than what looks after ramps
        fleet.add_pack("near")
        fleet.add_host("o", Topology(batteries=(pack_spec("b", "far"),)))
        fleet.add_host("q", Topology(batteries=(stub_spec("so", "o", "b"),)))
        tops = (stub_spec("sq", "q", "so"), pack_spec("own", "near"), sum_spec("all", "sq", "own"))
        host = fleet.add_host("m", Topology(batteries=tops))
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        fleet.cut("q", "o")
        given = lambda: flows_a(fleet, "far", "near") == pytest.approx([0.0, near_a], rel=1e-2)  # noqa: E731
        await fleet.until(given, within_s=40.0, because="its share is given away, where nothing is known to flow")
        await asyncio.sleep(20.0)
        fleet.heal("q", "o")
        await fleet.until(lambda: flows_a(fleet, "far")[0] > 0.0, within_s=20.0, because="it comes back")
        assert flows_a(fleet, "far")[0] < 2.0, "slowly"
        await fleet.until(lambda: flows_a(fleet, "far")[0] > 9.5, within_s=FULL_S + 5.0, because="it has its share")

    told(story)


def test_a_new_set_point_is_not_ramped_as_both_agree_anew() -> None:
    """The owner says what was in force just before the set point arrives: nothing comes back, so 10 A flow, and go on."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        await ready(fleet)
        (remote,) = host.up.pool.remotes.values()
        for ends in (("m", "a"), ("a", "m")):
            fleet.wires.way(*ends).delay_s = (0.05, 0.05)
        remote.session.agree_anew()
        await asyncio.sleep(0.02)
        await fleet.set(host, "all", 10.0)
        least_a = 10.0
        for _ in range(40):
            await asyncio.sleep(0.05)
            least_a = min(least_a, *flows_a(fleet, "a"))
        assert least_a == pytest.approx(10.0)

    told(story)


def test_a_lowering_stays_though_both_agree_anew_meanwhile() -> None:
    """The device does not answer, the holder syncs meanwhile and is cut off then: the device comes back with 3 A, not 10."""

    async def story(fleet: Fleet) -> None:
        pack = fleet.add_pack("p", hold_s=None)
        own = fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"),)))
        host = fleet.add_host("m", Topology(batteries=(stub_spec("sp", "o", "p"),)))
        await ready(fleet)
        await fleet.set(host, "sp", 10.0)
        before = own.up.node.directory["p"].setpoint
        pack.change(deaf=True)
        lowering = fleet.loop.create_task(fleet.refused(fleet.set(host, "sp", 3.0)), context=host.up.context())
        await asyncio.sleep(0.3)
        host.up.pool.remotes["o:7000"].session.agree_anew()
        await asyncio.sleep(0.3)
        assert own.up.node.directory["p"].setpoint is not before, "it has been bound anew"
        assert await lowering is not None
        fleet.cut("m", "o")
        pack.change(deaf=False)
        await fleet.until(lambda: pack.true_a == 3.0, within_s=2.5, because="it is told again within the lease")

    told(story)


@pytest.mark.parametrize("anew", [True, False], ids=["both agree anew", "its status says so"])
def test_what_is_let_go_again_while_it_rises_rises_from_nothing_again(*, anew: bool) -> None:
    """A is back after a cut and rises at 2 A a second; ended there just then, it rises from nothing again."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host, own, pack = controller(fleet, "a", "b"), fleet.hosts["a"], fleet.packs["a"]
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        fleet.cut("m", "a")
        await fleet.until(lambda: flows_a(fleet, "a", "b")[1] > 19.0, within_s=20.0, because="b has the share of a")
        fleet.heal("m", "a")
        await fleet.until(lambda: pack.true_a > 5.0, within_s=15.0, because="a rises")
        await fleet.within(own, own.up.node.clear_current("b", holder="node:m"))
        if anew:
            (remote,) = (each for each in host.up.pool.remotes.values() if each.target == f"a:{PORT}")
            remote.session.agree_anew()
        ended_s = fleet.loop.time()
        while pack.true_a < 9.5:
            assert pack.true_a <= 2.0 * (fleet.loop.time() - ended_s)
            assert fleet.loop.time() < ended_s + 2.0 * FULL_S
            await asyncio.sleep(0.05)

    told(story)


def test_what_a_node_does_not_go_on_with_ends_with_its_lease_though_beats_go_on() -> None:
    """Both agree anew within a session, and the asker does not name its set point: that ends with the lease as it was."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("p")
        own = fleet.add_host("a", Topology(batteries=(pack_spec("b", "p"),)))
        host = fleet.add_host("m", Topology(batteries=(stub_spec("s", "a", "b"),)))
        await ready(fleet)
        await fleet.set(host, "s", 5.0)
        sessions = own.up.sessions
        session = sessions.peers()["node:m"]
        assert session is not None
        assert sessions.ready(session, sessions.digest(session), {}, own.clock.now_s())
        await fleet.until(lambda: flows_a(fleet, "p") == [0.0], within_s=LEASE_S + 0.5, because="nobody goes on with it")
        assert session.lease.ends_s > own.clock.now_s() + 1.0, "beats go on"

    told(story)
