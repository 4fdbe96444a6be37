"""A table before anything is fitted: all problems at once, and kinds that pin each decision."""

import shlex
from datetime import date, timedelta

import numpy as np
import pytest

from logpx.errors import DataError, UsageError
from logpx.tables import Column, Kind, Schema, fit_table, infer_schema, inspect_table, parse_columns


def a_table_of_every_kind(rows: int = 300) -> dict[str, list]:
    draw = np.random.default_rng(5)
    days = [date(2021, 1, 1) + timedelta(days=int(n)) for n in draw.integers(0, 900, rows)]
    return {
        "id": list(range(rows)),
        "city": draw.choice(["Bern", "Graz", "Ulm"], rows).tolist(),
        "price": np.exp(draw.normal(3, 2, rows)).tolist(),
        "share": draw.beta(0.4, 0.4, rows).tolist(),
        "count": draw.poisson(4, rows).tolist(),
        "a, b": draw.normal(size=rows).tolist(),
        "same": [7] * rows,
        "nothing": [None] * rows,
        "when": [day.strftime("%d.%m.%Y") for day in days],
        "flag": draw.choice([True, False], rows).tolist(),
    }


def given(option: str) -> dict[str, Column]:
    words = shlex.split(option)
    assert words[0] == "--columns"
    return parse_columns(words[1])


def test_the_pins_give_the_same_kinds_again():
    table = a_table_of_every_kind()
    found = inspect_table(table)
    assert found.problems == []
    kinds = [column.kind for column in found.schema.columns]
    assert set(kinds) >= {Kind.IDENTIFIER, Kind.CATEGORICAL, Kind.POSITIVE, Kind.BOUNDED, Kind.INTEGER}
    assert set(kinds) >= {Kind.CONTINUOUS, Kind.CONSTANT, Kind.EMPTY, Kind.TIMESTAMP}
    again = infer_schema(table, given(found.option))
    for before, after in zip(found.schema.columns, again.columns, strict=True):
        wanted = Kind.DROP if before.kind is Kind.EMPTY else before.kind
        assert (after.name, after.kind, after.levels) == (before.name, wanted, before.levels)
        if before.kind in {Kind.BOUNDED, Kind.TIMESTAMP}:
            assert (after.lower, after.upper, after.notation) == (before.lower, before.upper, before.notation)


def test_problems_of_all_columns_are_found_at_once_and_raised_by_a_fit(tmp_path):
    rows = [
        f"{i},{i * i % 17 - 5},{'oops' if i == 30 else i * 0.7},{i % 12 + 1:02d}/05/2020" for i in range(60)
    ]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["k,low,mixed,when", *rows, ""]))
    found = inspect_table(table, columns={"low": "positive"})
    assert [problem.column for problem in found.problems] == ["low", "mixed", "when"]
    low, mixed, when = found.problems
    assert low.message == "the smallest value is -5, so the column is not positive"
    assert "'oops'" in mixed.message
    assert "row 31" in mixed.message
    assert "day and month cannot be told apart" in when.message
    assert {problem.file for problem in found.problems} == {str(table)}
    # A column that contradicts its kind is shown with the kind that it would have without it.
    assert found.schema.columns[1].kind is Kind.INTEGER
    with pytest.raises(DataError, match="3 columns") as caught:
        fit_table(table, columns={"low": "positive"})
    for problem in found.problems:
        assert problem.message in caught.value.message


def test_text_in_several_columns_of_numbers_whose_kinds_are_given(tmp_path):
    rows = [f"{'x' if i == 20 else i}.5,{'y' if i == 30 else i}.5" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b", *rows, ""]))
    found = inspect_table(tmp_path / "t.csv", columns={"a": "continuous", "b": "positive"})
    assert [(problem.column, problem.row) for problem in found.problems] == [("a", 21), ("b", 31)]


def test_columns_that_others_determine():
    a, b, c = np.random.default_rng(1).normal(size=(3, 200))
    table = {"a": a, "b": b, "c": c, "s": a + b, "t": a - 2 * c}
    (problem,) = inspect_table(table).problems
    assert problem.message == "the columns s, t are linear combinations of other columns"
    with pytest.raises(DataError) as caught:
        fit_table(table, "gaussian")
    assert caught.value.message == problem.message
    a[::7] = np.nan
    (problem,) = inspect_table({"a": a, "b": b, "s": a + b}).problems
    assert problem.column == "s"
    assert problem.fix == "leave it out: --columns s=drop"


def test_rows_are_checked_against_a_schema():
    kinds = {"lower": 0.0, "upper": 1.0}
    columns = [Column(name=name, kind=Kind.BOUNDED, **kinds) for name in ("a", "b", "c")]
    draw = np.random.default_rng(2).uniform(0.1, 0.9, size=(3, 50))
    draw[0, 7], draw[2, 9] = 1.5, -0.5
    table = dict(zip("abc", draw, strict=True))
    found = inspect_table(table, schema=Schema(columns=columns))
    assert [problem.column for problem in found.problems] == ["a", "c"]
    assert "1.5" in found.problems[0].message
    with pytest.raises(DataError, match="2 columns"):
        fit_table(table, "gaussian", schema=Schema(columns=columns))


def test_a_schema_stays_as_it_is():
    table = a_table_of_every_kind()
    schema = infer_schema(table, {"count": "continuous"})
    found = inspect_table(table, schema=schema)
    assert found.schema.rows == schema.rows
    # Why they are so is said anew: the file may have been edited.
    assert [column.model_copy(update={"reason": ""}) for column in found.schema.columns] == [
        column.model_copy(update={"reason": ""}) for column in schema.columns
    ]
    assert found.problems == []


def test_what_is_left_out_is_one_line():
    found = inspect_table(a_table_of_every_kind())
    assert found.left_out == (
        "left out, 3 of 10 columns: 'id' (identifier), 'same' (constant), 'nothing' (empty)"
    )
    assert inspect_table({"x": [0.5, 1.5, 2.5]}).left_out is None


def test_nothing_to_model_is_a_problem():
    (problem,) = inspect_table({"k": [1.0, 1.0, 1.0]}).problems
    assert "no column is left to model" in problem.message


def test_a_schema_and_kinds_do_not_go_together():
    with pytest.raises(UsageError, match="both a schema and columns"):
        inspect_table({"x": [0.5, 1.5]}, schema=infer_schema({"x": [0.5, 1.5]}), columns={"x": "drop"})
