"""Rows that no density can describe, or that contradict a schema, are refused before anything is fitted."""

import shlex

import numpy as np
import pytest
import torch

from logpx.errors import DataError
from logpx.tables import Column, Kind, Schema, fit_table, parse_columns
from logpx.tables.fitting.requirements import require_support


def test_columns_on_a_grid_need_no_more_rows_than_columns():
    x = np.random.default_rng(0).integers(0, 9, (10, 12))
    result = fit_table(x, "gaussian")
    assert torch.isfinite(result.model.log_prob(x)).all()


def test_a_redundant_column_of_a_file_is_named_with_the_file(tmp_path):
    a = np.random.default_rng(0).normal(size=100)
    path = tmp_path / "t.csv"
    np.savetxt(path, np.stack([a, 2 * a + 1], 1), delimiter=",", header="a,b", comments="")
    with pytest.raises(DataError, match="linear combination") as caught:
        fit_table(path, "gaussian")
    assert (caught.value.file, caught.value.column) == (str(path), "b")


def test_all_redundant_columns_are_named_at_once_with_an_option_that_works():
    x = np.random.default_rng(0).normal(size=(100, 3))
    frame = {"a": x[:, 0], "b": x[:, 1], "a and b": x[:, :2].sum(1), "c": x[:, 2], "d": 2.0 - x[:, 2]}
    with pytest.raises(DataError, match="the columns a and b, d are linear combinations") as caught:
        fit_table(frame, "gaussian")
    assert "--columns 'a and b=drop,d=drop'" in caught.value.fix
    option = shlex.split(caught.value.fix.rpartition("--columns ")[2])[0]
    assert fit_table(frame, "gaussian", columns=parse_columns(option)).chosen.model == "gaussian"


def test_a_redundant_column_with_missing_cells_is_named():
    x = np.random.default_rng(0).normal(size=(300, 2))
    x = np.stack([x[:, 0], x[:, 1], x.sum(1)], 1)
    x[np.random.default_rng(1).random(x.shape) < 0.05] = np.nan
    with pytest.raises(DataError, match="linear combination") as caught:
        fit_table(x, "gaussian")
    assert caught.value.column == "x2"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": Kind.POSITIVE}, "the value -2.5 lies outside the bounds"),
        ({"kind": Kind.CONTINUOUS, "upper": 3.0}, "the value 4 lies outside the bounds"),
        ({"kind": Kind.BOUNDED, "lower": -3.0, "upper": 3.0}, "the value 4 lies outside the bounds"),
        ({"kind": Kind.INTEGER}, "is not on the grid of step 1 "),
        ({"kind": Kind.CONTINUOUS, "step": 0.5, "offset": 0.25}, "is not on the grid of step 0.5"),
    ],
)
def test_a_schema_that_the_rows_contradict(fields, message):
    schema = Schema(columns=[Column(name="a", **fields)])
    with pytest.raises(DataError, match=message) as caught:
        fit_table({"a": [1.0, -2.5, 4.0, 0.5] * 10}, "gaussian", schema=schema)
    assert caught.value.column == "a"
    assert "schema" in caught.value.fix


def test_values_that_rounding_moved_off_the_grid_are_on_it():
    # Centred whole numbers to five significant digits, as published tables have them.
    whole = np.random.default_rng(0).integers(-900, 900, 4000)
    rows = {"a": [float(f"{value - 5.5378:.5g}") for value in whole], "b": np.arange(4000) % 7}
    result = fit_table(rows, "gaussian")
    column = result.model.schema.columns[0]
    assert (column.step, column.uniform) == (1.0, True)
    assert torch.isfinite(result.model.log_prob(np.stack(list(rows.values()), 1))).all()


def test_validation_rows_outside_the_schema_are_refused():
    schema = Schema(columns=[Column(name="a", kind=Kind.POSITIVE)])
    inside = {"a": np.random.default_rng(0).lognormal(size=50)}
    with pytest.raises(DataError, match="outside the bounds"):
        fit_table(inside, "gaussian", schema=schema, validation={"a": [1.0, -1.0]})


@pytest.mark.parametrize("step", [0.01, 0.1, 1 / 3, 1e-7])
def test_rounding_errors_are_on_the_grid_and_a_rare_value_off_it_is_let_pass(step):
    x = step * np.random.default_rng(0).integers(-1000, 1000, 1000)
    x[7] += 0.3 * step
    rows = torch.from_numpy(x)[:, None]
    require_support(rows, Schema(columns=[Column(name="a", kind=Kind.CONTINUOUS, step=step)]), None)


def test_whole_numbers_need_no_step_in_a_schema():
    schema = Schema(columns=[Column(name="a", kind=Kind.INTEGER)])
    counts = np.random.default_rng(0).poisson(5.0, 200)
    result = fit_table({"a": counts}, "gaussian", schema=schema)
    assert result.model.kind == "lower bound"
    assert str(result.model.sample(5).schema.field("a").type) == "int64"


def test_a_value_on_a_bound_without_mass_there_is_refused_with_a_fix_that_works():
    x = np.append(np.random.default_rng(0).beta(2, 2, 50), 1.0)
    column = Column(name="a", kind=Kind.BOUNDED, lower=0.0, upper=1.0)
    with pytest.raises(DataError, match="the value 1 lies on a bound") as caught:
        fit_table({"a": x}, "gaussian", schema=Schema(columns=[column]))
    assert "atoms" in caught.value.fix
    fixed = Schema(columns=[column.model_copy(update={"atoms": [1.0]})])
    model = fit_table({"a": x}, "gaussian", schema=fixed).model
    assert torch.isfinite(model.log_prob({"a": x})).all()


def test_a_redundant_column_is_found_next_to_bounds_too():
    a = np.random.default_rng(0).lognormal(0.0, 2.0, 200)
    with pytest.raises(DataError, match="linear combination"):
        fit_table({"a": a, "b": 3 * a + 1e-3}, "gaussian")
