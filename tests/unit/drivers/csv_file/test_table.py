"""A CSV file of readings: what is taken, and faults with file, line and column."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bosd.drivers.csv_file.table import LARGEST_BYTES, Table, read_table
from bosd.errors import BosError, DriverError, UnavailableError
from tests.support.examples import examples


def written(directory: Path, text: str | bytes) -> Path:
    """Return a file with this content."""
    path = directory / "pack.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def table_of(directory: Path, text: str | bytes) -> Table:
    """Return what is read of it."""
    return asyncio.run(read_table(written(directory, text)))


def test_rows_columns_and_lists(tmp_path: Path) -> None:
    """Any order of columns, a byte order mark, Windows line ends, empty lines and quotes; an empty field is unknown."""
    text = '\ufeffcurrent_a,seconds,"cells_v",faults,cycles\r\n1.5,10,3.31 3.30,,7\r\n\r\n-2,12,,cell_overvoltage low_soc,\r\n'
    table = table_of(tmp_path, text)
    assert table.columns == ("current_a", "cells_v", "faults", "cycles")
    assert [(row.at_s, row.line) for row in table.rows] == [(0.0, 2), (2.0, 4)]
    assert table.rows[0].values == (1.5, (3.31, 3.30), None, 7)
    assert table.rows[1].values == (-2.0, None, ("cell_overvoltage", "low_soc"), None)
    assert table.length_s == 4.0


def test_times_with_zones_are_one_scale(tmp_path: Path) -> None:
    """A quarter of an hour lies between 10:00 UTC and 11:15 of a zone one hour east."""
    table = table_of(tmp_path, "time,voltage_v\n2026-11-29T10:00:00Z,13\n2026-11-29T11:15:00+01:00,12.9\n")
    assert [row.at_s for row in table.rows] == [0.0, 900.0]


@pytest.mark.parametrize(("position_s", "line"), [(0.0, 2), (9.99, 2), (10.0, 3), (29.0, 3), (30.0, 4), (1e9, 4), (-1.0, 2)])
def test_the_row_in_force_is_the_last_one_that_has_begun(tmp_path: Path, position_s: float, line: int) -> None:
    """Nothing lies between two rows."""
    table = table_of(tmp_path, "seconds,soc\n0,0.5\n10,0.4\n30,0.3\n")
    assert table.at(position_s).line == line
    assert table.length_s == 50.0


FAULTS = [
    ("", "pack.csv:1: the file is empty; its first line names the columns"),
    ("seconds,voltage_v\n", "pack.csv: no rows below the names of the columns"),
    ("voltage_v\n1\n", r"pack.csv:1: one column has to be `time` or `seconds`, there are 0"),
    ("time,seconds,soc\n", r"pack.csv:1: one column has to be `time` or `seconds`, there are 2"),
    ("seconds\n1\n", "pack.csv:1: there is no column of readings beside the time"),
    ("seconds,voltage\n1,2\n", r"pack.csv:1, column voltage: is no column; did you mean voltage_v\?"),
    ("seconds,zebra\n1,2\n", "pack.csv:1, column zebra: is no column; there are time or seconds, voltage_v"),
    ("seconds,soc,soc\n1,0,0\n", "pack.csv:1, column soc: is there twice"),
    ("seconds,soc\n1,0.5,3\n", "pack.csv:2, column soc: 3 fields, but 2 columns have names"),
    ("seconds,soc\n1\n", "pack.csv:2, column soc: 1 fields, but 2 columns have names"),
    ("seconds,soc\n1,0.5\n1,0.5\n", "pack.csv:3, column seconds: is not later than that of the row before"),
    ("seconds,soc\n1,50\n", r"pack.csv:2, column soc: '50': expected a ratio from 0 to 1 \(a number from 0 to 1\)"),
    ("seconds,current_a\n0,1\n1,3,5\n", "pack.csv:3, column current_a: 3 fields, but 2 columns have names"),
    ("seconds,current_a\n0,high\n", "pack.csv:2, column current_a: 'high': expected a current in A, positive on discharge"),
    ("seconds,current_a\n0,nan\n", "column current_a: 'nan': expected a current"),
    ("seconds,current_a\n0,1_0\n", "column current_a: '1_0': expected a current"),
    ("seconds,current_a\n0,inf\n", "column current_a: 'inf': expected a current"),
    ("seconds,cells_v\n0,3.3;3.4\n", "column cells_v: '3.3;3.4': expected voltages in V, separated by spaces"),
    ("seconds,cycles\n0,1.5\n", "column cycles: '1.5': expected a number of cycles"),
    ("seconds,soc\nsoon,0.5\n", "pack.csv:2, column seconds: 'soon': expected seconds"),
    ("time,soc\n2026-11-29,0.5\n", "column time: '2026-11-29': expected a time with its zone, such as"),
    ("time,soc\n2026-11-29T10:00:00,0.5\n", "expected a time with its zone"),
    ('seconds,soc\n0,"0.5\n', "pack.csv:2: no CSV: unexpected end of data"),
    (b"seconds,soc\n0,0.5\n1,\xff\n", "pack.csv:3: no UTF-8"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_a_fault_names_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    """File, line and, where there is one, column."""
    with pytest.raises(DriverError, match=message) as caught:
        table_of(tmp_path, text)
    assert caught.value.message.startswith(str(tmp_path))


def test_a_file_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    """It may come; a folder will not."""
    with pytest.raises(UnavailableError, match="no such file or directory"):
        asyncio.run(read_table(tmp_path / "none.csv"))
    with pytest.raises(UnavailableError, match="is a directory"):
        asyncio.run(read_table(tmp_path))


def test_a_pipe_does_not_stop_the_node(tmp_path: Path) -> None:
    """Opening one waits until somebody writes to it, in the loop."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnavailableError, match="is a pipe; name a regular file"):
        asyncio.run(read_table(tmp_path / "pipe"))


def test_too_large_a_file_is_refused(tmp_path: Path) -> None:
    """With what would help."""
    with pytest.raises(DriverError, match=f"more than {LARGEST_BYTES} bytes; thin out its rows or split it"):
        table_of(tmp_path, b"seconds,soc\n" + b"\n" * LARGEST_BYTES)


def test_the_example_is_what_its_formula_says() -> None:
    """`examples/pack.csv` is made by the script beside it, is readable, and its charge is the integral of its current."""
    directory = Path(__file__).parents[4] / "examples"
    made = subprocess.run(
        [sys.executable, directory / "make_pack_csv.py"], capture_output=True, text=True, timeout=30, check=True
    )
    assert (directory / "pack.csv").read_text() == made.stdout
    table = asyncio.run(read_table(directory / "pack.csv"))
    assert table.length_s == 86400.0
    column = {name: place for place, name in enumerate(table.columns)}
    charge_ah = [float(str(row.values[column["charge_ah"]])) for row in table.rows]
    current_a = [float(str(row.values[column["current_a"]])) for row in table.rows]
    assert charge_ah[0] - charge_ah[-1] == pytest.approx(sum(current_a[:-1]) * 300.0 / 3600.0, abs=0.1)
    assert 10.0 < min(charge_ah) < max(charge_ah) < 95.0


async def test_reading_lets_others_run(tmp_path: Path) -> None:
    """Ten thousand rows are read in turns, not in one."""
    path = written(tmp_path, "seconds,soc\n" + "".join(f"{place},0.5\n" for place in range(10_000)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.get_running_loop().create_task(count())
    table = await read_table(path)
    counting.cancel()
    assert len(table.rows) == 10_000
    assert turns >= 100


@settings(max_examples=examples(300))
@given(text=st.text(alphabet='seconds,oc_v1.5-"\n\r ;\0é', max_size=60) | st.text(max_size=60))
def test_any_text_is_a_table_or_a_named_fault(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Nothing but DriverError, and that with the file's name."""
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"seconds,soc\n" + text.encode("utf-8", "surrogatepass"))
    refused: BosError | None = None
    try:
        asyncio.run(read_table(path))
    except DriverError as error:
        refused = error
    assert refused is None or refused.message.startswith(str(path))
