"""What is allowed in a configuration and yet worth a word before it is used."""

from bosd.bal.spec import PhysicalSpec, Topology
from bosd.config.security import SecurityConfig


def warnings(topology: Topology, security: SecurityConfig | None = None) -> tuple[str, ...]:
    """Return a sentence for each such thing, with its place."""
    return (*_authority(security), *_opening(topology))


def _authority(security: SecurityConfig | None) -> tuple[str, ...]:
    if security is None or security.authority is None:
        return ()
    warning = (
        f"security.authority: {security.authority} on this node can issue every identity: who reads its disk is every node and "
        "every admin; without it certificates are renewed by hand"
    )
    return (warning,)


def _opening(topology: Topology) -> tuple[str, ...]:
    return tuple(
        f'battery[{index}] "{spec.name}".safe: "open" opens both switches when the daemon ends or dies: whatever the pack feeds '
        "goes dark, this node perhaps included"
        for index, spec in enumerate(topology.batteries)
        if isinstance(spec, PhysicalSpec) and spec.safe == "open"
    )
