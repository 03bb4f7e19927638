"""What `bosd check` says of a configuration that is allowed."""

from pathlib import Path

import pytest

from bosd.config import hook_warnings, warnings
from bosd.config.topology_toml import parse_topology

FAR = """
[[battery]]
name = "far"
kind = "network"
target = "10.0.0.2:4004"
remote_name = "pack"

[[battery]]
name = "near"
kind = "null"
voltage_v = 13.2

[[battery]]
name = "all"
kind = "aggregator"
sources = ["near", "far"]
voltage_v = 13.2
voltage_tolerance_v = 1.0
"""
CHARGED = """
[[battery]]
name = "b1"
kind = "jbd"
port = "/dev/b1"
current_control = "external"
max_discharge_current_a = 5.0
max_charge_current_a = 5.0
"""
SPLIT = """
[[splitter]]
name = "s"
policy = "proportional"
source = "all"
partitions = [{ name = "one", fraction = 0.5, alone_charge_limit_w = 100.0 }, { name = "two", fraction = 0.5 }]
"""


def test_a_limit_over_batteries_of_other_nodes_wants_one_at_their_owners() -> None:
    """Through aggregators and partitions, for the direction that is limited (control.md, "Limits over a distance")."""
    (warning,) = warnings(parse_topology(FAR + "alone_discharge_limit_w = 500.0\n"))
    assert warning == (
        'battery[2] "all".alone_discharge_limit_w: it ends where other nodes do not hear this one: set alone_discharge_limit_w '
        "at the owners of far (pack at 10.0.0.2:4004), too, or their bookings and safe values are not limited then"
    )
    (warning,) = warnings(parse_topology(FAR + SPLIT))
    assert warning.startswith('splitter[0].partitions "one".alone_charge_limit_w: ')
    assert "far (pack at 10.0.0.2:4004)" in warning


def test_what_rests_on_no_other_node_wants_no_word() -> None:
    """A limit over this node's own batteries holds by itself, and batteries without a limit are nobody's budget."""
    near = FAR.replace('["near", "far"]', '["near"]') + "alone_discharge_limit_w = 500.0\n"
    assert warnings(parse_topology(near)) == ()
    assert warnings(parse_topology(FAR)) == ()


def test_a_grid_operators_limit() -> None:
    """Over other nodes it wants alone limits at their owners, and anywhere an efficiency."""
    alone, efficiency = warnings(parse_topology(FAR), limited=["all"])
    assert alone.startswith("all: it is limited by the grid operator and rests on other nodes: set alone_charge_limit_w")
    assert "far (pack at 10.0.0.2:4004)" in alone
    assert "efficiency is left at 1.0" in efficiency
    (only,) = warnings(parse_topology(FAR), limited=["near"])
    assert only == efficiency.replace("all:", "near:")
    assert len(warnings(parse_topology(FAR + "efficiency = 0.92\n"), limited=["all"])) == 1
    assert warnings(parse_topology(FAR), limited=["far"])[0].startswith("far: ")


def test_a_meter_below_a_partition_does_not_count_for_it() -> None:
    """It measures what the other partitions do, too: the efficiency is wanted all the same, and the whole has its meter."""
    meter = '\n[[battery]]\nname = "m"\nkind = "null"\nvoltage_v = 230.0\n'
    metered = FAR + 'meter = "m"\n' + meter + SPLIT.replace(", alone_charge_limit_w = 100.0", "")
    (_, efficiency) = warnings(parse_topology(metered), limited=["one"])
    assert efficiency.startswith("one: it is limited by the grid operator, and efficiency is left at 1.0")
    (_,) = warnings(parse_topology(metered), limited=["all"])
    (_,) = warnings(parse_topology(metered.replace('meter = "m"', "efficiency = 0.9")), limited=["one"])


@pytest.mark.parametrize(
    ("keys", "most_v", "said"),
    [
        ("voltage_max_v = 14.6", 14.7, "14.7 V is above the battery's voltage_max_v, 14.6 V"),
        ('chemistry = "lfp"', 14.8, "3.70 V for each of 4 cells in series, which lfp is charged to 3.65 V: 14.60 V at most"),
        ('chemistry = "nmc"', 17.0, "4.25 V for each of 4 cells in series, which nmc is charged to 4.20 V: 16.80 V at most"),
        ("voltage_max_v = 14.6", 14.6, ""),
        ('chemistry = "lfp"', 14.6, ""),
        ('chemistry = "nmc"', 12.6, ""),
        ("", 60.0, ""),
    ],
)
def test_a_supply_that_goes_beyond_its_pack(keys: str, most_v: float, said: str) -> None:
    """Against what the battery's table says of its voltage; against whole numbers of cells where it says the chemistry alone."""
    regulator = f'{{ kind = "rd6006", port = "/dev/s", max_current_a = 5.0, max_voltage_v = {most_v} }}'
    found = warnings(parse_topology(CHARGED + f"{keys}\nregulator = {regulator}\n"))
    assert [warning.partition(": ")[0] for warning in found] == (['battery[0] "b1".regulator.max_voltage_v'] if said else [])
    assert all(said in warning for warning in found)


def test_a_hook_that_cannot_be_started(tmp_path: Path) -> None:
    """What is not there, is no file or may not be executed is said before the first event, and not what may."""
    program = tmp_path / "notify"
    assert hook_warnings([]) == ()
    for why in ("does not exist", "may not be executed", ""):
        found = hook_warnings([str(program), "--urgent"])
        assert [warning.startswith(f"hooks.command: {program} {why}") for warning in found] == ([True] if why else [])
        if program.exists():
            program.chmod(0o755)
        program.touch()
    (directory,) = hook_warnings([str(tmp_path)])
    assert directory.startswith(f"hooks.command: {tmp_path} is no file")
