"""Two machines on one cable, with nodes behind mutual TLS."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bosd.pki.authority import Authority
from bosd.pki.bundle import places_in
from tests.support.certificates import issue
from tests.support.namespaces import Namespace
from tests.support.processes import BOSCTL, REPOSITORY, Node, table
from tests.support.secured import secured_node

HERE, THERE, MOVED = "192.0.2.1", "192.0.2.2", "192.0.2.3"
"""Addresses for documentation (RFC 5737)."""
PORT = 4004


@dataclass
class Lan:
    """Two machines on one cable, and our authority."""

    directory: Path
    by: Authority
    here: Namespace
    there: Namespace

    def node(self, name: str, at: Namespace, listen: str, topology: str, by: Authority | None = None, **fleet: Any) -> Node:
        """Return a node behind mutual TLS; it grants `home` its battery b."""
        tls = self.directory / f"tls-{name}"
        places = places_in(tls) if tls.exists() else issue(by or self.by, f"node:{name}").install(tls)
        directory = self.directory / f"{name}-{listen.replace(':', '-')}"
        toml = table("[fleet]", fleet) + topology
        node = secured_node(directory, places, name, listen, toml, {"node:home": ["b"]})
        node._arguments = at.command(*node._arguments)
        return node

    def bosctl(self, node: Node, *arguments: str) -> tuple[int, Any]:
        """Run `bosctl --json` on the machine here, with an admin's certificate."""
        tls = self.directory / "admin"
        if not tls.exists():
            issue(self.by, "admin:me").install(tls)
        files = ["--ca", str(tls / "ca.crt"), "--certificate", str(tls / "bosd.crt"), "--key", str(tls / "bosd.key")]
        command = self.here.command(*BOSCTL, "--target", node.target, "--json", *files, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=REPOSITORY)
        return done.returncode, json.loads(done.stdout or done.stderr)

    def discovered(self, node: Node) -> dict[str, dict[str, Any]]:
        """Return what `fleet discover` finds, by serial."""
        status, document = self.bosctl(node, "fleet", "discover")
        assert status == 0, document
        return {row["node"]: row for row in document["nodes"]}
