"""A node whose machine has no address yet: the cable is pulled, or the network comes later than the daemon."""

import pytest

from bosd.rpc.listening import is_here
from tests.support.lan import HERE, PORT, THERE, Lan
from tests.support.processes import battery, pseudo, until


def test_a_board_is_started_without_its_address(lan: Lan) -> None:
    """It runs its batteries and says where it is not reached; with the address it is reached, without a restart."""
    far = battery("far", "network", node="hut", remote_name="b")
    lan.there.remove(THERE)
    with (
        lan.node("home", lan.here, f"{HERE}:{PORT}", far) as home,
        lan.node("hut", lan.there, f"{THERE}:{PORT}", pseudo("b")) as hut,
    ):
        assert hut.ask("set", "b", "2")["applied_current_a"] == 2.0
        (said,) = until(lambda: [each for each in hut.ask("errors") if each["type"] == "ADDRESS_MISSING"])
        assert said["message"] == f"not reached at {THERE}:{PORT}: this machine does not have it"
        hut.ask("set", "b", "none")
        lan.there.add(THERE)
        until(lambda: home.status("far")["commandable"], because="far is found")
        until(lambda: all(each["type"] != "ADDRESS_MISSING" for each in hut.ask("errors")))


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1:4004", True),
        ("0.0.0.0:4004", True),
        ("[::]:4004", True),
        ("localhost:0", True),
        ("unix:bosd.sock", True),
        ("nonsense", True),  # whoever listens says what is wrong with it
        ("203.0.113.7:4004", False),
        ("no-such-host.invalid:4004", False),
    ],
)
async def test_what_a_machine_has(address: str, here: bool) -> None:
    """Its own addresses, any of them, sockets; not those of the documentation, nor a name that is none (RFC 5737, RFC 2606)."""
    assert await is_here(address) is here
