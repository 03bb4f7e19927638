"""Real nodes behind mutual TLS."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bosd.pki.material import Places
from tests.support.processes import Node, table


def secured_node(
    directory: Path, places: Places, name: str, listen: str, topology: str, grants: Mapping[str, Sequence[str]] | None = None
) -> Node:
    """Return a node that has TLS with the files in `places` at `listen`; its `target` is a unix socket, which has all rights."""
    directory.mkdir(exist_ok=True)
    security = table("[security]", {key: str(getattr(places, key)) for key in ("ca", "certificate", "key", "revoked")})
    granted = table("[security.grants]", {f'"{who}"': names for who, names in (grants or {}).items()})
    socket = f"unix:{directory}/sock"
    node = Node(directory, security + granted + topology, name=name, listen=[socket, listen])
    node.target = socket
    return node
