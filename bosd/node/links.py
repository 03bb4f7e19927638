"""What the node needs of a battery at another node; the gRPC edge provides it."""

from collections.abc import Callable

from bosd.bal.battery import DeviceLeaf
from bosd.bal.spec import NetworkSpec


class NetworkLeaf(DeviceLeaf):
    """A battery that is a stub of another node's: fed by a stream, commanded by calls with a time to live."""

    kind = NetworkSpec.kind
    expires = True
    __slots__ = ()

    async def refresh(self, *, recursive: bool) -> None:
        """Have the remote battery sampled; raises its error."""
        raise NotImplementedError(self.kind)

    def close(self) -> None:
        """Let go of the link; idempotent."""
        raise NotImplementedError(self.kind)


RemoteFactory = Callable[[NetworkSpec], NetworkLeaf]
