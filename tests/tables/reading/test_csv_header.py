"""What stands around the header of a delimited text file, and how it is recognised."""

import gzip
import io
import subprocess

import pandas as pd
import pytest

from logpx.errors import DataError
from logpx.tables import open_table


def read(folder, content, name="a.csv"):
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    table = open_table(folder / name)
    pieces = [batch.columns.to_pydict() for batch in table.batches()]
    return {name: [cell for piece in pieces for cell in piece[name]] for name in table.names}, table.notes


@pytest.mark.parametrize(
    ("above", "note"),
    [
        ("# made by x\n", "'# made by x'"),
        ("# made by x\n# on: 1, 2 and 3\n\n", "2 lines above the header are skipped: '# made by x'"),
        ("# a comment, as wide as the table\n", "'# a comment, as wide as the table'"),
        ("Weather of 2020\n", "the line above the header is skipped: 'Weather of 2020'"),
        ('"Weather, hourly"\n\n', "Weather, hourly"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_comments_and_titles_above_the_header(tmp_path, above, note, end):
    body = "a,b\n1,x\n2.5,y\n"
    cells, notes = read(tmp_path, ("\ufeff" + above + body).replace("\n", end))
    assert cells == pd.read_csv(io.StringIO(body)).to_dict("list")
    assert note in notes[0]


def test_a_title_of_a_spreadsheet_has_the_commas_of_the_table(tmp_path):
    cells, notes = read(tmp_path, "Weather,,\n,,\na,b,c\n1,2,3\n4,5,6\n")
    assert cells == {"a": [1, 4], "b": [2, 5], "c": [3, 6]}
    assert "2 lines" in notes[0]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("#id,name\n1,x\n2,y\n", ["#id", "name"]),
        ("# a,b\n1,2\n3,4\n", ["# a", "b"]),
        ("# about\n# a,b\n1,2\n3,4\n", ["# a", "b"]),
        ("#a\n1\n2\n", ["#a"]),
        ("id,,\n1,,\n2,,\n", ["id"]),
        ("title\nred\nblue\n", ["title"]),
        ("title\nred, light\nblue\n", None),
        (",a\n0,5\n1,6\n", ["", "a"]),
    ],
)
def test_what_only_looks_like_a_comment_or_a_title_is_the_header(tmp_path, content, names):
    if names is None:
        with pytest.raises(DataError, match="2 fields"):
            read(tmp_path, content)
    else:
        assert list(read(tmp_path, content)[0]) == names


@pytest.mark.parametrize("content", ["# c\n1,2\n3,4\n", "#name,color\nann,red\nbob,blue\n", "# alone\n"])
def test_a_header_that_cannot_be_told_is_an_error(tmp_path, content):
    with pytest.raises(DataError, match=r"no header line|no rows") as caught:
        read(tmp_path, content)
    assert caught.value.fix


@pytest.mark.parametrize(
    "content",
    [
        "5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,virginica\n",
        "0,0,b\n1,2,a\n3,4,b\n",
        "yes,no\nno,no\nyes,yes\n",
    ],
)
def test_a_first_row_is_no_header(tmp_path, content):
    with pytest.raises(DataError, match="no header line: the first line"):
        read(tmp_path, content)


@pytest.mark.parametrize("header", ["town,2019,2020", "class,x,1", "a,b,c"])
def test_numbers_may_be_among_names(tmp_path, header):
    assert list(read(tmp_path, header + "\nRome,1,2\nOslo,3,4\n")[0]) == header.split(",")


def test_units_below_the_header(tmp_path):
    cells, notes = read(tmp_path, "v,place,T\n(m/s),,[°C]\n1,x,2\n3,y,\n")
    assert cells == {"v": [1, 3], "place": ["x", "y"], "T": [2, None]}
    assert "(m/s), [°C]" in notes[0]


@pytest.mark.parametrize(
    ("content", "first"),
    [
        ('a\n"(0, 1]"\n"(1, 2]"\n', "(0, 1]"),
        ("a,b\n(x),(y)\n(z),(x)\n", "(x)"),
        # Accountants write negative numbers so.
        ("a,b\n(5),(6)\n1,2\n", -5.0),
    ],
)
def test_brackets_that_are_no_units(tmp_path, content, first):
    cells, notes = read(tmp_path, content)
    assert cells["a"][0] == first
    assert notes == []


@pytest.mark.parametrize(
    "content", ["a,b,\n1,2,\n3,4,\n", "a,b,,\n1,2,,\n3,4,,\n", "a,b\n1,2,\n3,4,\n", "a,b,\n1,2\n3,4\n"]
)
def test_trailing_commas(tmp_path, content):
    cells, notes = read(tmp_path, content)
    assert cells == {"a": [1, 3], "b": [2, 4]}
    assert "without a name" in notes[0]
    assert open_table(tmp_path / "a.csv").count_rows() == 2


def test_an_empty_column_with_a_name_is_a_column(tmp_path):
    assert read(tmp_path, "a,b,c\n1,2,\n3,4,\n") == ({"a": [1, 3], "b": [2, 4], "c": [None, None]}, [])


def test_trailing_commas_hide_no_value(tmp_path):
    assert read(tmp_path, "a,\n1,\n2,3\n")[0] == {"a": [1, 2], "": [None, 3]}
    with pytest.raises(DataError, match="the value '3' in a column that has no name") as caught:
        read(tmp_path, "a,,\n" + "1,,\n" * 100 + "2,,3\n")
    assert caught.value.row == 101


def test_all_repeated_names_are_told(tmp_path):
    with pytest.raises(DataError, match=r"'a' \(2 columns\), 'b' \(3 columns\)"):
        read(tmp_path, "a,b,a,b,c,b\n1,2,3,4,5,6\n")


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ("a;b\n20,1;7,3\n", {"a": [20.1], "b": [7.3]}),
        ("x,y;z\n20,1;7\n", {"x,y": [20.1], "z": [7]}),
        ("a;b\n" + "20,1;7,3\n" * 60, {"a": [20.1] * 60, "b": [7.3] * 60}),
        ("Preise\na;b\n20,1;7\n21,5;8\n", {"a": [20.1, 21.5], "b": [7, 8]}),
        ("price\n20,1\n21,5\n", {"price": [20.1, 21.5]}),
        ("sep=;\na;b\n1;2\n", {"a": [1], "b": [2]}),
        ("a\nx;y\nz;w\n", {"a": ["x;y", "z;w"]}),
    ],
)
def test_decimal_commas_do_not_divide_fields(tmp_path, content, cells):
    assert read(tmp_path, content)[0] == cells


def test_spaces_divide_fields_of_plain_text_alone(tmp_path):
    assert read(tmp_path, "a b\n1 x\n2 y\n", "a.txt")[0] == {"a": [1, 2], "b": ["x", "y"]}
    assert read(tmp_path, "a b\nx 1\ny 2\n", "a.csv")[0] == {"a b": ["x 1", "y 2"]}
    assert read(tmp_path, "a name\nann lee\nbob ray\n", "b.txt")[0] == {"a name": ["ann lee", "bob ray"]}


def test_numbers_between_spaces_are_no_header(tmp_path):
    for content in ("1 2\n3 4\n", " 1   2\n 3  44\n"):
        with pytest.raises(DataError, match="no header line"):
            read(tmp_path, content, "a.txt")


def test_columns_aligned_by_spaces_are_converted_by_the_command_of_the_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="several spaces") as caught:
        read(tmp_path, "  a   b\n  1  20\n 10   2\n", "a b.txt")
    subprocess.run(caught.value.fix.partition("commas: ")[2], shell=True, check=True)
    (batch,) = open_table("a b.csv").batches()
    assert batch.columns.to_pydict() == {"a": [1, 10], "b": [20, 2]}


@pytest.mark.parametrize("name", ["a.csv", "it's.csv.gz"])
@pytest.mark.parametrize(
    ("encoding", "content"),
    [("cp1252", "Ort,b\nZürich,1\n"), ("latin-1", "Straße,b\nx,1\n"), ("utf-16", "é,b\nx,1\n")],
)
def test_the_command_that_converts_to_utf8_works(tmp_path, monkeypatch, name, encoding, content):
    path = tmp_path / name
    encoded = content.encode(encoding)
    path.write_bytes(gzip.compress(encoded) if name.endswith("gz") else encoded)
    with pytest.raises(DataError, match="UTF-8") as caught:
        open_table(path).count_rows()
    monkeypatch.chdir(tmp_path)
    command = caught.value.fix.partition("UTF-8: ")[2]
    subprocess.run(command, shell=True, check=True)
    (converted,) = tmp_path.glob("*.utf8.csv")
    (batch,) = open_table(converted).batches()
    pd.testing.assert_frame_equal(
        batch.columns.to_pandas(), pd.read_csv(io.StringIO(content)), check_dtype=False
    )
