"""The `[eebus]` section (eebus.md 3 row 0 and 5.3, the seed's table of keys, the issue's items 3, 5 and 7)."""

import tomllib
from pathlib import Path

import pytest

from bosd.__main__ import main
from bosd.config import parse_config
from bosd.config.eebus import EebusConfig, eebus_warnings

A, B = "a" * 40, "b" * 40
NEEDED = """
battery = "site"
vendor_code = "v"
device_brand = "b"
device_model = "m"
serial_number = "s"
"""
UNMANAGED = f"[eebus]\nmanage_eebus_grpc_api_binary = false{NEEDED}"
SITE = '[[battery]]\nname = "site"\nkind = "null"\nvoltage_v = 48.0\n'


def section(more: str = "", text: str = UNMANAGED) -> EebusConfig:
    """Return a good section."""
    config = parse_config(SITE + text + more)
    assert config.eebus is not None, config.eebus_fault
    assert config.eebus_fault == ""
    return config.eebus


def fault(more: str, text: str = UNMANAGED) -> str:
    """Return what is wrong with a section; the batteries are there all the same."""
    config = parse_config(SITE + text + more)
    assert config.eebus is None
    assert [spec.name for spec in config.topology.batteries] == ["site"]
    return config.eebus_fault


def test_without_a_section_there_is_nothing() -> None:
    """Neither a section nor a fault."""
    config = parse_config(SITE)
    assert (config.eebus, config.eebus_fault) == (None, "")


def test_defaults() -> None:
    """The seed's keys with its defaults, and the issue's own."""
    keys = section().keys
    expected = tomllib.loads("""
        eebus_service_port = 4715
        grpc_port = 50051
        failsafe_control_limit_W = 4200.0
        max_nominal_power_W = 32000.0
        profile = "spec"
        accept_unknown_ems = false
        heartbeat_timeout_s = 120.0
        init_timeout_s = 120.0
        recovery_window_s = 120.0
        failsafe_duration_s = 7200.0
        failsafe_duration_min_s = 7200.0
        failsafe_duration_max_s = 86400.0
        tick_s = 1.0
        announced_heartbeat_s = 60.0
        reconnect_delay_s = 5.0
        restart_delay_s = 5.0
        call_deadline_s = 5.0
        eebus_device_type = 13
    """)
    assert {key: getattr(keys, key) for key in expected} == expected
    assert (keys.eebus_device_categories, keys.eebus_entity_types, keys.autonomous_limit_W) == ((5,), (23,), None)
    assert str(keys.certificate_path) == "eebus/evse_cert"
    assert str(keys.private_key_path) == "eebus/evse_key"
    assert str(keys.eebus_grpc_api_binary_path) == "eebus_grpc_api"


def test_managed_is_the_default_and_needs_its_binary(tmp_path: Path) -> None:
    """A binary that is there and may be run; certificates are below the state directory unless they are absolute."""
    managed = f'[node]\nstate_dir = "{tmp_path}/state"\n' + UNMANAGED.replace("manage_eebus_grpc_api_binary = false", "")
    assert "eebus.eebus_grpc_api_binary_path: /usr/libexec/bosd/eebus_grpc_api: No such file" in fault("", managed)
    binary = tmp_path / "api"
    binary.write_text("#!/bin/sh\n")
    named = f'eebus_grpc_api_binary_path = "{binary}"\n'
    assert "chmod u+x" in fault(named, managed)
    binary.chmod(0o700)
    found = section(named, managed)
    assert found.binary == binary
    assert found.certificate == tmp_path / "state/eebus/evse_cert"
    own = f'{named}certificate_path = "{binary}/c"\nprivate_key_path = "{tmp_path}"\n'
    message = fault(own, managed)
    assert f"eebus.certificate_path: {binary}/c cannot be made" in message
    assert f"eebus.private_key_path: {tmp_path} is a directory" in message


@pytest.mark.parametrize(
    ("keys", "skis"),
    [
        (f'eebus_ems_ski = "{A}"', (A,)),
        (f'eebus_ems_ski = "{A.upper()}"', (A,)),
        (f'eebus_ems_ski_allowlist = " {B} ,\\t{A} "', (A, B)),
        (f'eebus_ems_ski_allowlist = "{A},{A},{A.upper()},"', (A,)),
        (f'eebus_ems_ski = "{A}"\neebus_ems_ski_allowlist = "{B},{A}"', (A, B)),
        (f'eebus_ems_ski = "{"aaaa " * 10}"', (A,)),
        ("accept_unknown_ems = true", ()),
        ("", ()),
    ],
)
def test_peers(keys: str, skis: tuple[str, ...]) -> None:
    """Case, blanks and repeats are normalised; none at all is valid, and inert."""
    assert section(keys).skis == skis


@pytest.mark.parametrize("ski", ["g" + "a" * 39, "a" * 39, "a" * 41])
def test_peers_that_are_none(ski: str) -> None:
    """An SKI is 40 hexadecimal digits."""
    assert f'"{ski}" has {len(ski)} characters, an SKI is 40 of 0-9 and a-f' in fault(f'eebus_ems_ski = "{ski}"')


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("grpc_port = 0", "eebus.grpc_port: 0 is not 1 to 65535"),
        ("eebus_service_port = 65536", "eebus.eebus_service_port: 65536 is not 0 to 65535"),
        ("failsafe_control_limit_W = -1", "eebus.failsafe_control_limit_W: -1 W is below 0"),
        ("autonomous_limit_W = -0.5", "eebus.autonomous_limit_W: -0.5 W is below 0"),
        ("tick_s = 0.0", "eebus.tick_s: 0 s is not above 0"),
        ("heartbeat_timeout_s = -1", "eebus.heartbeat_timeout_s: -1 s is not above 0"),
        ("heartbeat_timeout_s = nan", "eebus.heartbeat_timeout_s: expected a number in seconds"),
        ("failsafe_duration_min_s = 90000", "is above failsafe_duration_max_s (86400 s)"),
        ('profile = "sped"', 'eebus.profile: expected "spec" or "seed"'),
        ('use_case = "LPP"', "eebus.use_case: LPP cannot be served: the EEBUS service has no interface for it yet"),
        ('use_case = "MPC"', 'eebus.use_case: no such use case: "MPC"'),
        ("eebus_device_categories = []", "eebus.eebus_device_categories: is empty"),
        ("eebus_entity_types = [49]", "eebus.eebus_entity_types: 49 is not 1 to 48"),
        ("eebus_device_type = 0", "eebus.eebus_device_type: 0 is not 1 to 14"),
        ("grpc_prt = 5", 'eebus.grpc_prt: unknown key; did you mean "grpc_port"?'),
        ('manage_eebus = "x"', "eebus.manage_eebus: unknown key"),
    ],
)
def test_faults(line: str, said: str) -> None:
    """Each names its place, and what would be right."""
    assert said in fault(line)


@pytest.mark.parametrize("timer", ["heartbeat_timeout_s", "init_timeout_s", "recovery_window_s", "tick_s", "call_deadline_s"])
def test_timers_take_fractions_without_a_lower_bound(timer: str) -> None:
    """For trials."""
    assert getattr(section(f"{timer} = 0.001").keys, timer) == 0.001
    assert section("failsafe_duration_s = 0.5\nfailsafe_duration_min_s = 0").keys.failsafe_duration_min_s == 0.0


def test_all_faults_come_in_one_message() -> None:
    """Those of reading, of numbers, of peers and of what is missing."""
    text = '[eebus]\nmanage_eebus_grpc_api_binary = false\ngrpc_port = 0\ntick_s = "1s"\neebus_ems_ski = "x"\nvendor_code = " "\n'
    message = fault("", text)
    for said in (
        "8 faults",
        "eebus.battery: missing",
        "eebus.serial_number: missing",
        "eebus.tick_s: expected a number in seconds",
        "eebus.grpc_port: 0",
        "eebus.eebus_ems_ski",
        "eebus.vendor_code: is empty",
    ):
        assert said in message, message


def test_a_section_of_another_form() -> None:
    """No table, or several."""
    assert "expected one [eebus] section" in parse_config("eebus = 3").eebus_fault
    assert "expected one [eebus] section" in parse_config("[[eebus]]").eebus_fault


def test_warnings() -> None:
    """Of an entity that control boxes do not limit, of peers, of a failsafe that limits nothing, of a battery elsewhere."""
    topology = parse_config(SITE).topology
    assert eebus_warnings(None, topology) == ()
    assert eebus_warnings(section(f'eebus_ems_ski = "{A}"'), topology) == ()
    found = eebus_warnings(
        section("eebus_entity_types = [35]\nfailsafe_control_limit_W = 40000", UNMANAGED.replace("site", "other")), topology
    )
    assert len(found) == 4
    assert "not of 35" in found[0]
    assert "accept_unknown_ems" in eebus_warnings(section("accept_unknown_ems = true"), topology)[0]


def test_check_names_the_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`bosd check` fails on a section that `bosd run` would go without."""
    file = tmp_path / "bosd.toml"
    file.write_text(SITE + UNMANAGED + "grpc_port = 0\n")
    assert main(["check", "--config", str(file)]) == 1
    assert "eebus.grpc_port: 0 is not 1 to 65535" in capsys.readouterr().err
    file.write_text(SITE + UNMANAGED)
    assert main(["check", "--config", str(file)]) == 0
    assert "none is let in" in capsys.readouterr().err
