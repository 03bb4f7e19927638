"""The configuration file: defaults, and every fault with its place."""

from pathlib import Path

import pytest

from bosd.bal.spec import AggregatorSpec, JbdSpec, NullSpec, PseudoSpec
from bosd.config import NodeConfig, load_config, parse_config
from bosd.config.settings import StoreConfig
from bosd.errors import ConfigError

WHOLE = """
[node]
name = "cellar"
listen = ["127.0.0.1:4004", "unix:/run/bosd/bosd.sock", "[::1]:0"]
state_dir = "/var/lib/bosd"
default_setpoint_ttl_s = 30
max_setpoint_ttl_s = 600.5
trust_clock = true

[store]
url = "sqlite"
audit_retention_days = 30
audit_max_mib = 8.5

[[battery]]
name = "b1"
kind = "jbd"
port = "/dev/ttyUSB0"
max_discharge_current_a = 60
max_charge_current_a = 40.0
current_control = "external"
regulator = { kind = "simulated", port = "/run/load" }

[[battery]]
name = "p"
kind = "pseudo"
voltage_v = 48.0
charge_ah = 5
capacity_ah = 10
max_discharge_current_a = 6
max_charge_current_a = 4

[[battery]]
name = "agg"
kind = "aggregator"
sources = ["b1", "p"]
voltage_v = 48
voltage_tolerance_v = 4

[[splitter]]
name = "sp"
policy = "proportional"
source = "agg"
partitions = [{ name = "sp1", fraction = 0.5 }, { name = "sp2", fraction = 0.5, min_soc = 0.2 }]
"""

AT_THE_OWNER = "is set at the node that owns the battery, which alone knows whether it is heard there"


def faults_of(text: str) -> list[str]:
    """The lines of the one error that a text gives."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "bosd.toml")
    message = caught.value.message
    if int(caught.value.metadata["faults"]) == 1:
        return [message.removeprefix("bosd.toml: ")]
    return [line.strip() for line in message.splitlines()[1:]]


def battery(line: str, *, kind: str = "jbd") -> str:
    """A sound pack, or another kind without its keys, with one line more."""
    port = 'port = "/dev/ttyUSB0"\n' if kind == "jbd" else ""
    return f'[[battery]]\nname = "b"\nkind = "{kind}"\n{port}{line}\n'


def test_a_whole_file() -> None:
    """Every section and key of this version arrives as a value; integers become amperes and volts."""
    config = parse_config(WHOLE, "bosd.toml")
    assert config.node == NodeConfig(
        name="cellar",
        listen=("127.0.0.1:4004", "unix:/run/bosd/bosd.sock", "[::1]:0"),
        state_dir=Path("/var/lib/bosd"),
        default_setpoint_ttl_s=30.0,
        max_setpoint_ttl_s=600.5,
        trust_clock=True,
    )
    assert config.store == StoreConfig(url="sqlite", audit_retention_days=30.0, audit_max_mib=8.5)
    pack, pseudo, aggregate = config.topology.batteries
    assert isinstance(pack, JbdSpec)
    assert pack.regulator is not None
    assert (pack.max_discharge_current_a, pack.refresh_period_s, pack.baud, pack.regulator.port) == (60.0, 1.0, 9600, "/run/load")
    assert isinstance(pseudo, PseudoSpec)
    assert isinstance(aggregate, AggregatorSpec)
    assert aggregate.sources == ("b1", "p")
    assert isinstance(aggregate.voltage_v, float)
    assert [part.min_soc for part in config.topology.splitters[0].partitions] == [0.0, 0.2]


def test_an_empty_file_is_a_node_with_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is required; the service manager's state directory counts, its first where there are several."""
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/bosd:/var/lib/other")
    node = parse_config("").node
    assert (node.listen, node.state_dir) == (("127.0.0.1:4004",), Path("/var/lib/bosd"))
    assert (node.default_setpoint_ttl_s, node.max_setpoint_ttl_s, node.trust_clock) == (60.0, 3600.0, False)
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("HOME", "/home/me")
    assert parse_config("").node.state_dir == Path("/home/me/.local/state/bosd")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[node]\nnam = "x"', 'node.nam: unknown key; did you mean "name"?'),
        ("[node]\nname = 5", 'node.name: expected text, got 5; write "5"'),
        (
            '[node]\nname = "a b"',
            "node.name: 'a b' is no name: a name is 1 to 63 of ASCII letters, digits, _ - . and ', not beginning with - or .",
        ),
        ('[node]\nlisten = "127.0.0.1:1"', 'node.listen: expected an array, got "127.0.0.1:1"; write ["127.0.0.1:1"]'),
        ("[node]\nlisten = []", "node.listen: is empty: a node listens somewhere"),
        ('[node]\nlisten = ["4004"]', "node.listen[0]: '4004' is no address: write 127.0.0.1:4004 or unix:PATH"),
        (
            '[node]\nlisten = ["127.0.0.1:70000"]',
            "node.listen[0]: '127.0.0.1:70000' is no address: write 127.0.0.1:4004 or unix:PATH",
        ),
        ('[node]\nlisten = ["unix:"]', "node.listen[0]: 'unix:': a socket's path has 1 to 107 bytes"),
        ('[node]\nlisten = ["[::1]:5", "[::1]:5"]', "node.listen[1]: '[::1]:5' is named twice"),
        ("[node]\ntrust_clock = 1", "node.trust_clock: expected true or false, got 1"),
        ('[node]\nmax_setpoint_ttl_s = "2 h"', 'node.max_setpoint_ttl_s: expected a number in seconds, got "2 h"; write 7200.0'),
        (
            "[node]\nmax_setpoint_ttl_s = 10",
            "node.default_setpoint_ttl_s: 60.0 is not above 0 and at most max_setpoint_ttl_s (10.0)",
        ),
        ("node = 5", "node: expected a [node] section, got 5"),
        ('[store]\nurl = "postgresql://db"', 'store.url: "postgresql://db" is not supported by this version; write "sqlite"'),
        ("[store]\naudit_retention_days = 0", "store.audit_retention_days: 0.0 is not 1 to 36525 days"),
        ("[store]\naudit_max_mib = 5000", "store.audit_max_mib: 5000.0 is not 1 to 4096 MiB"),
        ('[store]\naudit_max_mib = "64"', 'store.audit_max_mib: expected a number, got "64"; write 64.0'),
        ("[mqtt]\nurl = 1", "[mqtt]: not supported by this version; remove it"),
        ('[[node]]\nserial = "x"', "[[node]]: not supported by this version; remove it"),
        ('[[grant]]\nwho = "x"', "[[grant]]: not supported by this version; remove it"),
        ("[[batery]]", 'batery: unknown section; did you mean "battery"?'),
        ("[battery]", "battery: expected [[battery]] tables, got a table; write [[battery]]"),
        ("battery = [1]", "battery[0]: expected a table, got 1"),
        (
            '[[battery]]\nname = "b"',
            'battery[0] "b".kind: missing; known here: aggregator, csv, jbd, network, null, pseudo, sonnen',
        ),
        (battery("", kind="psuedo"), 'battery[0] "b".kind: no such kind: "psuedo"; did you mean "pseudo"?'),
        (battery("prot = 1"), 'battery[0] "b".prot: unknown key; did you mean "port"?'),
        (
            battery("alone_charge_limit_w = -1"),
            'battery[0] "b".alone_charge_limit_w: -1.0 is negative or not finite; it is a magnitude, 0 or above',
        ),
        (battery("voltage_max_v = 0"), 'battery[0] "b".voltage_max_v: 0.0 is not above 0'),
        (
            '[[battery]]\nname = "b"\nkind = "network"\ntarget = "hut:4004"\nremote_name = "b"\nalone_charge_limit_w = 1\n',
            f'battery[0] "b".alone_charge_limit_w: {AT_THE_OWNER}',
        ),
        (battery('node = "m"'), 'battery[0] "b".node: not supported by this version; remove it'),
        (battery("baud = 9600.0"), 'battery[0] "b".baud: expected an integer, got 9600.0'),
        (
            battery('refresh = "actve"'),
            'battery[0] "b".refresh: expected "active" or "lazy", got "actve"; did you mean "active"?',
        ),
        (
            battery('regulator = "x"'),
            'battery[0] "b".regulator: expected a table, got "x"; write { kind = "…", port = "…" }',
        ),
        (battery("max_soc = true"), 'battery[0] "b".max_soc: expected a ratio 0 to 1, got true'),
        (battery('max_soc = "90%"'), 'battery[0] "b".max_soc: expected a ratio 0 to 1, got "90%"; write 0.9'),
        (
            battery("voltage_v = nan", kind="null"),
            'battery[0] "b".voltage_v: expected a number in volts, got nan: it must be finite',
        ),
        (
            battery("voltage_v = -inf", kind="null"),
            'battery[0] "b".voltage_v: expected a number in volts, got -inf: it must be finite',
        ),
        (
            battery('voltage_v = "48 V"', kind="null"),
            'battery[0] "b".voltage_v: expected a number in volts, got "48 V"; write 48.0',
        ),
        (
            battery('voltage_v = "48000 mV"', kind="null"),
            'battery[0] "b".voltage_v: expected a number in volts, got "48000 mV"; write 48.0',
        ),
        (battery('voltage_v = "48 A"', kind="null"), 'battery[0] "b".voltage_v: expected a number in volts, got "48 A"'),
        (
            battery(f"voltage_v = {'9' * 400}", kind="null"),
            'battery[0] "b".voltage_v: expected a number in volts, got an integer too large',
        ),
        (battery("", kind="null"), 'battery[0] "b".voltage_v: missing'),
        (
            battery("max_charge_current_a = -1"),
            'battery[0] "b".max_charge_current_a: -1.0 is negative or not finite; it is a magnitude, 0 or above',
        ),
    ],
)
def test_one_fault(text: str, fault: str) -> None:
    """A fault has its place, what was expected, what is there, and where it can, what to write."""
    assert faults_of(text) == [fault]


@pytest.mark.parametrize("address", ["0.0.0.0:4004", "[::]:4004", "192.168.1.5:4004", "node.example:4004", "127.evil.example:1"])
def test_a_listener_off_loopback_is_refused(address: str) -> None:
    """Without mutual TLS a node serves loopback and its socket alone."""
    (fault,) = faults_of(f'[node]\nlisten = ["{address}"]')
    assert "is not loopback and needs mutual TLS" in fault


@pytest.mark.parametrize("section", ["mqtt", "web", "metering", "fuelgauge"])
def test_sections_of_other_versions_are_not_ignored(section: str) -> None:
    """What this version cannot do it does not pretend to have read."""
    assert faults_of(f"[{section}]") == [f"[{section}]: not supported by this version; remove it"]


def test_all_faults_come_at_once() -> None:
    """One error lists everything: sections, keys, values, graph; a battery that is faulty is not also called missing."""
    text = """
    [web]
    [[battery]]
    name = "b1"
    kind = "null"
    voltage_v = "48 V"
    [[battery]]
    name = "a"
    kind = "aggregator"
    sources = ["b1", "b9"]
    voltage_v = 48
    voltage_tolerance_v = 1
    [[battery]]
    name = "c"
    kind = "aggregator"
    sources = ["d"]
    voltage_v = 48
    voltage_tolerance_v = 1
    [[battery]]
    name = "d"
    kind = "aggregator"
    sources = ["c"]
    voltage_v = 48
    voltage_tolerance_v = 1
    [[splitter]]
    name = "sp"
    policy = "auction"
    source = "a"
    partitions = [{ name = "a", fraction = 1 }, { name = "p", fraction = 0.5 }]
    """
    assert faults_of(text) == [
        "[web]: not supported by this version; remove it",
        'battery[0] "b1".voltage_v: expected a number in volts, got "48 V"; write 48.0',
        (
            'splitter[0] "sp".partitions: charge fractions add up to 1.5, capacity fractions add up to 1.5, '
            "current fractions add up to 1.5; the fractions of each kind add up to 1"
        ),
        'partition "a".name: the name "a" is taken by a battery',
        'splitter "sp".policy: no policy "auction"; this version has: proportional, reserved, tranched',
        'battery "a".sources[1]: no battery "b9", which "a" rests on',
        '"c": a battery would rest on itself: c -> d -> c',
    ]


def test_very_many_faults_are_counted() -> None:
    """The message is bounded: 50 faults, then a number."""
    lines = faults_of("".join(f"x{index} = 1\n" for index in range(60)))
    assert len(lines) == 51
    assert lines[-1] == "and 10 more"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = 1\nb = = 2", "not TOML: Invalid value (at line 2, column 5)"),
        ("a = " + "[" * 5000, "not TOML: tables or arrays lie too deep in each other"),
        ("a = " + "1" * 5000, "not TOML: Exceeds the limit (4300 digits)"),
        (".".join("a" * 100_000) + " = 1", "a dotted key has more than 32 parts"),
        ("#" * 5_000_000, "5000000 characters; at most 4194304 are read"),
    ],
)
def test_text_that_is_no_toml(text: str, reason: str) -> None:
    """Syntax faults have line and column; hostile text is refused before it costs time."""
    (fault,) = faults_of(text)
    assert fault.startswith(reason)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """The error has the path and the system's reason."""
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file or directory"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    """A byte that is not UTF-8 is named with its line."""
    path = tmp_path / "bosd.toml"
    path.write_bytes(b"# one\nname = '\xff'\n")
    with pytest.raises(ConfigError, match="byte 0xff in line 2 is not UTF-8"):
        load_config(path)


def test_a_file_is_loaded(tmp_path: Path) -> None:
    """A file gives what its text gives, and remembers where it came from."""
    path = tmp_path / "bosd.toml"
    path.write_text('[[battery]]\nname = "n"\nkind = "null"\nvoltage_v = 48\n')
    config = load_config(path)
    assert config.topology.batteries == (NullSpec(name="n", voltage_v=48.0),)
    assert config.place == str(path)


def test_hooks() -> None:
    """All three events by default; nothing is run without the section."""
    assert parse_config("").hooks.command == ()
    hooks = parse_config('[hooks]\ncommand = ["/usr/bin/notify", "-u"]\n').hooks
    assert (hooks.command, hooks.events, hooks.timeout_s) == (
        ("/usr/bin/notify", "-u"),
        ("UNAVAILABLE", "PROTECTION", "NOT_FOLLOWED"),
        10.0,
    )


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ("", "hooks.command: write the program and its arguments"),
        ('command = ["notify"]', 'hooks.command: "notify" is no absolute path'),
        ('command = ["/n"]\nevents = []', "hooks.events: is empty"),
        ('command = ["/n"]\nevents = ["FULL"]', "hooks.events[0]: expected"),
        ('command = ["/n"]\ntimeout_s = 0', "hooks.timeout_s: 0.0 lies outside"),
        ('command = "/n"', "hooks.command: expected an array"),
    ],
)
def test_faults_of_hooks(section: str, complaint: str) -> None:
    """A hook that cannot run as written is refused with its place."""
    with pytest.raises(ConfigError) as refusal:
        parse_config(f"[hooks]\n{section}\n")
    assert complaint in refusal.value.message
    assert refusal.value.metadata["faults"] == "1", "and of nothing that is right"


def test_security_names_files_grants_and_peers() -> None:
    """Paths, and who is granted what."""
    text = """
[security]
ca = "/etc/bosd/tls/ca.crt"
certificate = "/etc/bosd/tls/bosd.crt"
key = "/etc/bosd/tls/bosd.key"
[security.grants]
"tenant:anna" = ["b"]
[security.peers]
"192.168.1.20:4004" = "home"
"""
    security = parse_config(f'[node]\nlisten = ["0.0.0.0:4004"]\n{text}').security
    assert security is not None
    assert (security.grants, security.peers) == ({"tenant:anna": ("b",)}, {"192.168.1.20:4004": "home"})
    assert (security.revoked, security.loopback_plain) == (None, False)


def test_security_names_its_faults() -> None:
    """Each with its place and what to write."""
    text = """
[node]
state_dir = "/var/lib/bosd"
[security]
ca = "/ca"
certificate = "/crt"
key = "/var/lib/bosd/key"
authority = "/var/lib/bosd/ca"
[security.grants]
"viewer:v" = ["b"]
"node:hut" = "b"
[security.peers]
nowhere = "home"
"""
    grants, names, peers, key, authority = faults_of(text)
    assert grants.startswith('security.grants."viewer:v": write ROLE:NAME')
    assert names.startswith('security.grants."node:hut": expected names of batteries')
    assert peers.startswith('security.peers."nowhere": write the address of a node')
    assert key.startswith("security.key: lies in the state directory /var/lib/bosd, which every backup copies")
    assert authority.startswith("security.authority: lies in the state directory /var/lib/bosd")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lease_s = 0", "fleet.lease_s: 0.0 is not above 0 and at most 60 s"),
        ("lease_s = 61", "fleet.lease_s: 61.0 is not above 0 and at most 60 s"),
        ("heartbeat_s = 1.0", "fleet.heartbeat_s: 1.0 is not above 0 and at most a quarter of lease_s (3.0)"),
        ("stale_s = 3.0", "fleet.stale_s: 3.0 is not between heartbeat_s (0.5) and lease_s (3.0)"),
        ("max_command_age_s = 0.5", "fleet.max_command_age_s: 0.5 is not between heartbeat_s (0.5) and lease_s (3.0)"),
    ],
)
def test_times_of_sessions_fit_together(text: str, fault: str) -> None:
    """A beat that comes too seldom for its lease would fence a healthy node (satellites.md 3.2)."""
    assert faults_of(f"[fleet]\n{text}") == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('required = ["a", "a"]', "fleet.required[1]: 'a' is named twice"),
        ('required = [""]', "fleet.required[0]: is empty: name a node"),
        (
            "announce = true",
            "fleet.announce: there is nothing to announce: this node listens on loopback and sockets alone",
        ),
        ("addresses = 1", "fleet.addresses: expected a table, got 1"),
        (
            'addresses = { hut = "hut" }',
            'fleet.addresses."hut": expected where that node listens, such as 192.168.1.20:4004, got "hut"',
        ),
        (
            'addresses = { hut = "h:0" }',
            'fleet.addresses."hut": expected where that node listens, such as 192.168.1.20:4004, got "h:0"',
        ),
        ("anounce = true", 'fleet.anounce: unknown key; did you mean "announce"?'),
    ],
)
def test_a_fleet_is_named_as_it_is(text: str, fault: str) -> None:
    """Each fault with its place and what would be right."""
    assert faults_of(f"[fleet]\n{text}") == [fault]


def test_a_fleet_that_is_right() -> None:
    """Required nodes, and where those are that are named by serial."""
    fleet = parse_config('[fleet]\nrequired = ["hut"]\naddresses = { hut = "192.0.2.1:4004" }').fleet
    assert (fleet.required, fleet.addresses, fleet.announce) == (("hut",), {"hut": "192.0.2.1:4004"}, None)
