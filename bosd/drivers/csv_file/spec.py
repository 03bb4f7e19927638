"""What a file says of a battery that plays a CSV file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bosd.bal.spec import PhysicalSpec

_FASTEST = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvSpec(PhysicalSpec):
    """A battery whose readings are the rows of the CSV file at the path `port`; nothing can command it.

    `rate` is how many seconds of the file pass in one second; `loop` begins again behind the last row, without it the battery
    is unavailable from there on.
    """

    kind: ClassVar[str] = "csv"
    loop: bool = True
    rate: float = 1.0

    @property
    def place(self) -> str:
        """A file is no device: any number of batteries may play it."""
        return f"recording {self.port} as {self.name}"

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield the faults of the driver's own keys; the file is read when the battery is."""
        if not self.port.startswith("/") or "\0" in self.port:
            yield "port", f"{self.port!r} is no absolute path of a CSV file"
        if not 0.0 < self.rate <= _FASTEST:
            yield "rate", f"{self.rate!r} is no rate: above 0 and at most {_FASTEST:g} (seconds of the file a second)"
