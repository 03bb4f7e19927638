"""What the demo is made of."""

import socket
from pathlib import Path

import pytest

from bosd.config.settings import parse_config
from bosd.demo.scenario import GARAGE, HOUSE, PACKS, claim_preferred_ports, configuration, free_addresses
from bosd.demo.story import STEPS


@pytest.mark.parametrize(
    ("node", "batteries", "partitions"), [(GARAGE, ["b1", "b2", "pack"], 2), (HOUSE, ["b3", "garage", "home"], 2)]
)
def test_both_configurations_are_good(node: str, batteries: list[str], partitions: int) -> None:
    """The daemon's own reader accepts them."""
    config = parse_config(configuration(node, {GARAGE: "127.0.0.1:4004", HOUSE: "127.0.0.1:4005"}, Path("/tmp/demo")))
    assert [battery.name for battery in config.topology.batteries] == batteries
    assert len(config.topology.splitters[0].partitions) == partitions


def test_packs_differ_in_size_and_state() -> None:
    """Three of each."""
    assert len({pack.capacity_ah for pack in PACKS}) == len({pack.soc for pack in PACKS}) == 3


def test_a_taken_port_is_left_alone() -> None:
    """The preferred port when it is free, another one when somebody listens on it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        addresses = free_addresses((("a", taken), ("b", 0)))
    assert addresses["a"] != f"127.0.0.1:{taken}"
    assert len(set(addresses.values())) == 2
    assert free_addresses((("a", taken),)) == {"a": f"127.0.0.1:{taken}"}


def test_one_demo_has_the_preferred_ports() -> None:
    """A second claim fails while the first one stands, unless a demo runs on this machine anyway."""
    first = claim_preferred_ports()
    assert claim_preferred_ports() is None
    if first is not None:
        first.close()


def test_a_disturbance_is_only_begun_when_it_can_be_over() -> None:
    """A cut of 14 s and 8 s of recovery fit into 40 s from 18 s on, not into 39 s; without an end everything fits."""
    cut = next(step for step in STEPS if step.unplug)
    assert (cut.at_s, cut.lasts_s) == (18.0, 14.0)
    assert cut.fits(18.0, 40.0)
    assert not cut.fits(18.0, 39.0)
    assert cut.fits(18.0, None)
