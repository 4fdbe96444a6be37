"""Delimited text: what reads, and what does not with the row that is to blame."""

import csv
import gzip
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logpx.errors import DataError, LogpxError
from logpx.tables import open_table
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.csv_layout import is_number

MANY = 300_000  # Rows beyond the first block, so that types are settled before they appear.
per_folder = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(folder, content, name="a.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    table = open_table(path)
    pieces = [batch.columns.to_pydict() for batch in table.batches()]
    return {name: [value for piece in pieces for value in piece[name]] for name in table.names}


def refusal(folder, content, name="a.csv"):
    with pytest.raises(DataError) as caught:
        read(folder, content, name)
    assert caught.value.fix
    assert caught.value.file == str(folder / name)
    return caught.value


def outcome(call):
    """Return what a call returns, or the typed error that it raises."""
    try:
        return call()
    except LogpxError as error:
        return error


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ("a,b\n 39, 1.5\n-4 ,2e3\n", {"a": [39, -4], "b": [1.5, 2000]}),
        ("a,b\n1,?\nNA,2\n", {"a": [1, None], "b": [None, 2]}),
        ("a,b\n1, ?\n null,2\n", {"a": [1, None], "b": [None, 2]}),
        ('a,b\n1,""\nNaN,2\n', {"a": [1, None], "b": [None, 2]}),
        ("a;b\n1;2\n", {"a": [1], "b": [2]}),
        ("a|b\n1|2\n", {"a": [1], "b": [2]}),
        ("a\tb\n1\t2\n", {"a": [1], "b": [2]}),
        ("a,b;c,d;e\n1,5;2;3\n", {"a,b": ["1,5"], "c,d": [2], "e": [3]}),
        ("a\n1\n2", {"a": [1, 2]}),
        ("a,b\r\n1,2\r\n\r\n3,4\r\n", {"a": [1, 3], "b": [2, 4]}),
        ("a,b\r1,2\r3,4\r", {"a": [1, 3], "b": [2, 4]}),
        ("\n\na,b\n1,2\n", {"a": [1], "b": [2]}),
        ("\ufeffa,b\n1,2\n", {"a": [1], "b": [2]}),
        ('a,"b\nc"\n1,"x\ny"\n', {"a": [1], "b\nc": ["x\ny"]}),
        ('a,b\n1,"x ""y"", z"\n', {"a": [1], "b": ['x "y", z']}),
        ("a,b\n1,true\n2,False\n", {"a": [1, 2], "b": ["true", "False"]}),
        (",a\n1,2\n", {"": [1], "a": [2]}),
        ("a,b\n1,2\n1,\0002\n", {"a": [1, 1], "b": ["2", "\0002"]}),
        ("a,b\n1,inf\n2,-Infinity\n", {"a": [1, 2], "b": [np.inf, -np.inf]}),
    ],
)
def test_cells(tmp_path, content, cells):
    assert read(tmp_path, content) == cells


def test_compressed_files_and_tabs_by_extension(tmp_path):
    assert read(tmp_path, gzip.compress(b"a,b\n1,2\n"), "a.csv.gz") == {"a": [1], "b": [2]}
    assert read(tmp_path, "a\n1\n", "b.tsv") == {"a": [1]}


def test_whole_numbers_first_and_fractions_later(tmp_path):
    cells = read(tmp_path, "a\n" + "1\n" * MANY + "2.5\n")
    assert cells["a"][-2:] == [1.0, 2.5]


def test_missing_first_and_numbers_later(tmp_path):
    cells = read(tmp_path, "a,b\n" + ",1\n" * MANY + "2.5,1\n")
    assert cells["a"][-2:] == [None, 2.5]


def test_dates_are_known_and_read_as_text(tmp_path):
    (tmp_path / "a.csv").write_text("d,t\n2024-01-31,2024-01-31 10:00:00\n")
    assert set(open_table(tmp_path / "a.csv").types.values()) == {ColumnType.TIMESTAMP}


@pytest.mark.parametrize("rows", [1, MANY])
def test_text_in_a_column_of_numbers_is_named(tmp_path, rows):
    first = "1,2\n" * MANY
    error = refusal(tmp_path, "a,b\n" + first + "1,2\n" * (rows - 1) + "3,oops\n")
    assert (error.row, error.column) == (MANY + rows, "b")
    assert "'oops'" in error.message


def test_ragged_rows_are_named_with_both_counts(tmp_path):
    for row, fields in (("3\n", "1 field,"), ("3,4,5\n", "3 fields,")):
        error = refusal(tmp_path, "a,b\n" + "1,2\n" * MANY + row)
        assert error.row == MANY + 1
        assert fields in error.message
        assert "2 columns" in error.message


def test_rows_are_counted_as_rows_not_lines(tmp_path):
    error = refusal(tmp_path, 'a,b\n\n"x\ny",1\n\nz,1\nw\n')
    assert error.row == 3


@pytest.mark.parametrize("cell", ["z\xe9", "5\xe9"])
def test_wrong_encoding_is_named_with_byte_and_row(tmp_path, cell):
    content = ("a,b\n" + "1,x\n" * MANY + f"2,{cell}\n").encode("latin-1")
    error = refusal(tmp_path, content)
    assert error.row == MANY + 1
    assert f"byte {content.index(0xE9)} " in error.message
    assert "UTF-8" in error.fix


def test_a_character_cut_by_a_chunk_border_is_no_error(tmp_path):
    text = "a\n" + "é" * ((1 << 20) // 2 + 5) + "\n"
    assert read(tmp_path, text)["a"] == [text[2:-1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"a,b\n", "no rows"),
        (b"a,b", "no rows"),
        (b"1,2\n3,4\n", "no header line"),
        (b"1.5e3\n", "no header line"),
        (b"a,b,a\n1,2,3\n", "2 columns have this name"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"a\xff,b\n1,2\n", "byte 1 of the header"),
        (b"a\0,b\n1,2\n", "NUL"),
        (b"\0\0\0", "NUL"),
        (b'a,b\n1,x\n2,"y\n3,z\n', "never closed"),
    ],
)
def test_what_is_no_proper_file_is_named(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content)
    assert caught.value.fix


def test_a_quote_without_an_end_is_found_even_in_a_column_not_read(tmp_path):
    (tmp_path / "a.csv").write_text('a,b\n1,x\n2,"y\n3,z\n')
    with pytest.raises(DataError, match="never closed") as caught:
        list(open_table(tmp_path / "a.csv", columns=["a"]).batches())
    assert caught.value.row == 2


def test_damaged_compression_is_an_error(tmp_path):
    whole = gzip.compress(np.random.default_rng(0).bytes(200_000).hex().encode())
    assert "cannot be read" in refusal(tmp_path, whole[:-5000], "a.csv.gz").message
    assert "cannot be read" in refusal(tmp_path, b"no gzip", "a.csv.gz").message


def test_many_columns(tmp_path):
    names = [f"column {index}" for index in range(20_000)]
    rows = np.arange(60_000).reshape(3, 20_000)
    content = ",".join(names) + "\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n"
    cells = read(tmp_path, content)
    assert list(cells) == names
    np.testing.assert_array_equal(np.array(list(cells.values())), rows.T)


def test_files_of_a_folder_share_the_types_of_the_first(tmp_path):
    (tmp_path / "1.csv").write_text("a\n1\n")
    (tmp_path / "2.csv").write_text("a\nx\n")
    with pytest.raises(DataError, match="text 'x'") as caught:
        list(open_table(tmp_path).batches())
    assert (caught.value.file, caught.value.row) == (str(tmp_path / "2.csv"), 1)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
hostile = st.lists(names, min_size=1, max_size=4, unique=True).filter(
    lambda row: any(name.strip() and not is_number(name) for name in row)
)


@per_folder
@given(header=hostile, data=st.data())
def test_any_names_written_by_the_csv_module_read_back(tmp_path, header, data):
    cells = st.one_of(st.floats(allow_nan=False), st.integers(-(2**53), 2**53).map(float))
    rows = data.draw(
        st.lists(st.lists(cells, min_size=len(header), max_size=len(header)), min_size=1, max_size=5)
    )
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows([header, *rows])
    found = read(tmp_path, text.getvalue())
    assert list(found) == header
    np.testing.assert_array_equal(np.array(list(found.values())).T, np.array(rows))


@per_folder
@given(st.binary(max_size=200) | st.text('ab,;"\n\r\t 1.0\0é', max_size=60).map(str.encode))
def test_any_bytes_give_cells_or_a_typed_error(tmp_path, content):
    found = outcome(lambda: read(tmp_path, content))
    assert (
        found.fix if isinstance(found, LogpxError) else len({len(column) for column in found.values()}) == 1
    )


@per_folder
@given(st.binary(min_size=1, max_size=4), st.integers(0, 400))
def test_any_damage_to_a_good_file_gives_cells_or_a_typed_error(tmp_path, patch, place):
    good = b"a,b,c\n" + b"".join(b"%d,%.3f,t%d\n" % (row, row / 7, row) for row in range(40))
    found = outcome(lambda: read(tmp_path, good[:place] + patch + good[place + len(patch) :]))
    assert found.fix if isinstance(found, LogpxError) else found
