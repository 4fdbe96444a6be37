"""JSON lines: the cells that Python's json module reads, and errors that name the row."""

import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logpx.errors import DataError, LogpxError
from logpx.tables import open_table
from logpx.tables.reading.column_types import ColumnType

per_folder = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(folder, content):
    path = folder / "a.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    table = open_table(path)
    pieces = [batch.columns.to_pydict() for batch in table.batches()]
    return {name: [cell for piece in pieces for cell in piece[name]] for name in table.names}


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ('{"a": 1, "b": "x"}\n\n{"b": "y", "a": 2.5}', {"a": [1, 2.5], "b": ["x", "y"]}),
        ('\ufeff{"a": 1}\r\n{"c": 2}\r\n', {"a": [1, None], "c": [None, 2]}),
        ('{"a": 1}\n{"a": "c118"}\n{"a": 2.5}\n', {"a": ["1", "c118", "2.5"]}),
        ('{"a": true}\n{"a": null}\n', {"a": ["true", None]}),
        ('{"a": 1}\n{}\n', {"a": [1, None]}),
        ('{"a": "1.10"}\n', {"a": ["1.10"]}),
        ('{"a": 99999999999999999999}\n{"a": 1}\n', {"a": [1e20, 1]}),
    ],
)
def test_cells(tmp_path, content, cells):
    assert read(tmp_path, content) == cells


def test_dates_keep_their_text(tmp_path):
    assert read(tmp_path, '{"a": "2024-01-31"}\n') == {"a": ["2024-01-31"]}
    assert open_table(tmp_path / "a.jsonl").types == {"a": ColumnType.TIMESTAMP}


def test_columns_and_types_may_change_beyond_the_first_block(tmp_path, monkeypatch):
    monkeypatch.setattr("logpx.tables.reading.jsonl_part._BLOCK", 1000)
    rows = 500
    lines = [b'{"a": 1, "b": 1}\n'] * rows + [b'{"a": 2.5, "b": "x", "c": true}\n']
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines))
    table = open_table(tmp_path / "a.jsonl")
    assert table.types == {"a": ColumnType.NUMBER, "b": ColumnType.TEXT, "c": ColumnType.BOOLEAN}
    assert table.count_rows() == rows + 1
    *_, last = table.batches()
    assert [column[-1].as_py() for column in last.columns] == [2.5, "x", "true"]
    with pytest.raises(DataError, match="text 'x'") as caught:
        list(table.select(["b"]).as_numbers().batches())
    assert (caught.value.row, caught.value.column) == (rows + 1, "b")


@pytest.mark.parametrize(
    ("content", "row", "message"),
    [
        ('{"a": 1}\n{"a": }\n', 2, "no JSON object"),
        ('{"a": 1}\n5\n', 2, "one object per line"),
        ('{"a": 1}\n{"a": 1, "a": 2}\n', 2, "'a' occurs twice"),
        ('{"a": 1}\n{"a": 1', 2, "no JSON object"),
        ('{"a": 1}\n{"a": "\xe9"}\n'.encode("latin-1"), 2, "not UTF-8"),
        ("{}\n", None, "no values"),
        ("", None, "no values"),
    ],
)
def test_what_is_no_row_is_named(tmp_path, content, row, message):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content)
    assert caught.value.row == row
    assert caught.value.fix


def test_an_array_is_converted_by_the_command_of_the_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="one object per line") as caught:
        read(tmp_path, '[{"a": 1},\n {"a": 2}]\n')
    command = caught.value.fix.partition("line: ")[2].replace("python", sys.executable)
    subprocess.run(command, shell=True, check=True)
    (batch,) = open_table("rows.jsonl").batches()
    assert batch.columns.to_pydict() == {"a": [1, 2]}


@per_folder
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abc"), st.none() | st.floats(-1e9, 1e9) | st.text(max_size=3), min_size=1
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_objects_give_what_python_reads(tmp_path, rows):
    found = read(tmp_path, "".join(json.dumps(row) + "\n" for row in rows))
    for name, cells in found.items():
        for row, cell in zip(rows, cells, strict=True):
            expected = row.get(name)
            if isinstance(cell, str) and isinstance(expected, float):
                expected = json.dumps(expected)
            assert cell == expected


@per_folder
@given(st.binary(max_size=60) | st.text('{}[]":,ab1 \n', max_size=60).map(str.encode))
def test_any_bytes_give_cells_or_a_typed_error(tmp_path, content):
    try:
        found = read(tmp_path, content)
    except LogpxError as refusal:
        found = refusal.fix
    assert found
