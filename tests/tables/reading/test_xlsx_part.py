"""Sheets of workbooks: what pandas reads from them, with its types, or an error that says what to do."""

import datetime

import openpyxl
import pandas as pd
import pytest

from logpx.errors import DataError, UsageError
from logpx.tables import open_table
from logpx.tables.reading.xlsx_part import XlsxPart


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return str(path)


def cells(path):
    (batch,) = open_table(path).batches()
    return batch.columns.to_pydict()


def test_types_are_those_of_pandas(tmp_path):
    day, time = datetime.datetime(2024, 1, 31), datetime.datetime(2024, 1, 31, 10, 30)
    rows = [
        ["n", "x", "t", "b", "d", "w"],
        [1, 0.5, "u", True, day, time],
        [2, None, "00501", False, day, time],
    ]
    path = workbook(tmp_path / "a.xlsx", Data=rows)
    table = XlsxPart(path)._table
    assert [str(kind) for kind in table.schema.types] == [
        "int64", "double", "string", "bool", "date32[day]", "timestamp[us]",
    ]  # fmt: skip
    expected = pd.read_excel(path, dtype={"t": str})
    expected["d"] = expected["d"].dt.date
    pd.testing.assert_frame_equal(table.to_pandas(), expected, check_dtype=False)


def test_a_sheet_is_chosen_by_its_name(tmp_path):
    path = workbook(tmp_path / "a.xlsx", One=[["a"], [1]], **{"Two #2": [["b"], [2]]})
    assert cells(path) == {"a": [1]}
    assert "'One'" in open_table(path).notes[0]
    assert cells(f"{path}#Two #2") == {"b": [2]}
    assert open_table(f"{path}#One").notes == []
    with pytest.raises(UsageError, match="no sheet 'Onne'") as caught:
        open_table(f"{path}#Onne")
    assert "'One'" in caught.value.fix


def test_titles_units_gaps_and_a_table_that_starts_elsewhere(tmp_path):
    rows = [
        [],
        ["", None],
        [None, "Weather"],
        [],
        [None, "v", "T"],
        [None, "(m/s)", "(K)"],
        [None, 1, 2],
        [None, 3, "NA"],
    ]
    path = workbook(tmp_path / "a.xlsx", Data=rows)
    assert cells(path) == {"v": [1, 3], "T": [2, None]}
    assert len(open_table(path).notes) == 2


def test_text_among_numbers_is_text_and_named_when_read_as_a_number(tmp_path):
    path = workbook(tmp_path / "a.xlsx", Data=[["a", "b"], [1, "2"], [2.5, 3], ["c118", 4]])
    assert cells(path) == {"a": ["1", "2.5", "c118"], "b": [2, 3, 4]}
    with pytest.raises(DataError, match="text 'c118'") as caught:
        list(open_table(path).as_numbers().batches())
    assert (caught.value.row, caught.value.column) == (3, "a")


def test_a_formula_without_a_value_is_named(tmp_path):
    path = workbook(tmp_path / "a.xlsx", Data=[["a", "b"], [1, 2], [3, "=A2+1"]])
    with pytest.raises(DataError, match="'=A2\\+1' was saved without its value") as caught:
        open_table(path)
    assert (caught.value.row, caught.value.column) == (2, "b")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "empty"),
        ([["a", "b", "a"], [1, 2, 3]], "2 columns have this name"),
        ([[1, 2], [3, 4]], "all numbers"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, rows, message):
    with pytest.raises(DataError, match=message) as caught:
        open_table(workbook(tmp_path / "a.xlsx", Data=rows))
    assert caught.value.fix


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xd0\xcf\x11\xe0" * 50])
def test_a_damaged_workbook_is_named(tmp_path, content):
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(DataError, match="not a readable Excel workbook") as caught:
        open_table(tmp_path / "a.xlsx")
    assert "CSV" in caught.value.fix


def test_without_openpyxl_the_error_says_what_to_install(tmp_path, monkeypatch):
    path = workbook(tmp_path / "a.xlsx", Data=[["a"], [1]])
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(UsageError, match="openpyxl is not installed") as caught:
        open_table(path)
    assert caught.value.fix == "pip install 'logpx[excel]'"
