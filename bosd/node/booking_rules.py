"""What may be booked: checked when it is booked; when it runs, present limits clamp it (bal.md, "Schedules")."""

from collections.abc import Mapping

from bosd.bal.battery import Battery
from bosd.bal.graph import Graph
from bosd.bal.schedule import Schedule
from bosd.bal.spec import NetworkSpec, Topology
from bosd.bal.status import BatteryStatus
from bosd.errors import (
    BatteryInUseError,
    CurrentOutOfRangeError,
    NotAllowedError,
    StoppedError,
    UnavailableError,
    UnsupportedError,
)
from bosd.node.links import NetworkLeaf
from bosd.node.requests import SLACK, check_free

NODE_PREFIX = "node:"
"""What the name of an asker begins with that is another node."""


def check_bookable(battery: Battery, holder: str) -> None:
    """Raise BatteryInUseError for a source of another battery, NotAllowedError where its owner takes no such bookings.

    A stop that stands at a stub is not known to its owner yet, who would run the booking: StoppedError.
    """
    check_free(battery)
    if battery.stopped and isinstance(battery, NetworkLeaf):
        raise StoppedError(
            f"{battery.name} is stopped here, which its owner does not know yet: release it first", battery=battery.name
        )
    allowed = battery.spec.bookings
    if allowed == "none":
        raise NotAllowedError(f'{battery.name} takes no bookings (bookings = "none")', name=battery.name, rule="bookings")
    if allowed == "local" and holder.startswith(NODE_PREFIX):
        raise NotAllowedError(
            f'{battery.name} takes no bookings of other nodes (bookings = "local"), {holder} is one',
            name=battery.name,
            rule="bookings",
        )


def check_current(status: BatteryStatus, current_a: float) -> None:
    """Check a booking against the ideal limits of `status`.

    Raises UnsupportedError for a battery that cannot follow a set point, UnavailableError while its ideal limits are unknown,
    CurrentOutOfRangeError with the bounds.
    """
    if not status.controllable:
        raise UnsupportedError(f"{status.name} cannot follow a set point: {status.reason}", name=status.name)
    if status.ideal_max_discharge_current_a is None or status.ideal_max_charge_current_a is None:
        raise UnavailableError(
            f"the ideal limits of {status.name} are not known yet ({status.reason or 'no sample'}): book when they are",
            name=status.name,
        )
    lower_a, upper_a = 0.0 - status.ideal_max_charge_current_a, status.ideal_max_discharge_current_a
    if not lower_a * SLACK <= current_a <= upper_a * SLACK:
        raise CurrentOutOfRangeError(
            f"{status.name} can ideally do {lower_a:g} to {upper_a:g} A, booked were {current_a:g} A",
            name=status.name,
            asked_a=current_a,
            lower_a=lower_a,
            upper_a=upper_a,
        )


def check_kept(topology: Topology, schedules: Mapping[str, Schedule]) -> None:
    """Raise BatteryInUseError, bookings listed, if `topology` puts a booked battery in use, lacks it or gives it away."""
    graph = Graph(topology)
    stubs = {spec.name for spec in topology.batteries if isinstance(spec, NetworkSpec)}
    for name, schedule in schedules.items():
        if name not in graph.kinds:
            _refuse(f"{name} would be gone", name, schedule)
        elif graph.users[name]:
            _refuse(f"{name} would be in use by {', '.join(graph.users[name])}", name, schedule)
        elif name in stubs:
            _refuse(f"{name} would belong to another node", name, schedule)


def _refuse(why: str, name: str, schedule: Schedule) -> None:
    listed = ", ".join(f"{each.number} ({each.current_a:g} A)" for each in schedule.bookings[:20])
    raise BatteryInUseError(
        f"{why}, but it is booked: {listed}; cancel that first",
        name=name,
        bookings=",".join(str(each.number) for each in schedule.bookings),
    )
