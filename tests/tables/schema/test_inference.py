"""Which kind a column is given, and what an override may change."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logpx.errors import DataError, UsageError
from logpx.tables import Column, Kind, Schema, infer_schema, open_table, parse_columns

generator = np.random.default_rng(0)
N = 2000
normal = generator.normal(size=N)
whole = generator.integers(0, 50, N)


def infer(values, name="a", **options):
    return infer_schema({name: values}, **options).columns[0]


@pytest.mark.parametrize(
    ("values", "name", "kind"),
    [
        (normal, "a", Kind.CONTINUOUS),
        (normal, "id", Kind.CONTINUOUS),
        (np.sort(normal), "index", Kind.CONTINUOUS),
        (normal + 10, "a", Kind.CONTINUOUS),
        (np.exp(normal), "a", Kind.POSITIVE),
        (np.append(np.exp(normal), 0.0), "a", Kind.CONTINUOUS),
        (np.exp(normal[:50]), "a", Kind.CONTINUOUS),
        (generator.beta(0.5, 0.5, N), "a", Kind.BOUNDED),
        (100 * generator.beta(0.5, 0.5, N), "a", Kind.BOUNDED),
        (np.append(generator.beta(0.5, 2.0, N) * 0.7, 0.999), "a", Kind.POSITIVE),
        (generator.uniform(0, 1, N) * 0.5 + 0.2, "a", Kind.CONTINUOUS),
        (whole, "a", Kind.INTEGER),
        (whole.astype(float), "a", Kind.INTEGER),
        (whole * 1.0 + 2.0**53, "a", Kind.CONTINUOUS),
        (np.arange(N), "a", Kind.IDENTIFIER),
        (np.arange(1, N + 1), "a", Kind.IDENTIFIER),
        (np.arange(5), "a", Kind.INTEGER),
        (np.arange(N)[::-1], "a", Kind.INTEGER),
        (generator.permutation(N) + 5000, "a", Kind.INTEGER),
        (generator.permutation(N) + 5000, "customer_id", Kind.IDENTIFIER),
        (generator.permutation(N) + 5000, "userId", Kind.IDENTIFIER),
        (generator.permutation(N) + 5000, "", Kind.IDENTIFIER),
        (generator.permutation(N) + 5000, "humid", Kind.INTEGER),
        (whole, "id", Kind.INTEGER),
        (np.full(N, 3.5), "a", Kind.CONSTANT),
        (["x"] * 5, "a", Kind.CONSTANT),
        (["x", "y", "x"], "a", Kind.CATEGORICAL),
        (["x", None, "x"], "a", Kind.CONSTANT),
        (np.append(np.full(N, 3.5), np.nan), "a", Kind.CONSTANT),
        ([True, False, True], "a", Kind.CATEGORICAL),
        (["u1", "u2", "u3"], "row name", Kind.IDENTIFIER),
        (["u1", "u2", "u3"], "a", Kind.CATEGORICAL),
        ([f"u{index}" for index in range(10)], "a", Kind.IDENTIFIER),
        ([f"u{index}" for index in range(10_500)], "a", Kind.IDENTIFIER),
        (np.full(N, np.nan), "a", Kind.EMPTY),
        ([None, None], "a", Kind.EMPTY),
        (np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[s]"), "a", Kind.TIMESTAMP),
        (np.append(normal, np.inf), "a", Kind.CONTINUOUS),
    ],
)
def test_kinds(values, name, kind):
    column = infer(values, name)
    assert column.kind is kind
    assert column.reason


def test_statistics_and_support():
    schema = infer_schema(
        {"a": [4.0, None, 1.0, 4.0], "p": [0.5, 1.5, 2.5, 3.5], "t": ["x", None, None, "y"]}
    )
    a, p, t = schema.columns
    assert (schema.rows, schema.sampled) == (4, 4)
    assert (a.minimum, a.maximum, a.missing, a.distinct, a.step) == (1.0, 4.0, 1, 2, 1.0)
    assert (p.lower, p.upper) == (None, None)
    assert (t.missing, t.distinct, t.minimum) == (2, 2, None)
    column = infer(generator.beta(0.5, 0.5, N))
    assert (column.lower, column.upper) == (0.0, 1.0)
    assert infer(np.exp(normal)).lower == 0.0
    assert infer(np.full(3, 2.5)).value == 2.5
    assert infer(np.round(np.exp(normal), 2)).step == 0.01


@pytest.mark.parametrize("make", [pd.DataFrame, lambda columns: columns])
def test_a_schema_does_not_depend_on_where_the_table_is(tmp_path, make):
    columns = {"x": normal, "n": whole.astype(float), "t": ["u", "v"] * (N // 2)}
    pd.DataFrame(columns).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame(columns).to_parquet(tmp_path / "a.parquet")
    expected = infer_schema(make(columns))
    assert infer_schema(tmp_path / "a.csv") == expected
    assert infer_schema(open_table(tmp_path / "a.parquet")) == expected


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.lists(st.floats() | st.none() | st.integers(-3, 3), min_size=2, max_size=12),
        min_size=1,
        max_size=3,
    ).filter(lambda columns: len({len(values) for values in columns.values()}) == 1)
)
def test_any_numbers_give_a_schema_that_survives_json(columns):
    schema = infer_schema({name: np.array(values, dtype=float) for name, values in columns.items()})
    assert schema.names == list(columns)
    assert Schema.from_json(schema.to_json()) == schema
    for column in schema.columns:
        if column.kind is Kind.INTEGER:
            assert column.step is not None


def test_overrides_change_kinds_and_keep_the_rest():
    table = {"a": whole, "b": normal, "c": np.exp(normal), "d": generator.beta(2, 2, N)}
    schema = infer_schema(table, parse_columns("a=continuous,b=drop,c=bounded:0:1000,d=bounded"))
    a, b, c, d = schema.columns
    assert (a.kind, a.step, a.reason.partition(";")[0]) == (Kind.CONTINUOUS, 1.0, "chosen by the user")
    assert (b.kind, b.distinct) == (Kind.DROP, 0)
    assert (c.lower, c.upper) == (0.0, 1000.0)
    assert (d.lower, d.upper) == (0.0, 1.0)


def test_pinned_fields_win():
    column = Column(name="a", kind=Kind.INTEGER, step=5.0, offset=0.0, lower=0.0)
    found = infer(whole, overrides={"a": column})
    assert (found.step, found.lower, found.distinct) == (5.0, 0.0, 50)
    free = Schema.from_json('{"columns": [{"name": "a", "kind": "continuous", "step": null}]}')
    assert infer(whole, overrides=free).step is None


def test_a_whole_schema_can_be_given_back():
    table = {
        "id": np.arange(N),
        "x": normal,
        "k": np.ones(N),
        "e": np.full(N, np.nan),
        "t": ["u", "v"] * (N // 2),
    }
    schema = infer_schema(table)
    again = infer_schema(table, schema)
    assert [(c.name, c.kind, c.step, c.lower) for c in again.columns] == [
        (c.name, c.kind, c.step, c.lower) for c in schema.columns
    ]


def test_columns_left_out_are_not_read_as_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("x,code,y\n" + "1,2,3\n" * 200_000 + "2,B7,4\n")
    column = infer_schema(tmp_path / "a.csv").columns[1]
    assert (column.kind, column.levels) == (Kind.MIXED, ["2", "B7"])
    assert "'B7'" in column.reason
    for kind in ("drop", "categorical", "identifier"):
        schema = infer_schema(tmp_path / "a.csv", {"code": kind})
        assert schema.columns[1].kind == kind
    assert schema.rows == 200_001


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([-1.0, 2.5], "positive", "smallest value is -1"),
        ([0.0, 2.5], "positive", "smallest value is 0"),
        ([1.5, 2.0], "integer", "fractions"),
        ([1.0, 2.0], "constant", "differ"),
        ([1.0, 200.0], "bounded", "neither"),
        ([1.0, 20.0], "bounded:0:10", "largest value is 20"),
        ([-1.0, 2.0], "bounded:0:10", "smallest value is -1"),
        (["x", "y"], "continuous", "does not hold numbers"),
        (["x", "y"], "constant", "does not hold numbers"),
        ([np.nan, np.nan], "continuous", "no row has a value"),
    ],
)
def test_overrides_that_contradict_the_values(values, kind, message):
    with pytest.raises(DataError, match=message) as caught:
        infer(values, overrides=parse_columns(f"a={kind}"))
    assert caught.value.column == "a"
    assert caught.value.fix


def test_labels_may_be_pinned_constant():
    assert infer(["x", "x"], overrides={"a": "constant"}).value == "x"


def test_tables_too_small_to_have_a_schema():
    with pytest.raises(DataError, match="one row"):
        infer([1.0])
    with pytest.raises(DataError, match="every column is left out"):
        infer([1.0, 2.0], overrides={"a": "drop"})
    with pytest.raises(UsageError, match="sample of 0 rows"):
        infer([1.0, 2.0], sample_rows=0)


def test_fractions_missed_by_the_sample_do_not_make_a_uniform_grid():
    values = generator.integers(0, 50, 100_000).astype(float)
    values[17] = 0.5
    column = infer(values, sample_rows=100)
    assert (column.kind, column.step, column.uniform) == (Kind.CONTINUOUS, 1.0, False)


@pytest.mark.parametrize("row", [0, 7, 99])
def test_text_among_the_numbers_of_a_text_file_is_named_by_its_row(tmp_path, row):
    cells = [f"{value:.6f}" for value in normal[:100]]
    cells[row] = "n. a."
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["a", *cells]))
    schema = infer_schema(path)
    with pytest.raises(
        DataError, match=rf"text 'n\. a\.' where a number was expected, row {row + 1}\)"
    ) as caught:
        schema.require_modelled(path)
    assert (caught.value.file, caught.value.column) == (str(path), "a")
    assert infer_schema(path, schema).columns[0].kind is Kind.MIXED
    (column,) = infer_schema(path, {"a": "categorical"}).columns
    assert column.kind is Kind.CATEGORICAL


def test_labels_of_which_some_are_numbers_are_labels(tmp_path):
    (tmp_path / "t.csv").write_text("a\n" + "1\n2\nx\ny\n" * 20)
    assert infer_schema(tmp_path / "t.csv").columns[0].kind is Kind.CATEGORICAL


def test_labels_that_are_said_to_be_numbers_are_named_by_row(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    with pytest.raises(DataError, match="text 'x'") as caught:
        infer_schema(tmp_path / "t.csv", {"b": "continuous"})
    assert (caught.value.row, caught.value.column) == (1, "b")
