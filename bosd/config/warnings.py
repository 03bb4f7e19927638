"""What is allowed in a topology and yet worth a word before it is used."""

from bosd.bal.spec import JbdSpec, Topology


def warnings(topology: Topology) -> tuple[str, ...]:
    """Return a sentence for each such thing, with its place."""
    return tuple(
        f'battery[{index}] "{spec.name}".safe: "open" opens both switches when the daemon ends or dies: whatever the pack feeds '
        "goes dark, this node perhaps included"
        for index, spec in enumerate(topology.batteries)
        if isinstance(spec, JbdSpec) and spec.safe == "open"
    )
