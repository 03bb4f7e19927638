"""What others wrote obeys nobody's terminal: it is written out."""

import pytest
from rich.table import Table
from rich.text import Text

from bosd.v1 import audit_pb2 as apb
from bosd.v1 import battery_pb2 as pb
from clients.bosctl.console import stdout_console
from clients.bosctl.format_audit import batteries
from clients.bosctl.format_text import line

SPITEFUL = "a\x1b[31m\x9b2J\u202eb"
WRITTEN_OUT = r"a\x1b[31m\x9b2J\u202eb"


def test_on_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    """Plain texts and cells whole, ready-made pieces as far as they fit; the ends of lines stay."""
    console = stdout_console()
    table = Table()
    table.add_column(SPITEFUL)
    table.add_row(SPITEFUL)
    table.add_row(Text("\x1b[31m", style="bold"))
    console.print(table, markup=False)
    console.print(f"{SPITEFUL}\nnext", markup=False)
    written = capsys.readouterr().out
    assert written.count(WRITTEN_OUT) == 3
    assert f"{WRITTEN_OUT}\nnext\n" in written
    assert not {letter for letter in written if not letter.isprintable()} - {"\n"}


def test_in_lines() -> None:
    """A status with a reason of somebody's, and the names of what was refused, which are cut, too."""
    assert WRITTEN_OUT in line(pb.BatteryStatus(name="a", reason=SPITEFUL), at_utc_s=0.0)
    assert batteries(apb.AuditRecord(names=[SPITEFUL, "x" * 1000])) == f"{WRITTEN_OUT}, {'x' * 64}…"
