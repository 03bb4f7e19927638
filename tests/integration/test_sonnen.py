"""A Sonnen battery and a recording in a real daemon: HTTP to a simulator of its own process, with the guard beside it."""

import argparse
import json
import re
import signal
import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bosd.__main__ import main
from bosd.drivers.sonnen.api import SonnenApi
from bosd.drivers.sonnen.simulator import program
from bosd.errors import UnavailableError
from bosd.safeguard.report import read_report
from bosd.v1 import battery_pb2 as pb
from tests.support.processes import BOSD, CALL_S, START_S, Caller, Node, Program, battery, until
from tests.support.sonnen import TOKEN, token_file

NO_FLOWS = {"consumption_w": 0.0, "production_w": 0.0}
"""A house that wants nothing: what flows was commanded."""


class Home(Program):
    """`bosd sim sonnen`, ten simulated seconds a second."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.token_file = token_file(directory)
        self.control = directory / "sonnen.ctl"
        arguments = ["--token-file", str(self.token_file), "--control", str(self.control), "--rate", "10", *options]
        super().__init__("sonnen", [*BOSD, "sim", "sonnen", *arguments], directory / "sonnen.log")

    def __enter__(self) -> Self:
        self.launch()
        until(lambda: "ready" in self.output() or not self.running, timeout_s=START_S, because="the battery is ready")
        return self

    @property
    def url(self) -> str:
        """Where it serves."""
        found = re.search(r"ready url=(\S+)", self.output())
        assert found is not None, self.tail()
        return found[1]

    def tell(self, op: str, **arguments: object) -> dict[str, Any]:
        """Send one request to the control socket; return the answer, which is a good one."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CALL_S)
            connection.connect(str(self.control))
            connection.sendall(json.dumps({"op": op, **arguments}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer: dict[str, Any] = json.loads(answers.readline())
        assert answer["ok"] is True, answer
        return answer

    @property
    def state(self) -> dict[str, Any]:
        """What it does now."""
        state: dict[str, Any] = self.tell("get")["state"]
        return state

    def toml(self, **keys: object) -> str:
        """Return the table of this battery, which takes 15 A either way."""
        limits = {"current_control": "direct", "max_discharge_current_a": 15.0, "max_charge_current_a": 15.0}
        return battery(
            "home", "sonnen", port=self.url, token_file=str(self.token_file), **{**limits, "refresh_period_s": 0.5, **keys}
        )


def good(caller: Caller, name: str) -> pb.BatteryStatus:
    """Wait until a battery is GOOD and return its status."""
    until(lambda: caller.status(name).quality == pb.QUALITY_GOOD, because=f"{name} is GOOD")
    return caller.status(name)


def test_a_day_in_the_life_of_a_home_battery(tmp_path: Path) -> None:
    """Read, commanded, disturbed in the app and by its network, stopped, released, and given back at the daemon's end."""
    recording = tmp_path / "pack.csv"
    recording.write_text("seconds,voltage_v,current_a,charge_ah,capacity_ah\n0,13.2,5,50,100\n3600,13.1,4,49,100\n")
    with Home(tmp_path) as home:
        home.tell("set", **NO_FLOWS)
        topology = home.toml() + battery("tape", "csv", port=str(recording))
        with Node(tmp_path, topology, name="house") as node, Caller(node.target) as caller:
            assert good(caller, "tape").soc == 0.5
            status = good(caller, "home")
            assert status.voltage_v == pytest.approx(210.5, abs=1.0)
            assert status.capacity_ah == pytest.approx(10_000 * 0.93 / 204.8, abs=0.1)
            assert status.commandable
            assert home.state["mode"] == "2"  # nothing was changed by looking

            assert caller.set("home", 6.0).applied_current_a == 6.0
            assert home.state["mode"] == "1"
            assert home.state["power_w"] == pytest.approx(6.0 * 210.5, rel=0.06)
            until(lambda: abs(caller.status("home").current_a - 6.0) < 0.4, because="the measured current follows")

            home.tell("set", mode="2")
            until(lambda: "NOT_FOLLOWED: commanded" in caller.status("home").reason, because="a change in the app is noticed")
            home.tell("inject", fault="reset")
            until(lambda: "connection lost" in caller.status("home").reason, because="the loss is told")
            home.tell("clear")
            until(lambda: caller.status("home").quality == pb.QUALITY_GOOD, because="it is back")
            caller.set("home", 5.0)
            assert home.state["mode"] == "1"

            assert node.bosctl("stop", "home").document["stopped"] == ["home"]  # the answer may come before the power has gone
            until(lambda: abs(home.state["power_w"]) < 20.0, because="a stop reaches it")
            node.ask("release", "home")
            caller.set("home", 4.0)
            assert node.terminate() == 0
            assert (home.state["mode"], home.state["set_point_w"]) == ("2", 0.0)
            written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != home.token_file)
            assert TOKEN.encode() not in written


def test_the_guard_gives_a_home_battery_back_when_its_daemon_is_killed(tmp_path: Path) -> None:
    """It holds its set point for ever, so somebody has to end it."""
    with Home(tmp_path) as home:
        home.tell("set", **NO_FLOWS)
        with Node(tmp_path, home.toml(), name="house") as node, Caller(node.target) as caller:
            good(caller, "home")
            caller.set("home", 6.0)
            until(lambda: node.events("guard_ready") or node.events("guard_posted"), because="a guard is there")
            node.signal(signal.SIGKILL)
            report = until(lambda: read_report(node.state_dir) or {}, because="the guard has acted")
            assert report["confirmed"] is True
            assert [(each["name"], each["action"]) for each in report["devices"]] == [("home", "release")]
            assert (home.state["mode"], home.state["set_point_w"]) == ("2", 0.0)


CHECKS = [
    (
        'kind = "sonnen"\nport = "sonnen.local"\ntoken_file = "/t"',
        "battery[0] \"b\".port: 'sonnen.local' is no address of a battery",
    ),
    (
        'kind = "sonnen"\nport = "http://b/api"\ntoken_file = "/t"',
        "battery[0] \"b\".port: 'http://b/api' is no address of a battery",
    ),
    ('kind = "sonnen"\nport = "http://b:0"\ntoken_file = "/t"', "battery[0] \"b\".port: 'http://b:0' is no address"),
    ('kind = "sonnen"\nport = "http://b"\ntoken_file = "t"', "battery[0] \"b\".token_file: 't' is no absolute path"),
    ('kind = "sonnen"\nport = "http://b"', 'battery[0] "b".token_file: missing'),
    (
        'kind = "sonnen"\nport = "http://b"\ntoken_file = "/t"\nca_file = "/c"',
        'battery[0] "b".ca_file: only https has certificates',
    ),
    ('kind = "sonnen"\nport = "http://b"\ntoken_file = "/t"\nvoltage_v = 0.0', 'battery[0] "b".voltage_v: 0.0 is no voltage'),
    (
        'kind = "sonnen"\nport = "http://b"\ntoken_file = "/t"\ncurrent_control = "gate"',
        '"gate" is nothing that kind = "sonnen" has',
    ),
    ('kind = "sonnen"\nport = "http://b"\ntoken_file = "/t"\ncurrent_control = "direct"', "max_charge_current_a: missing"),
    ('kind = "csv"\nport = "pack.csv"', "battery[0] \"b\".port: 'pack.csv' is no absolute path of a CSV file"),
    ('kind = "csv"\nport = "/p.csv"\nrate = 0.0', 'battery[0] "b".rate: 0.0 is no rate'),
    ('kind = "csv"\nport = "/p.csv"\ncurrent_control = "direct"', '"direct" is nothing that kind = "csv" has: "none"'),
]


def test_check_names_every_fault_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Place, what is wrong and what would be right, all in one run."""
    config = tmp_path / "bosd.toml"
    tables = "".join(f'[[battery]]\nname = "b{place}"\n{text}\n' for place, (text, _) in enumerate(CHECKS))
    config.write_text(f'[node]\nname = "n"\nstate_dir = "{tmp_path}"\n{tables}')
    assert main(["check", "--config", str(config)]) == 1
    said = capsys.readouterr().err
    for place, (_, fault) in enumerate(CHECKS):
        assert fault.replace('battery[0] "b"', f'battery[{place}] "b{place}"') in said, said


def test_check_warns_where_the_battery_would_stay_idle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`safe = "open"` of a battery without switches."""
    config = tmp_path / "bosd.toml"
    limits = 'current_control = "direct"\nmax_discharge_current_a = 9\nmax_charge_current_a = 9'
    table = f'[[battery]]\nname = "b"\nkind = "sonnen"\nport = "http://b"\ntoken_file = "/t"\nsafe = "open"\n{limits}\n'
    config.write_text(f'[node]\nname = "n"\nstate_dir = "{tmp_path}"\n{table}')
    assert main(["check", "--config", str(config)]) == 0
    assert '"b".safe: "open" keeps it at 0 A when the daemon ends or dies' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--listen", "0.0.0.0:80"), "--listen 0.0.0.0:80: write a loopback address, such as 127.0.0.1:8080"),
        (("--soc", "2"), "soc must be a number from 0 to 1, not 2.0"),
        (("--token-file", "/nowhere"), "token_file /nowhere cannot be read: No such file or directory"),
        (("--tls-cert", "/nowhere"), "--tls-cert /nowhere: "),
    ],
)
def test_the_simulator_refuses_bad_options(options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2 and one line."""
    parser = argparse.ArgumentParser()
    program.add_arguments(parser)
    assert program.main(parser.parse_args(options)) == 2
    assert capsys.readouterr().err.startswith(f"bosd sim sonnen: {message}")


def test_the_simulator_ends_in_order(tmp_path: Path) -> None:
    """SIGTERM: exit status 0, and its control socket is gone."""
    with Home(tmp_path) as home:
        assert home.control.exists()
        home.signal(signal.SIGTERM)
        assert home.wait() == 0
        assert not home.control.exists()


def certificate(directory: Path) -> tuple[Path, Path]:
    """Return a certificate of 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "battery")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    places = directory / "battery.crt", directory / "battery.key"
    places[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    places[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return places


async def test_https_is_verified_by_the_ca_file(tmp_path: Path) -> None:
    """The battery's own certificate as `ca_file` is enough; without it nothing is asked, and no token is sent."""
    path, key = certificate(tmp_path)
    with Home(tmp_path, "--tls-cert", str(path), "--tls-key", str(key)) as home:
        api = SonnenApi(home.url, home.token_file, path)
        assert (await api.battery()).voltage_v is not None
        await api.close()
        api = SonnenApi(home.url, home.token_file)
        with pytest.raises(
            UnavailableError, match="its certificate is not verified by what this system trusts; give its ca_file"
        ):
            await api.battery()
        await api.close()
        assert home.tell("stats")["counters"]["requests"] == 1
