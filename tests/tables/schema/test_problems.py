"""All columns that cannot be modelled are named at once, and the option that an error offers works."""

import re
import shlex

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from logpx.errors import DataError
from logpx.tables import Column, Kind, Schema, fit_table, infer_schema, open_table, parse_columns

ROWS = 3000
RANDOM = np.random.default_rng(0)


@pytest.fixture
def messy() -> pd.DataFrame:
    """Return columns of every kind that is a problem, and of some that are none."""
    texts = np.array([f"t{index}" for index in range(1500)])
    return pd.DataFrame(
        {
            "x": RANDOM.normal(size=ROWS),
            "code, old": np.where(
                RANDOM.random(ROWS) < 0.01, "c118", RANDOM.integers(1, 9, ROWS).astype(str)
            ),
            'the "many"': np.concatenate([texts, texts]),
            "mixed": [*map(str, RANDOM.normal(size=ROWS - 1)), "oops"],
            "name": [f"n{index}" for index in range(ROWS)],
            "empty": np.full(ROWS, np.nan),
        }
    )


def refusal(source) -> DataError:
    schema = infer_schema(source)
    with pytest.raises(DataError) as caught:
        schema.require_modelled("t.csv")
    return caught.value


def offered(fix: str) -> dict[str, Column]:
    """Return what the last option of a fix says, as a shell and the command line read it."""
    words = shlex.split(fix[fix.rindex("--columns") :])
    assert words[0] == "--columns"
    assert len(words) == 2
    return parse_columns(words[1])


def test_all_problems_at_once_and_a_way_out_that_works(messy, tmp_path):
    messy.to_csv(tmp_path / "t.csv", index=False)
    error = refusal(tmp_path / "t.csv")
    row = int(np.flatnonzero(messy["code, old"] == "c118")[0]) + 1
    assert error.column is None
    for part in (
        "3 columns cannot be modelled",
        f"'code, old': numbers and text are mixed (text 'c118' where a number was expected, row {row})",
        "categorical or drop",
        "'the \"many\"': too many different labels",
        f"text 'oops' where a number was expected, row {ROWS}): drop",
    ):
        assert part in error.message
    result = fit_table(tmp_path / "t.csv", "gaussian", columns=offered(error.fix))
    assert result.model.schema.modelled_names == ["x"]
    kinds = {column.name: column.kind for column in result.model.schema.columns}
    assert (kinds["name"], kinds["empty"]) == (Kind.IDENTIFIER, Kind.EMPTY)


def test_each_remedy_of_one_column_works(messy, tmp_path):
    messy[["x", "code, old"]].to_csv(tmp_path / "t.csv", index=False)
    error = refusal(tmp_path / "t.csv")
    assert error.column == "code, old"
    options = re.findall(r"--columns ('[^']*')", error.fix)
    assert len(options) == 2
    for option in options:
        schema = infer_schema(tmp_path / "t.csv", parse_columns(shlex.split(option)[0]))
        schema.require_modelled()
    assert schema.modelled_names == ["x"]


def test_where_leaving_out_leaves_nothing_labels_are_offered(messy, tmp_path):
    messy[["code, old", "mixed"]].to_csv(tmp_path / "t.csv", index=False)
    kinds = offered(refusal(tmp_path / "t.csv").fix)
    assert [column.kind for column in kinds.values()] == [Kind.CATEGORICAL, Kind.DROP]
    infer_schema(tmp_path / "t.csv", kinds).require_modelled()
    messy[["mixed"]].to_csv(tmp_path / "t.csv", index=False)
    assert "--columns" not in refusal(tmp_path / "t.csv").fix


def test_many_problems_are_counted_but_all_are_in_the_option():
    names = [f"c{index}" for index in range(50)]
    columns = [
        Column(name="x", kind=Kind.CONTINUOUS),
        *(Column(name=n, kind=Kind.CATEGORICAL) for n in names),
    ]
    with pytest.raises(DataError, match="50 columns cannot be modelled") as caught:
        Schema(columns=columns).require_modelled()
    assert "and 30 more" in caught.value.message
    assert list(offered(caught.value.fix)) == names


def test_text_beyond_the_first_block_of_several_columns(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,c\n" + "1.5,2,3\n" * 200_000 + "2,B7,x\n")
    error = refusal(tmp_path / "t.csv")
    assert "'B7'" in error.message
    assert "'x'" in error.message
    assert set(offered(error.fix)) == {"b", "c"}


def test_a_line_of_units_is_suspected(tmp_path):
    (tmp_path / "t.csv").write_text("v,T,n\nm/s,degC,1\n1.5,2,2\n2.5,3,3\n")
    assert "if row 1 is a line of units, remove it" in refusal(tmp_path / "t.csv").message


def test_other_types_and_empty_columns_are_left_out():
    table = {"x": [1.5, 2.5, 4.0] * 20, "n": [[1], [2], [3]] * 20, "e": [None] * 60}
    schema = infer_schema(pa.table(table))
    schema.require_modelled()
    assert [column.kind for column in schema.columns] == [Kind.CONTINUOUS, Kind.OTHER, Kind.EMPTY]


def test_nothing_left_says_why_of_every_column():
    with pytest.raises(DataError, match="'k' is left out: a single value") as caught:
        infer_schema({"k": [1.0, 1.0], "e": [None, None]}).require_modelled()
    assert "'e' is left out" in caught.value.message


def test_all_kinds_that_do_not_fit_are_named_at_once():
    with pytest.raises(DataError, match="2 columns") as caught:
        infer_schema({"a": [0.5, 1.5], "b": [-1.0, 20.0]}, {"a": "integer", "b": "bounded"})
    assert "'a': some values have fractions" in caught.value.message
    assert "'b': values from -1 to 20" in caught.value.message
    with pytest.raises(DataError, match="neither") as caught:
        infer_schema({"a": [0.5, 1.5], "b, c": [-1.5, 20.5]}, {"b, c": "bounded"})
    kinds = offered(caught.value.fix)
    assert infer_schema({"a": [0.5, 1.5], "b, c": [-1.5, 20.5]}, kinds).columns[1].lower == -2


def test_a_sheet_and_json_are_asked_about_like_text_files(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"x": 1.5, "c": 1}\n{"x": 2, "c": 2}\n{"x": 3, "c": "B7"}\n' * 9)
    error = refusal(open_table(tmp_path / "t.jsonl"))
    assert "'B7'" in error.message
    assert "row 3" in error.message
