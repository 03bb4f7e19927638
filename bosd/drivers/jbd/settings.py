"""All settings of a JBD board, read in configuration mode and written nowhere."""

import datetime as dt

from bosd.bal.spec import JbdSpec
from bosd.drivers.configuration import Configuration, Setting
from bosd.drivers.jbd.board import LOCKED, Board
from bosd.drivers.jbd.codec import SettingValue
from bosd.drivers.jbd.configuration_mode import ConfigurationMode
from bosd.drivers.jbd.port import line_of
from bosd.drivers.jbd.registers import CYCLES, FUNCTION_BITS, FUNCTIONS, SETTINGS
from bosd.drivers.jbd.seldom import REGISTERS, Seldom
from bosd.drivers.kind import DriverContext
from bosd.errors import DriverError

_STAY_S = 60.0
"""Nobody else polls the board meanwhile, and a bad line takes its time."""
_HARD_DELAYS = 0x39
_HARD_UNDER_S, _HARD_OVER_S = (1, 4, 8, 16), (1, 2, 4, 8)
"""By two bits each; the shortest delays first."""
_OVERCURRENT_DELAYS = (0x3E, 0x3F)


async def read_settings(spec: JbdSpec, context: DriverContext) -> Configuration:
    """Return every setting of the board of `spec`; what it refuses is missing. Raises UnavailableError and DriverError."""
    line = line_of(spec, context)
    try:
        board = Board(line, spec.address, spec.password_file)
        info = await board.read_basic()
        seldom = Seldom(board, context.clock)
        for _ in REGISTERS:
            await seldom.step()
        settings, missing = await _read_all(board, spec.name)
        read_at = dt.datetime.fromtimestamp(context.clock.utc_s(), dt.UTC).isoformat(timespec="seconds")
        return Configuration(
            battery=spec.name,
            kind=spec.kind,
            port=spec.port,
            read_at=read_at.replace("+00:00", "Z"),
            identity=dict(seldom.identity(info)),
            settings=settings,
            missing=missing,
        )
    finally:
        line.close()


async def _read_all(board: Board, name: str) -> tuple[dict[str, Setting], dict[str, str]]:
    settings: dict[str, Setting] = {}
    missing: dict[str, str] = {}
    async with ConfigurationMode(board, name).entered(_STAY_S):
        for register in sorted(SETTINGS):
            try:
                found = await board.read_setting(register)
            except DriverError as error:
                if error.metadata.get("status") in (None, LOCKED):
                    raise
                missing[f"0x{register:02X}"] = error.message
                continue
            settings[f"0x{register:02X}"] = as_setting(register, found)
    return settings, missing


def as_setting(register: int, found: SettingValue) -> Setting:
    """Return a setting as a person reads it."""
    unit = "s" if isinstance(found.value, tuple) else found.setting.unit
    return Setting(found.setting.name, found.raw, _text(register, found), unit, counts=register == CYCLES)


def _text(register: int, found: SettingValue) -> str:
    if register == FUNCTION_BITS:
        names = [FUNCTIONS.get(bit, f"bit_{bit}") for bit in range(16) if found.raw >> bit & 1]
        return ", ".join(names) or "none"
    value = found.value
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    if isinstance(value, tuple):
        return _delays(register, *value)
    return "none" if value is None else value.isoformat() if isinstance(value, dt.date) else f"{value:g}"


def _delays(register: int, high: int, low: int) -> str:
    """Return the delays packed into a word (JBD protocol, configuration registers 0x39 to 0x3F), in seconds."""
    if register == _HARD_DELAYS:
        under_s, over_s = _HARD_UNDER_S[high >> 6], _HARD_OVER_S[high >> 4 & 3]
        return f"under-voltage {under_s}, over-voltage {over_s}, short-circuit release {low}"
    first, second = ("delay", "release") if register in _OVERCURRENT_DELAYS else ("under", "over")
    return f"{first} {high}, {second} {low}"
