"""Telling a story to a simulated fleet: owners with a pack each, a controller over stubs of them."""

from collections.abc import Awaitable, Callable

from bosd.bal.spec import Topology
from bosd.fleet.timers import SessionTimers
from bosd.rpc.link_timers import LinkTimers
from tests.support.fleet.fleet import Fleet, Host, pack_spec, stub_spec, sum_spec
from tests.support.fleet.process_loop import run_processes, this_loop

LET_GO_S = 5.0
"""What a device that expires sooner is told within (bosd/bal/battery.py, `command_deadline_s`)."""
SAFE_WITHIN_S = 1.0 + 3.0 + 0.03 + LET_GO_S
"""max_command_age + lease + margin (1 % of the lease) + the longer of failsafe time and hold (control.md)."""
SLOW = SessionTimers(heartbeat_s=5.0, stale_s=15.0, lease_s=30.0, max_command_age_s=10.0)
"""A tenth of the beats, for stories that take hours."""


def told(story: Callable[[Fleet], Awaitable[None]], timers: SessionTimers | LinkTimers | None = None) -> None:
    """Run a story in a fleet of its own, to its end; no node met a programming error."""
    links = timers if isinstance(timers, LinkTimers) else LinkTimers(session=timers or SessionTimers())

    async def main() -> None:
        fleet = Fleet(this_loop(), 1, links)
        try:
            await story(fleet)
            fleet.check_bugs()
        finally:
            await fleet.close()

    run_processes(main())


def owners(fleet: Fleet, *names: str, hold_s: float | None = 2.0) -> list[str]:
    """Put owners there, each with a pack of its name as battery `b`; return the names of their stubs."""
    for name in names:
        fleet.add_pack(name, hold_s=hold_s)
        fleet.add_host(name, Topology(batteries=(pack_spec("b", name),), splitters=()))
    return [f"s{name}" for name in names]


def controller(fleet: Fleet, *names: str, host: str = "m") -> Host:
    """Put a node there with stubs of the owners' batteries, added up as `all`."""
    stubs = tuple(stub_spec(f"s{name}", name, "b") for name in names)
    total = sum_spec("all", *(stub.name for stub in stubs))
    return fleet.add_host(host, Topology(batteries=(*stubs, total), splitters=()))


async def ready(fleet: Fleet) -> None:
    """Start all and wait until all may be commanded."""
    fleet.start()
    await fleet.until(fleet.all_ready, within_s=10.0, because="all is ready")


def flows_a(fleet: Fleet, *names: str) -> list[float]:
    """Return what flows in these packs."""
    return [fleet.packs[name].true_a for name in names]
