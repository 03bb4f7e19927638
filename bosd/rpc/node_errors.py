"""An error of one kind for each node that this one follows; it goes with what it is about, and with the last stub of the node."""

from collections.abc import Container

from bosd.node.faults import Faults, Severity

SELF = ""
"""The target that stands for this node itself."""


class NodeErrors:
    """By target, since a node's name may be another one by the time that its error is over."""

    def __init__(self, faults: Faults, kind: str) -> None:
        self._faults = faults
        self._kind = kind
        self._modules: dict[str, str] = {}

    def raise_(self, target: str, node: str, message: str) -> None:
        """Raise it of a node, or say it anew."""
        module = f"node:{node}"
        if self._modules.get(target, module) != module:
            self.clear(target)
        self._modules[target] = module
        self._faults.raise_(self._kind, severity=Severity.MEDIUM, message=message, module=module)

    def clear(self, target: str) -> None:
        """Clear it, where it was raised, unless the node has it by another way, too."""
        module = self._modules.pop(target, None)
        if module is not None and module not in self._modules.values():
            self._faults.clear(self._kind, module=module)

    def clear_gone(self, followed: Container[str]) -> None:
        """Clear it of the nodes that no stub points at any more."""
        for target in [each for each in self._modules if each != SELF and each not in followed]:
            self.clear(target)
