"""Connections per certificate, by the calls over them."""

import socket

import pytest

from bosd.errors import NoResourcesError
from bosd.rpc.connections import LOOK_S, MAX_CONNECTIONS_PER_PEER, Connections, address_of, hang_up, open_connections

ANNA = "tenant:anna"


def test_so_many_and_no_more() -> None:
    """One more is refused while all of them are there; another bearer has its own, and what was closed counts no more."""
    peers = [f"ipv4:10.0.0.1:{number}" for number in range(MAX_CONNECTIONS_PER_PEER)]
    opened = {("10.0.0.1", number) for number in range(MAX_CONNECTIONS_PER_PEER)}
    connections = Connections(lambda: opened)
    for peer in peers:
        connections.begin(ANNA, peer, 0.0)
    with pytest.raises(NoResourcesError, match=f"{ANNA} has {MAX_CONNECTIONS_PER_PEER} connections"):
        connections.begin(ANNA, "ipv4:10.0.0.1:5000", 0.0)
    connections.begin("admin:root", "ipv4:10.0.0.1:5001", 0.0)
    connections.begin(ANNA, peers[7], 0.0)  # a second call over one that is known
    for peer in (*peers, peers[7]):
        connections.end(ANNA, peer)
    with pytest.raises(NoResourcesError):
        connections.begin(ANNA, "ipv4:10.0.0.1:5000", LOOK_S)
    opened.remove(("10.0.0.1", 7))
    with pytest.raises(NoResourcesError):
        connections.begin(ANNA, "ipv4:10.0.0.1:5000", 1.5 * LOOK_S)  # looked at a moment ago
    connections.begin(ANNA, "ipv4:10.0.0.1:5000", 2.0 * LOOK_S)
    with pytest.raises(NoResourcesError):
        connections.begin(ANNA, peers[7], 3.0 * LOOK_S)


def test_who_always_has_too_many_keeps_nobody_else_out() -> None:
    """Anna asks for more each half a second, so that hers are looked at; what the admin closed counts no more all the same."""
    opened = {("10.0.0.1", number) for number in range(MAX_CONNECTIONS_PER_PEER)}
    connections = Connections(lambda: opened)
    for number in range(MAX_CONNECTIONS_PER_PEER):
        connections.begin(ANNA, f"ipv4:10.0.0.1:{number}", 0.0)
        connections.begin("admin:root", f"ipv4:10.0.0.2:{number}", 0.0)
        connections.end("admin:root", f"ipv4:10.0.0.2:{number}")
    with pytest.raises(NoResourcesError):
        connections.begin(ANNA, "ipv4:10.0.0.1:5000", LOOK_S)
    connections.begin("admin:root", "ipv4:10.0.0.2:5000", 1.5 * LOOK_S)


def test_the_zone_of_a_link_local_address_is_no_part_of_it() -> None:
    """Grpcio says the number of the interface behind it, `getpeername` of Python nothing: they are the same connection."""
    assert address_of("ipv6:%5Bfe80::fc:ff:fe00:1%254%5D:36314") == ("fe80::fc:ff:fe00:1", 36314)


@pytest.mark.parametrize(
    ("family", "host", "named"), [(socket.AF_INET, "127.0.0.1", "ipv4:127.0.0.1"), (socket.AF_INET6, "::1", "ipv6:%5B::1%5D")]
)
def test_a_connection_is_shut_by_the_name_that_grpcio_gives_it(family: socket.AddressFamily, host: str, named: str) -> None:
    """Its peer reads the end; another one goes on; what is no such name, or not there any more, is none."""
    with socket.create_server((host, 0), family=family) as listener:
        clients = [socket.create_connection(listener.getsockname()[:2], timeout=5.0) for _ in range(2)]
        servers = [listener.accept()[0] for _ in clients]
        peer = f"{named}:{clients[0].getsockname()[1]}"
        assert address_of(peer) in open_connections()
        assert hang_up(peer)
        assert clients[0].recv(1) == b""
        servers[1].sendall(b"x")
        assert clients[1].recv(1) == b"x"
        for each in (*clients, *servers):
            each.close()
    assert not hang_up(peer)
    assert not hang_up("unix:")
