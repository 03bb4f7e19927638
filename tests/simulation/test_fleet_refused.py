"""A node that gets nothing of what it wants asks ever more rarely, and has it soon once it is there."""

import asyncio
from dataclasses import dataclass, field

from bosd.bal.spec import Topology
from bosd.errors import BadNameError
from bosd.node.api import Edit
from bosd.rpc.link_timers import LinkTimers
from bosd.rpc.remote_node import RemoteNode
from bosd.v1 import battery_pb2 as pb
from tests.support.fleet.channels import Sent
from tests.support.fleet.fleet import Fleet, Judge, Process, stub_spec
from tests.support.fleet.judges import HELLO
from tests.support.fleet.stories import controller, owners, ready, told

MOST_S = LinkTimers().pause_barred_s


@dataclass
class _Hellos(Judge):
    """When somebody said hello."""

    at_s: list[float] = field(default_factory=list)

    def call_arrived(self, path: str, request: bytes, sent: Sent, server: Process) -> None:
        del request, server
        if path == HELLO:
            self.at_s.append(sent.at_s)


def test_a_battery_that_is_not_there_costs_no_session_a_second() -> None:
    """The one battery wanted is missing: sessions come up to 8 s apart; once it is there, or another is wanted, it goes on."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        own, hellos = fleet.hosts["a"], _Hellos()
        fleet.judges.append(hellos)
        asker = fleet.add_host("m", Topology(batteries=(stub_spec("sa", "a", "b"),), splitters=()))
        own.start()
        await fleet.until(lambda: own.up.serving, within_s=5.0, because="it serves")
        toml = own.up.node.topology().toml
        await fleet.within(own, own.up.node.apply([Edit(action="remove", name="b")], expected_revision=None, holder="x"))
        asker.start()
        await asyncio.sleep(60.0)
        assert 60.0 / MOST_S <= len(hellos.at_s) <= 15  # 0.5 + 0.5 + 0.8 + 1.6 + 3.2 + 6.4 s, then each 8 s
        await fleet.within(own, own.up.node.apply([Edit(action="add", toml=toml)], expected_revision=None, holder="x"))
        await fleet.until(fleet.all_ready, within_s=MOST_S + 2.0, because="it is there")

    told(story)


async def _given_back(remote: RemoteNode, name: str) -> None:
    request = pb.ClearCurrentRequest(name=name, fence=remote.session.fence())
    await remote.call(lambda stub: stub.ClearCurrent(request, metadata=remote.metadata))


def test_nothing_is_noted_of_batteries_that_are_not_there() -> None:
    """A node gives back a thousand batteries that its owner does not have: refused, and the owner keeps nothing of them."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        asker, own = controller(fleet, "a"), fleet.hosts["a"]
        await ready(fleet)
        (remote,) = asker.up.pool.remotes.values()
        for number in range(1000):
            assert isinstance(await fleet.refused(fleet.within(asker, _given_back(remote, f"x{number}"))), BadNameError)
        session = own.up.sessions.peers()["node:m"]
        assert session is not None
        assert set(session.sequences) <= {"b"}

    told(story)
