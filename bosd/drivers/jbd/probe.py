"""Finding JBD boards: three read requests."""

from bosd.drivers.jbd.codec import decode_basic, decode_cells
from bosd.drivers.jbd.framing import OK, FrameReader, encode_read
from bosd.drivers.jbd.registers import BASIC, CELLS
from bosd.drivers.line import Line
from bosd.drivers.probe import Found, Probe
from bosd.errors import DriverError, UnavailableError

_NAME = 0x05
_LONGEST_BYTES = 77
"""Room for 32 cells, which is more than the other two need."""


async def _read(line: Line, register: int) -> bytes | None:
    """Return a register, None where the board refuses it."""
    frame = await line.transact(encode_read(register), FrameReader(register), _LONGEST_BYTES)
    return frame.payload if frame.status == OK else None


async def ask(line: Line) -> Found | None:
    """Return the board on `line`. Its name is optional, as some firmware refuses it."""
    basic = await _read(line, BASIC)
    if basic is None:
        return None
    info = decode_basic(basic)
    model, cells = b"", info.cell_count
    try:
        model = await _read(line, _NAME) or b""
        cells = len(decode_cells(await _read(line, CELLS) or b"")) or cells
    except (DriverError, UnavailableError):
        pass  # it is a JBD board all the same
    text = "".join(character for character in model.decode("ascii", "replace") if character.isprintable())
    return Found(model=text.strip(), cells=cells, voltage_v=info.voltage_v)


PROBE = Probe(kind="jbd", ask=ask, bauds=(9600, 19200, 38400, 57600, 115200), bluetooth=True)
