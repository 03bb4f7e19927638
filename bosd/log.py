"""Logs as structured events on standard error: coloured lines for a person, one JSON object a line for everything else.

Events are snake_case names with their data as keys (units in the names); the journal, or a person, keeps them.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any, Final

import structlog

from bosd.clock import SystemClock
from bosd.errors import InvalidArgumentError
from bosd.sparing import Sparing

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_QUIET: Final = ("asyncio", "grpc", "sqlalchemy")
"""Libraries whose own information is about themselves: heard from `warning` on, whatever the level."""
_CALLS: Final = "grpc._cython.cygrpc"
"""Logs a traceback for each call whose bytes are no message: whoever has a certificate could fill a disk with them."""
_MOST_A_MINUTE: Final = 10


class SparingFilter(logging.Filter):
    """Lets ten records a minute through; the next one tells how many were held back."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        super().__init__()
        self._now_s = now_s
        self._sparing = Sparing(_MOST_A_MINUTE)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written."""
        passes = self._sparing.passes(self._now_s())
        if passes and (held_back := self._sparing.forget()):
            record.msg, record.args = f"{record.getMessage()} (and {held_back} more held back)", ()
        return passes


def configure(*, json: bool | None = None, level: str = "info") -> None:
    """Route structlog and the libraries' stdlib logging to standard error, in one form.

    `json` None means JSON unless standard error is a terminal. Calling again replaces the earlier set-up.
    Raises `InvalidArgumentError` for a level that is not in `LEVELS`.
    """
    if level not in LEVELS:
        raise InvalidArgumentError(f"no such log level: {level}", field="level", value=level, allowed=", ".join(LEVELS))
    threshold = LEVELS[level]
    as_json = not sys.stderr.isatty() if json is None else json
    shared = _shared_processors()
    rendering = _rendering_processors(as_json=as_json)
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    _route_stdlib(threshold, [structlog.stdlib.add_logger_name, *shared], rendering)


def _shared_processors() -> list[Any]:
    """Return what every event gets before it is rendered, wherever it came from."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _rendering_processors(*, as_json: bool) -> list[Any]:
    """Return the chain that turns an event into one line of text."""
    if as_json:
        return [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]


def _route_stdlib(threshold: int, chain: list[Any], rendering: list[Any]) -> None:
    """Give the root logger one handler that renders as structlog does."""
    handler = logging.StreamHandler(sys.stderr)
    processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=chain, processors=processors))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    logging.getLogger(_CALLS).filters[:] = [SparingFilter(SystemClock().now_s)]
    logging.captureWarnings(capture=True)
