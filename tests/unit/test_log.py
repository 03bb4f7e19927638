"""Logs: one form for ours and the libraries', on standard error only."""

import asyncio
import importlib
import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import structlog

from bosd import log
from bosd.errors import InvalidArgumentError

Capture = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Undo what a test configures for the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with warnings.catch_warnings():
        yield
        logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def parse(text: str) -> list[dict[str, object]]:
    """Parse every line as one JSON object."""
    return [json.loads(line) for line in text.splitlines()]


def test_an_event_is_one_json_line_with_its_data(capsys: Capture) -> None:
    """Name, level, UTC time and the data with its types stand in one JSON object on one line."""
    log.configure(level="info")
    structlog.get_logger().info("device_lost", battery="b1", current_a=4.0, text="two\nlines")
    (event,) = parse(capsys.readouterr().err)
    assert event["event"] == "device_lost"
    assert event["level"] == "info"
    assert (event["battery"], event["current_a"], event["text"]) == ("b1", 4.0, "two\nlines")
    assert datetime.fromisoformat(str(event["timestamp"])).utcoffset() == timedelta(0)


def test_libraries_come_out_in_the_same_form(capsys: Capture) -> None:
    """A stdlib record becomes the same JSON object, with its logger's name and its arguments filled in."""
    log.configure(level="info")
    logging.getLogger("somelib.part").warning("cannot reach %s", "host")
    (event,) = parse(capsys.readouterr().err)
    assert (event["event"], event["level"], event["logger"]) == ("cannot reach host", "warning", "somelib.part")


def test_exceptions_are_part_of_the_line(capsys: Capture) -> None:
    """A traceback is a string inside the object, for our events and the libraries' alike."""
    log.configure(level="info")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("ours")
        logging.getLogger("lib").exception("theirs")
    events = parse(capsys.readouterr().err)
    assert all("ZeroDivisionError" in str(event["exception"]) for event in events)
    assert [event["event"] for event in events] == ["ours", "theirs"]


def test_what_json_cannot_say_is_said_as_text(capsys: Capture) -> None:
    """An object in an event never breaks the log: it appears as its string."""
    log.configure()
    structlog.get_logger().info("seen", error=InvalidArgumentError("too much"))
    assert parse(capsys.readouterr().err)[0]["error"] == "too much"


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_holds_for_both(capsys: Capture, level: str, heard: int) -> None:
    """At each level the four severities from it upwards are heard, from us and from libraries."""
    log.configure(level=level)
    for logger in (structlog.get_logger(), logging.getLogger("lib")):
        for method in ("debug", "info", "warning", "error"):
            getattr(logger, method)("x")
    assert len(parse(capsys.readouterr().err)) == 2 * heard


def test_loud_libraries_are_quiet_below_warning(capsys: Capture) -> None:
    """SQL statements and loop internals stay out of the log even at debug; their warnings do not."""
    log.configure(level="debug")
    logging.getLogger("sqlalchemy.engine").info("SELECT 1")
    logging.getLogger("asyncio").warning("slow")
    assert [event["event"] for event in parse(capsys.readouterr().err)] == ["slow"]


def test_a_person_gets_text_and_a_pipe_gets_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unasked, a terminal shows coloured text; `json=True` overrides it."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    log.configure()
    structlog.get_logger().info("hello", battery="b1")
    assert "hello" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()
    terminal.truncate(0)
    terminal.seek(0)
    log.configure(json=True)
    structlog.get_logger().info("hello")
    assert parse(terminal.getvalue())[0]["event"] == "hello"


def test_text_in_a_pipe_has_no_colours(capsys: Capture) -> None:
    """`json=False` without a terminal is plain text."""
    log.configure(json=False)
    structlog.get_logger().info("hello", battery="b1")
    text = capsys.readouterr().err
    assert "hello" in text
    assert "\x1b[" not in text


def test_an_unknown_level_is_refused() -> None:
    """An unknown level names itself and what is allowed."""
    with pytest.raises(InvalidArgumentError, match="no such log level: loud") as caught:
        log.configure(level="loud")
    assert "debug" in caught.value.metadata["allowed"]


def test_configuring_twice_does_not_double_lines(capsys: Capture) -> None:
    """The second call replaces the first, and loggers made before it follow."""
    early = structlog.get_logger()
    log.configure(level="error")
    early.info("unheard")
    log.configure(level="info")
    early.info("ours")
    logging.getLogger("lib").info("theirs")
    assert [event["event"] for event in parse(capsys.readouterr().err)] == ["ours", "theirs"]


async def test_context_travels_with_the_task(capsys: Capture) -> None:
    """Context bound in one task marks that task's events and no other's."""
    log.configure()

    async def work(request_id: str) -> None:
        structlog.contextvars.bind_contextvars(request_id=request_id)
        await asyncio.sleep(0)
        structlog.get_logger().info("done")

    async with asyncio.TaskGroup() as group:
        group.create_task(work("r1"))
        group.create_task(work("r2"))
    assert [event["request_id"] for event in parse(capsys.readouterr().err)] == ["r1", "r2"]


def test_standard_output_stays_clean() -> None:
    """A real process logs to standard error alone, as JSON when that is a pipe."""
    program = "import structlog; from bosd import log; log.configure(level='info'); structlog.get_logger().info('up', node='n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == ""
    assert json.loads(done.stderr)["node"] == "n"


def test_a_library_that_repeats_itself_is_held_back() -> None:
    """Ten lines a minute, of a thousand; the next minute's first tells of the 990."""
    now_s = 0.0
    sparing = log.SparingFilter(lambda: now_s)

    def passes() -> str | None:
        record = logging.LogRecord("grpc._cython.cygrpc", logging.ERROR, "f.py", 1, "no message in %s", ("Plan",), None)
        return record.getMessage() if sparing.filter(record) else None

    assert [text for text in (passes() for _ in range(1000)) if text] == ["no message in Plan"] * 10
    now_s = 60.0
    assert passes() == "no message in Plan (and 990 more held back)"
    assert passes() == "no message in Plan"


def test_what_is_no_message_fills_no_disk(capsys: Capture) -> None:
    """The logger that grpc writes to, by its name, is the one that is held back."""
    log.configure(json=True)
    for _ in range(50):
        logging.getLogger("grpc._cython.cygrpc").error("no message")
        logging.getLogger("grpc").error("other")
    events = [line["event"] for line in parse(capsys.readouterr().err)]
    assert (events.count("no message"), events.count("other")) == (10, 50)
    assert hasattr(importlib.import_module("grpc._cython.cygrpc"), "AioServer")
