"""Where a node is that stubs name by its serial: the last address that worked, then what was announced, then what is configured.

An address only says where to knock: the channel demands the serial in the certificate of whoever answers there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import grpc.aio

from bosd.bal.spec import SERIAL
from bosd.errors import UnavailableError
from bosd.rpc.dialling import Dial, dial_plainly


class Book(Protocol):
    """Where nodes answered last."""

    def find(self, serial: str) -> str:
        """Return an address; empty where none is known."""
        ...

    def note(self, serial: str, address: str) -> None:
        """Keep one."""
        ...


class Knock(Protocol):
    """Makes channels that demand a certificate."""

    def is_plain(self, address: str) -> bool:
        """Tell whether an address is reached without TLS."""
        ...

    def ended(self) -> str:
        """Return that the own certificate has ended, with the remedy; empty while it lasts."""
        ...

    def dial(self, target: str, options: Sequence[tuple[str, int]], node: str | None = None) -> grpc.aio.Channel:
        """Return a channel to `target` at which `node` has to answer."""
        ...


def serial_of(target: str) -> str:
    """Return the serial that a target names; empty where it is an address."""
    return target.removeprefix(SERIAL) if target.startswith(SERIAL) else ""


class Seeker:
    """Finds nodes by serial and dials them; targets that are addresses pass through.

    `announced` returns what the local network says, which counts only where certificates decide (`knock`); `configured` maps
    serials to addresses, `book` keeps those that worked.
    """

    def __init__(
        self,
        knock: Knock | None,
        *,
        book: Book,
        configured: Mapping[str, str],
        announced: Callable[[str], Sequence[str]] = lambda _: (),
    ) -> None:
        self._knock = knock
        self._plain: Dial = dial_plainly if knock is None else knock.dial
        self.announced = announced
        self._configured = configured
        self._book = book
        self._current: dict[str, str] = {}
        self._failures: dict[str, int] = {}

    def candidates(self, serial: str) -> list[str]:
        """Return where to knock, the likeliest first."""
        knock, configured = self._knock, self._configured.get(serial, "")
        hints = [self._book.find(serial), *self.announced(serial)]
        proven = [each for each in hints if each and (each == configured or (knock is not None and not knock.is_plain(each)))]
        return list(dict.fromkeys([*proven, *([configured] if configured else [])]))

    def address(self, target: str) -> str:
        """Return where a target is looked for now; empty where nothing is known of it."""
        if not (serial := serial_of(target)):
            return target
        if target not in self._current and (found := self.candidates(serial)):
            self._current[target] = found[self._failures.get(target, 0) % len(found)]
        return self._current.get(target, "")

    def dial(self, target: str, options: Sequence[tuple[str, int]]) -> grpc.aio.Channel:
        """Return a channel to a target. Raises UnavailableError where no address of it is known."""
        address, serial = self.address(target), serial_of(target)
        if not address:
            raise UnavailableError(f"{serial} is not announced, and has no address in [fleet.addresses]", target=target)
        if self._knock is None or not serial:
            return self._plain(address, options)
        return self._knock.dial(address, options, serial)

    def barred(self, target: str) -> str:
        """Return why nobody lets this node in at a target: its own certificate has ended; empty while that is no reason."""
        knock, address = self._knock, self.address(target)
        return "" if knock is None or not address or knock.is_plain(address) else knock.ended()

    def attempted(self, target: str, *, worked: bool) -> None:
        """Hear how an attempt at the address of now ended; the next one may be at another."""
        if not (serial := serial_of(target)):
            return
        address = self._current.pop(target, "")
        if worked and address:
            self._book.note(serial, address)
        self._failures[target] = 0 if worked else self._failures.get(target, 0) + 1
