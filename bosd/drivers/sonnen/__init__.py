"""Sonnen home batteries by their local HTTP API v2."""

from contextlib import suppress
from pathlib import Path

from bosd.bal.device import Device
from bosd.drivers.kind import DriverContext, DriverKind
from bosd.drivers.sonnen.spec import SonnenSpec
from bosd.errors import DriverError


def _make(spec: SonnenSpec, context: DriverContext) -> Device:
    from bosd.drivers.sonnen.api import SonnenApi  # noqa: PLC0415 (a node without one loads no HTTP client)
    from bosd.drivers.sonnen.driver import SonnenDriver  # noqa: PLC0415
    from bosd.drivers.sonnen.token import read_token  # noqa: PLC0415

    with suppress(DriverError):  # the first request says what is wrong; until then the file may come
        read_token(Path(spec.token_file))
    ca_file = None if spec.ca_file is None else Path(spec.ca_file)
    return SonnenDriver(spec, SonnenApi(spec.port, Path(spec.token_file), ca_file), context.clock)


DRIVER = DriverKind(spec=SonnenSpec, make=_make, bench="bosd.drivers.sonnen.bench:BENCH")
