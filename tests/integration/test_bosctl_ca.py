"""`bosctl ca`, and a daemon behind mutual TLS seen from the command line."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bosd.config import parse_config
from bosd.daemon import Daemon
from bosd.errors import ConfigError
from clients.bosctl.__main__ import run
from tests.support.certificates import authority, issue

BATTERY = """
[[battery]]
name = "b1"
kind = "pseudo"
voltage_v = 13.0
charge_ah = 50.0
capacity_ah = 100.0
max_charge_current_a = 10.0
max_discharge_current_a = 10.0
"""


def bosctl(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command; return its status and what it wrote."""
    status = run([str(each) for each in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_node_in_two_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Issue, install: what install prints is the section the daemon reads."""
    ca, tls, bundle = tmp_path / "ca", tmp_path / "tls", tmp_path / "hut.bundle"
    assert bosctl(capsys, "ca", "init", "--dir", ca)[0] == 0
    assert (ca / "ca.key").stat().st_mode & 0o777 == 0o600
    assert bosctl(capsys, "ca", "issue", "--node", "hut", "--out", bundle, "--dir", ca)[0] == 0
    assert bundle.stat().st_mode & 0o777 == 0o600
    status, section, _ = bosctl(capsys, "ca", "install", bundle, "--to", tls)
    assert status == 0
    assert not bundle.exists()
    status, _, err = bosctl(capsys, "ca", "install", bundle, "--to", tls)
    assert (status, err) == (1, f"error: there is no {bundle}: bring it here, `bosctl ca issue` wrote it there\n")
    text = f'[node]\nname = "hut"\nlisten = ["0.0.0.0:0"]\nstate_dir = "{tmp_path / "state"}"\n{section}'
    security = parse_config(text).security
    assert security is not None
    assert security.key == tls / "bosd.key"
    assert (tls / "bosd.key").stat().st_mode & 0o777 == 0o600


def test_a_name_is_issued_once_then_renewed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ls` shows states and days left; what is revoked is in the list."""
    ca = tmp_path / "ca"
    bosctl(capsys, "ca", "init", "--dir", ca)
    assert bosctl(capsys, "ca", "issue", "--operator", "max", "--out", tmp_path / "1", "--dir", ca, "--for", "30d")[0] == 0
    status, _, err = bosctl(capsys, "ca", "issue", "--operator", "max", "--out", tmp_path / "2", "--dir", ca)
    assert status == 1
    assert "bosctl ca renew operator:max" in err
    assert bosctl(capsys, "ca", "renew", "operator:max", "--out", tmp_path / "2", "--dir", ca)[0] == 0
    rows = json.loads(bosctl(capsys, "--json", "ca", "ls", "--dir", ca)[1])
    assert [(row["who"], row["state"], round(row["days_left"])) for row in rows] == [
        ("operator:max", "good", 365),
        ("operator:max", "good", 30),
    ]
    assert bosctl(capsys, "ca", "revoke", rows[1]["serial"], "--dir", ca)[0] == 0
    rows = json.loads(bosctl(capsys, "--json", "ca", "ls", "--dir", ca)[1])
    assert [row["state"] for row in rows] == ["good", "revoked"]


def test_whoever_is_called_alike_is_not_revoked_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names count letter case, as they do in grants and at the nodes; what is revoked is said by its own name."""
    ca = tmp_path / "ca"
    bosctl(capsys, "ca", "init", "--dir", ca)
    for name in ("Hut", "hut"):
        assert bosctl(capsys, "ca", "issue", "--node", name, "--out", tmp_path / name, "--dir", ca)[0] == 0
    status, out, _ = bosctl(capsys, "ca", "revoke", "node:hut", "--dir", ca)
    assert (status, out.split(";")[0]) == (0, "revoked 1 of node:hut")
    rows = json.loads(bosctl(capsys, "--json", "ca", "ls", "--dir", ca)[1])
    assert {row["who"]: row["state"] for row in rows} == {"node:Hut": "good", "node:hut": "revoked"}
    status, _, err = bosctl(capsys, "ca", "revoke", "node:HUT", "--dir", ca)
    assert status == 1
    assert "nothing was issued as 'node:HUT'" in err


def test_off_loopback_without_security_is_refused(tmp_path: Path) -> None:
    """The message holds the remedy."""
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0:4004.*needs mutual TLS: add a \[security\] section"):
        parse_config(f'[node]\nlisten = ["0.0.0.0:4004"]\nstate_dir = "{tmp_path}"\n')


@contextlib.asynccontextmanager
async def serving(text: str) -> AsyncIterator[str]:
    """A daemon; yields its address."""
    daemon = Daemon(parse_config(text))
    running = asyncio.create_task(daemon.run())
    try:
        async with asyncio.timeout(10.0):
            while not daemon.bound and not running.done():  # noqa: ASYNC110 (a daemon has no event for it)
                await asyncio.sleep(0.01)
        if running.done():
            await running
        yield daemon.bound[0]
    finally:
        daemon.end()
        await running


async def test_bosctl_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Against a real daemon: let in, revoked, expired, foreign, no certificate; what was refused is in the audit."""
    by, foreign = authority(tmp_path / "ca"), authority(tmp_path / "foreign")
    places = issue(by, "node:home").install(tmp_path / "tls")
    section = f'[security]\nca = "{places.ca}"\ncertificate = "{places.certificate}"\nkey = "{places.key}"\n'
    text = f'[node]\nname = "home"\nlisten = ["127.0.0.1:0"]\nstate_dir = "{tmp_path / "state"}"\n{section}{BATTERY}'
    bundles = {
        "max": issue(by, "operator:max"),
        "root": issue(by, "admin:root"),
        "late": issue(by, "operator:late", life_s=5.0, ago_s=6.0),
        "mallory": issue(foreign, "admin:mallory"),
        "viewer": issue(by, "viewer:v"),
    }
    flags = {}
    for name, bundle in bundles.items():
        mine = bundle.install(tmp_path / name)
        flags[name] = ["--ca", mine.ca, "--certificate", mine.certificate, "--key", mine.key]

    async with serving(text) as address:

        async def ask(who: str, *command: str) -> tuple[int, str, str]:
            return await asyncio.to_thread(bosctl, capsys, "--target", address, *flags.get(who, []), *command)

        assert (await ask("max", "set", "b1", "1A"))[0] == 0
        status, _, err = await ask("viewer", "set", "b1", "1A")
        assert status == 1
        assert "viewer:v may not set: that needs the role operator" in err
        for who, why in (
            ("late", "your certificate (operator:late) expired at"),
            ("mallory", "its certificate is of a foreign CA"),
            ("nobody", "it may want a certificate"),
        ):
            status, _, err = await ask(who, "ls")
            assert (status, why in err) == (3, True), err
        records = json.loads((await ask("root", "--json", "audit"))[1])
    assert ("viewer:v", "set", "refused") in [(each["who"], each["action"], each["outcome"]) for each in records]
    assert ("operator:max", "set", "done") in [(each["who"], each["action"], each["outcome"]) for each in records]
    assert places.key.read_text().splitlines()[1] not in json.dumps(records)
