"""What an asker knows of an owner is agreed anew while a session lives, until both ends name the same."""

import asyncio

from tests.support.fleet.fleet import Fleet
from tests.support.fleet.stories import controller, flows_a, owners, ready, told

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
    """Both nodes start anew while a board is deaf; it is heard a minute later: the asker may command it then."""

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
        assert "was not heard since this node started" in refused.message
        pack.deaf = False
        await asyncio.sleep(RESYNC_S)
        await fleet.set(host, "all", 12.0)
        assert flows_a(fleet, "a") == [12.0]

    told(story)
