"""Many nodes on one cable, found by serial, and one that gets another address (satellites.md 4.10, first part).

Twelve in `make test`; BOSD_FLEET_NODES=32 for the scenario's number, which two cores need a minute for.
"""

import os
from contextlib import ExitStack

from bosd.v1 import battery_pb2 as pb
from tests.support.lan import HERE, MOVED, PORT, THERE, Lan
from tests.support.processes import START_S, Caller, Node, battery, pseudo, until

NODES = int(os.environ.get("BOSD_FLEET_NODES", "12"))
"""The one that moves included."""
FOUND_S = 15.0
"""Ready after the start, and after the move; the scenario's bound, which a busy machine may take four times of."""
BUSY = 4.0


def test_many_by_serial_and_one_that_moves(lan: Lan) -> None:
    """All ready; one is at another address, without an edit anywhere; nobody else notices."""
    names = [f"n{number:02}" for number in range(NODES)]
    *others, moving = names
    topology = "".join(battery(name, "network", node=name, remote_name="b") for name in names)

    def at(number: int, name: str, address: str) -> Node:
        return lan.node(name, lan.there, f"{address}:{PORT + number}", pseudo("b"))

    with ExitStack() as stack:
        nodes = {name: at(number, name, THERE) for number, name in enumerate(names)}
        for node in nodes.values():
            stack.callback(node.kill)
            node.launch()
        for node in nodes.values():
            until(lambda each=node: each.events("serving"), timeout_s=START_S + NODES, because=f"{node.name} serves")  # type: ignore[misc]
        home = stack.enter_context(lan.node("home", lan.here, f"{HERE}:{PORT}", topology))
        caller = stack.enter_context(Caller(home.target))

        def ready(*wanted: str) -> bool:
            return all(each.link == pb.LINK_READY and each.commandable for each in map(caller.status, wanted))

        until(lambda: ready(*names), timeout_s=BUSY * FOUND_S, because="all are found")
        assert all(caller.set(name, 1.0, 60.0).applied_current_a == 1.0 for name in names)

        nodes[moving].kill()
        lan.there.add(MOVED)
        moved = stack.enter_context(at(NODES, moving, MOVED))
        until(lambda: moved.events("session_ready"), timeout_s=BUSY * FOUND_S, because="it is found at its new address")
        until(lambda: ready(*names), timeout_s=BUSY * FOUND_S, because="all are ready again")
        assert {name: len(nodes[name].events("session_ready")) for name in others} == dict.fromkeys(others, 1)
        assert not [name for name in others if nodes[name].events("setpoint_ended")]
        assert len(home.events("peer_restarted")) == 1
