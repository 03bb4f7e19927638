"""Edits that take a battery that is not heard out of a sum, or the sum away: its share is given to nobody before it is safe."""

import asyncio
import math
from dataclasses import replace

import pytest
import structlog.testing

from bosd.bal.spec import BatterySpec, NullSpec, PartitionSpec, SplitterSpec, Topology
from bosd.config.topology_toml import format_topology
from bosd.errors import NotAllowedError, StoreError
from bosd.node.api import ApplyResult, Edit
from bosd.node.moves import LOST_PAUSE_S
from bosd.node.orphans import AGAIN_S
from tests.support.fleet.channels import Sent
from tests.support.fleet.fleet import PORT, Fleet, Host, Judge, Process, pack_spec, stub_spec, sum_spec
from tests.support.fleet.packs import Pack
from tests.support.fleet.stories import SAFE_WITHIN_S, owners, ready, told

pytestmark = pytest.mark.timeout(300)

ASKED_A = 20.0
SA, SB = stub_spec("sa", "a", "b"), stub_spec("sb", "b", "b")
PARTS = SplitterSpec(
    name="sp",
    policy="proportional",
    source="sa",
    partitions=(PartitionSpec(name="p", fraction=0.5), PartitionSpec(name="q", fraction=0.5)),
)


class NeverMore(Judge):
    """All packs together never run more than was asked."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def current_changed(self, pack: Pack) -> None:
        """Add up."""
        runs_a = sum(each.true_a for each in self.fleet.packs.values())
        assert runs_a <= ASKED_A * 1.001, f"{runs_a:g} A flow after {pack.name} changed; {ASKED_A:g} A were asked"


def of(*specs: BatterySpec, parts: bool = False) -> Topology:
    """Return a topology, with partitions of sa where they are wanted."""
    return Topology(batteries=specs, splitters=(PARTS,) if parts else ())


FLAT, SPLIT = of(SA, SB, sum_spec("all", "sa", "sb")), of(SA, SB, sum_spec("all", "p", "sb"), parts=True)
CASES = {
    "out of a sum": (FLAT, of(SA, SB, sum_spec("all", "sb")), "all"),
    "out of a sum, and away": (FLAT, of(SB, sum_spec("all", "sb")), "all"),
    "another sum": (FLAT, of(SA, SB, sum_spec("v", "sb")), "v"),
    "another sum, and away": (FLAT, of(SB, sum_spec("v", "sb")), "v"),
    "no sum": (FLAT, of(SA, SB), "sb"),
    "a partition out of a sum": (SPLIT, of(SA, SB, sum_spec("all", "sb"), parts=True), "all"),
    "no partition": (SPLIT, of(SA, SB, sum_spec("all", "sb")), "all"),
    "another sum, and no partition": (SPLIT, of(SA, SB, sum_spec("v", "sb")), "v"),
}


@pytest.mark.parametrize(
    ("case", "lost_s"), [*((case, 0.1) for case in CASES), *((case, 5.0) for case in ("another sum", "no sum"))]
)
def test_what_a_lost_member_runs_is_given_to_nobody_before_it_is_safe(case: str, lost_s: float) -> None:
    """Of 20 A over two, one is not heard; an edit takes it out: what is asked of the other comes once its bound has passed."""
    before, after, name = CASES[case]

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = fleet.add_host("m", before)
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.judges.append(NeverMore(fleet))
        fleet.cut("m", "a")
        cut_s = fleet.loop.time()
        await asyncio.sleep(lost_s)
        edits = [Edit(action="whole", toml=format_topology(after))]
        applied = host.up.node.apply(edits, expected_revision=None, holder="person")
        answer = await fleet.within(host, applied, deadline_s=20.0)
        assert answer.unconfirmed == ()
        assert fleet.loop.time() - cut_s > SAFE_WITHIN_S - 1.0, "its last answer came at most a beat before"
        await fleet.set(host, name, ASKED_A)
        await fleet.until(lambda: fleet.packs["b"].true_a == ASKED_A, within_s=2.0, because="sb has it alone")

    told(story)


@pytest.mark.parametrize("instead", ["out of the sum", "away", "null"])
def test_what_a_deaf_device_runs_until_it_lets_go_is_given_to_nobody(instead: str) -> None:
    """Of 20 A over two, one does not answer and lets go 4 s after it was told last: taken out, it runs 10 A until then."""

    async def story(fleet: Fleet) -> None:
        gone, other = fleet.add_pack("gone", hold_s=4.0), fleet.add_pack("other", hold_s=4.0)
        specs: tuple[BatterySpec, ...] = (pack_spec("gone", "gone"), pack_spec("other", "other"))
        host = fleet.add_host("m", Topology(batteries=(*specs, sum_spec("all", "gone", "other"))))
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.judges.append(NeverMore(fleet))
        gone.change(deaf=True)
        here: dict[str, tuple[BatterySpec, ...]] = {"out of the sum": specs[:1], "null": (NullSpec(name="gone", voltage_v=48.0),)}
        after = Topology(batteries=(*here.get(instead, ()), specs[1], sum_spec("all", "other")))
        edits = [Edit(action="whole", toml=format_topology(after))]
        applied = host.up.node.apply(edits, expected_revision=None, holder="person")
        answer = await fleet.within(host, applied, deadline_s=20.0)
        assert answer.unconfirmed == ("gone",)
        assert gone.true_a == 0.0
        await fleet.set(host, "all", ASKED_A)
        assert other.true_a == ASKED_A

    told(story)


def test_a_device_that_did_not_confirm_is_told_after_a_power_cut() -> None:
    """A pack that holds 10 A does not answer and is taken out; the board goes dark, guard and all: the next run tells it."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("own")
        pack = fleet.add_pack("gone", hold_s=None)
        host = fleet.add_host("m", Topology(batteries=(pack_spec("own", "own"), pack_spec("gone", "gone"))))
        await ready(fleet)
        await fleet.set(host, "gone", 10.0)
        pack.change(deaf=True)
        edits = [Edit(action="remove", name="gone")]
        answer = await fleet.within(host, host.up.node.apply(edits, expected_revision=None, holder="person"))
        assert answer.unconfirmed == ("gone",)
        host.cut_power()
        assert pack.true_a == 10.0
        host.start()
        await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        assert "gone was taken out" in next(iter(host.up.node.orphans.noticed())).message
        pack.change(deaf=False)
        await fleet.until(lambda: pack.true_a == 0.0, within_s=4.0, because="it is told each 2 s until it confirms")
        await fleet.until(lambda: not host.removed.left, within_s=4.0, because="it is forgotten then")

    told(story)


@pytest.mark.parametrize("first", ["edit", "restart"])
def test_what_a_lost_battery_runs_counts_over_a_restart_and_an_edit_of_its_address(first: str) -> None:
    """A member holds 10 A and is not reached; it is looked for elsewhere, before or after a restart: nobody has its 10 A."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "b")
        owners(fleet, "a", hold_s=None)
        host = fleet.add_host("m", FLAT)
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.judges.append(NeverMore(fleet))
        fleet.hosts["a"].cut_power()
        await asyncio.sleep(5.0)
        moved = of(replace(SA, target=f"a:{PORT + 1}"), SB, sum_spec("all", "sa", "sb"))
        for step in (first, "restart" if first == "edit" else "edit"):
            if step == "edit":
                edits = [Edit(action="whole", toml=format_topology(moved))]
                await fleet.within(host, host.up.node.apply(edits, expected_revision=None, holder="person"))
            else:
                host.kill()
                host.start()
                await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        await asyncio.sleep(2.0 * SAFE_WITHIN_S)
        refused = await fleet.refused(fleet.set(host, "all", ASKED_A))
        assert refused is not None
        assert "sa was not heard since this node started" in refused.message
        fleet.hosts["a"].start()
        await fleet.until(fleet.all_ready, within_s=30.0, because="contact")
        await fleet.set(host, "all", ASKED_A)

    told(story)


async def _null_in_place_of_a_deaf_one(fleet: Fleet) -> tuple[Host, Host, Pack, ApplyResult]:
    """Have a far member hold 10 A and not answer, and its owner put a null battery there; return asker, owner, pack, answer."""
    owners(fleet, "a", "b", hold_s=None)
    host, own, pack = fleet.add_host("m", FLAT), fleet.hosts["a"], fleet.packs["a"]
    await ready(fleet)
    await fleet.set(host, "all", ASKED_A)
    fleet.judges.append(NeverMore(fleet))
    pack.change(deaf=True)
    edits = [Edit(action="replace", name="b", toml=format_topology(of(NullSpec(name="b", voltage_v=48.0))))]
    return host, own, pack, await fleet.within(own, own.up.node.apply(edits, expected_revision=None, holder="person"))


def test_a_null_battery_in_place_of_a_deaf_one_counts_at_what_that_may_run() -> None:
    """A far member holds 10 A and does not answer; its owner puts a null battery there: nobody has these 10 A."""

    async def story(fleet: Fleet) -> None:
        host, own, pack, answer = await _null_in_place_of_a_deaf_one(fleet)
        assert answer.unconfirmed == ("b",)
        for _ in range(40):
            await asyncio.sleep(0.25)
            assert (pack.true_a, fleet.packs["b"].true_a) == pytest.approx((10.0, 10.0))
        assert "may still run: sa up to 10 A" in host.up.node.status("all").reason
        for asked_a in (15.0, ASKED_A):
            await fleet.set(host, "all", asked_a)
            assert (pack.true_a, fleet.packs["b"].true_a) == pytest.approx((10.0, asked_a - 10.0))
        assert "what was here before may still run 10 A" in own.up.node.status("b").reason
        pack.change(deaf=False)
        await fleet.until(lambda: pack.true_a == 0.0, within_s=4.0, because="it is told each 2 s until it confirms")
        await fleet.until(
            lambda: fleet.packs["b"].true_a == ASKED_A, within_s=LOST_PAUSE_S + 2.0, because="its owner says so when it is asked"
        )
        assert own.up.node.status("b").reason == "absent on purpose"

    told(story)


def test_what_a_null_battery_tells_outlives_a_restart_of_its_node() -> None:
    """The same, and the owner is started anew while the device is deaf, twice: nobody has these 10 A before it confirms."""

    async def story(fleet: Fleet) -> None:
        host, own, pack, _ = await _null_in_place_of_a_deaf_one(fleet)
        for _ in range(2):
            own.kill()
            await asyncio.sleep(2.0 * SAFE_WITHIN_S)
            await fleet.refused(fleet.set(host, "all", ASKED_A))
            own.start()
            await fleet.until(lambda: own.up.serving, within_s=5.0, because="it serves again")
            assert "what was here before may still run 10 A" in own.up.node.status("b").reason
            for _ in range(40):
                await asyncio.sleep(0.25)
                await fleet.refused(fleet.set(host, "all", ASKED_A))
                assert (pack.true_a, fleet.packs["b"].true_a) == pytest.approx((10.0, 10.0))
        pack.change(deaf=False)
        await fleet.until(lambda: pack.true_a == 0.0, within_s=4.0, because="it is told each 2 s until it confirms")
        await fleet.until(lambda: fleet.packs["b"].true_a == ASKED_A, within_s=LOST_PAUSE_S + 2.0, because="its owner says so")
        own.kill()
        own.start()
        await fleet.until(lambda: own.up.serving, within_s=5.0, because="it serves again")
        assert own.up.node.status("b").reason == "absent on purpose"

    told(story)


class _GivenBack(Judge):
    """Notes when something was last given back."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.last_s = -math.inf

    def call_arrived(self, path: str, request: bytes, sent: Sent, server: Process) -> None:
        """Look at the path."""
        del request, sent, server
        if path.endswith("/ClearCurrent"):
            self.last_s = self.fleet.loop.time()


def test_a_stub_that_its_owner_refuses_to_take_back_is_told_to_its_end_and_no_longer() -> None:
    """Its owner takes nothing of it back any more: once its 20 s are over nothing runs there, and the log has said why once."""

    async def story(fleet: Fleet) -> None:
        for name in ("p1", "p2"):
            fleet.add_pack(name)
        own = fleet.add_host("a", Topology(batteries=(pack_spec("b1", "p1"), pack_spec("b2", "p2"))))
        stubs = stub_spec("s1", "a", "b1"), stub_spec("s2", "a", "b2")
        host = fleet.add_host("m", Topology(batteries=stubs))
        await ready(fleet)
        await fleet.set(host, "s1", 5.0, ttl_s=20.0)
        over_s = fleet.loop.time() + 20.0

        async def refuse(name: str, **_: object) -> None:
            raise NotAllowedError(f"{name} is not granted to node:m")

        own.up.node.clear_current = refuse  # type: ignore[assignment]
        given = _GivenBack(fleet)
        fleet.judges.append(given)
        with structlog.testing.capture_logs() as lines:
            edits = [Edit(action="remove", name="s1")]
            await fleet.within(host, host.up.node.apply(edits, expected_revision=None, holder="person"))
            await asyncio.sleep(60.0)
        assert over_s - AGAIN_S <= given.last_s <= over_s + AGAIN_S
        assert len([line for line in lines if line["event"] == "not_let_go"]) == 1
        assert [list(remote.sinks) for remote in host.up.pool.remotes.values()] == [["b2"]]

    told(story)


@pytest.mark.parametrize("disk", ["full", "hangs"])
def test_nothing_is_noted_of_an_address_that_an_edit_was_refused(disk: str) -> None:
    """A member holds 10 A and is not reached; the disk does not take that it is looked for elsewhere: nothing runs there."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "b")
        owners(fleet, "a", hold_s=None)
        host = fleet.add_host("m", FLAT)
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.hosts["a"].cut_power()
        await asyncio.sleep(5.0)
        noted = dict(host.notes)
        assert noted[f"b@a:{PORT}"] is None
        moved = of(replace(SA, target=f"a:{PORT + 1}"), SB, sum_spec("all", "sa", "sb"))
        edits = [Edit(action="whole", toml=format_topology(moved))]
        if disk == "full":
            host.store.failed = True
        else:
            host.store.hangs_until_s = asyncio.get_running_loop().time() + 60.0
        refused = await fleet.refused(
            fleet.within(host, host.up.node.apply(edits, expected_revision=None, holder="person"), deadline_s=20.0)
        )
        assert type(refused) is StoreError
        assert host.notes == noted

    told(story)


@pytest.mark.parametrize("case", ["out of a sum", "another sum, and away", "no sum"])
def test_what_an_earlier_run_left_with_a_lost_member_is_given_to_nobody_before_it_is_safe(case: str) -> None:
    """A node is started anew and does not hear a member that runs 10 of 20 A yet; an edit takes it out just then."""
    before, after, name = CASES[case]

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = fleet.add_host("m", before)
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.judges.append(NeverMore(fleet))
        fleet.cut("m", "a")
        host.kill()
        host.start()
        await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        edits = [Edit(action="whole", toml=format_topology(after))]
        answer = await fleet.within(host, host.up.node.apply(edits, expected_revision=None, holder="person"), deadline_s=20.0)
        assert not any("not heard" in warning for warning in answer.warnings), "it is known to be safe by then"
        await fleet.set(host, name, ASKED_A)
        await fleet.until(lambda: fleet.packs["b"].true_a == ASKED_A, within_s=2.0, because="sb has it alone")

    told(story)


def test_what_an_earlier_run_left_with_a_deaf_device_is_given_to_nobody_before_it_lets_go() -> None:
    """A node is killed and started anew; a device that lets go after 8 s does not answer, and is taken out of its sum."""

    async def story(fleet: Fleet) -> None:
        gone, other = fleet.add_pack("gone", hold_s=8.0), fleet.add_pack("other", hold_s=8.0)
        specs = pack_spec("gone", "gone"), pack_spec("other", "other")
        host = fleet.add_host("m", of(*specs, sum_spec("all", "gone", "other")))
        await ready(fleet)
        await asyncio.sleep(61.0)  # meters are written once a minute: who has one was there
        await fleet.set(host, "all", ASKED_A)
        fleet.judges.append(NeverMore(fleet))
        host.kill()
        gone.change(deaf=True)
        other.write(0.0)  # as the guard does with what it reaches
        host.start()
        await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        edits = [Edit(action="whole", toml=format_topology(of(*specs, sum_spec("all", "other"))))]
        await fleet.within(host, host.up.node.apply(edits, expected_revision=None, holder="person"), deadline_s=20.0)
        await fleet.until(lambda: host.up.node.status("all").commandable, within_s=3.0, because="the other one is looked at")
        await fleet.set(host, "all", ASKED_A)
        assert other.true_a == ASKED_A

    told(story)


def test_a_stub_of_nothing_is_taken_out_at_once() -> None:
    """A name is mistyped, and the stub that was put there a moment ago is taken out: nobody ever asked anything of it."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = fleet.add_host("m", FLAT)
        await ready(fleet)
        toml = format_topology(of(stub_spec("typo", "x", "b")))
        for edit in (Edit(action="add", toml=toml), Edit(action="remove", name="typo")):
            began_s = fleet.loop.time()
            await fleet.within(host, host.up.node.apply([edit], expected_revision=None, holder="person"))
            assert fleet.loop.time() - began_s < 0.5

    told(story)
