"""An own authority in a directory, and a node's keyring of it."""

import time
from pathlib import Path

from bosd.config.security import SecurityConfig
from bosd.pki.authority import DEFAULT_LIFE_S, Authority
from bosd.pki.bundle import Bundle
from bosd.pki.identity import Role


def authority(directory: Path) -> Authority:
    """Return a new authority."""
    return Authority.create(directory, "test", time.time())


def issue(by: Authority, who: str, *, life_s: float = DEFAULT_LIFE_S, ago_s: float = 0.0) -> Bundle:
    """Return a certificate for `ROLE:NAME` that was issued `ago_s` seconds ago."""
    role, _, name = who.partition(":")
    return by.issue(Role(role), name, time.time() - ago_s, life_s=life_s)


def secured(by: Authority, directory: Path, node: str, grants: dict[str, tuple[str, ...]]) -> SecurityConfig:
    """Return the section of a node whose files lie in `directory`."""
    places = issue(by, f"node:{node}").install(directory)
    return SecurityConfig(
        ca=places.ca, certificate=places.certificate, key=places.key, revoked=directory / "revoked.crl", grants=grants
    )
