"""Table models against densities known in closed form."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy import stats

from logpx.configuration import build, describe
from logpx.distributions import FullNormal, StandardNormal
from logpx.errors import DataError, UsageError
from logpx.storage.registry import REGISTRY
from logpx.tables import (
    ColumnScales,
    Support,
    TableDensity,
    TableModel,
    fit_table,
    infer_schema,
    open_table,
)
from logpx.tables.columns.supports import Supports
from logpx.tables.scales import Standard


def _normal_model(frame: object) -> TableModel:
    """The maximum-likelihood Gaussian of a table, in its own units."""
    table = open_table(frame)
    schema = infer_schema(table)
    supports = Supports.of(schema.modelled).supports
    values = np.column_stack([np.asarray(frame[name], dtype=float) for name in schema.modelled_names])
    noisy = Supports(supports).dequantise(torch.from_numpy(values), seed=0)
    columns = ColumnScales([Standard.fit(column, limit=np.inf) for column in noisy.T], supports)
    normal = FullNormal(len(supports)).double()
    normal.update(normal.statistics(columns(columns_noise(columns, values))[0]))
    density = TableDensity(columns, normal)
    return TableModel(schema, density, {"again": density}).eval()


def columns_noise(columns: ColumnScales, values: np.ndarray) -> torch.Tensor:
    return Supports(columns.supports).dequantise(torch.from_numpy(values), seed=9)


@pytest.fixture(scope="module")
def correlated() -> pd.DataFrame:
    x = np.random.default_rng(0).multivariate_normal([1e6, -3e-6], [[4e4, 1e-4], [1e-4, 1e-12]], size=4000)
    return pd.DataFrame(x, columns=["large", "small"])


def test_log_prob_is_in_the_units_of_the_table(correlated: pd.DataFrame) -> None:
    model = _normal_model(correlated)
    # scipy on columns of one magnitude: it takes a covariance of such different scales for singular.
    scale = np.array([200.0, 1e-6])
    scaled = correlated / scale
    truth = stats.multivariate_normal(scaled.mean(), scaled.cov(ddof=0)).logpdf(scaled) - np.log(scale).sum()
    assert model.kind == "exact"
    np.testing.assert_allclose(model.log_prob(correlated), truth, rtol=0, atol=1e-6)


def test_scores_do_not_depend_on_the_order_of_columns(correlated: pd.DataFrame) -> None:
    model = _normal_model(correlated)
    assert torch.equal(model.log_prob(correlated), model.log_prob(correlated[["small", "large"]]))


def test_columns_of_an_array_count_by_position(correlated: pd.DataFrame) -> None:
    model = _normal_model(correlated)
    assert torch.equal(model.log_prob(correlated.to_numpy()), model.log_prob(correlated))
    with pytest.raises(DataError, match="2 columns"):
        model.log_prob(correlated.to_numpy()[:, :1])


def test_evaluation_agrees_with_numpy_and_with_itself(correlated: pd.DataFrame) -> None:
    model = _normal_model(correlated)
    scores = model.log_prob(correlated).numpy()
    evaluation = model.evaluate(correlated)
    assert evaluation.mean == pytest.approx(scores.mean(), abs=1e-9)
    assert evaluation.standard_error == pytest.approx(scores.std(ddof=1) / 4000**0.5, rel=1e-9)
    assert evaluation.rows == 4000
    assert evaluation.baselines["again"].gain == 0.0
    assert evaluation.baselines["again"].gain_standard_error == 0.0
    json.dumps(evaluation.to_dict())


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    return pd.DataFrame({"n": np.random.default_rng(1).binomial(40, 0.5, size=3000)})


def test_a_column_of_whole_numbers_gives_a_lower_bound_of_its_probability(counts: pd.DataFrame) -> None:
    model = _normal_model(counts)
    assert model.kind == "lower bound"
    mean, deviation = (
        float(model.density.columns.scales[0].centre),
        float(model.density.columns.scales[0].spread),
    )
    n = counts["n"].to_numpy()
    # What the dequantised Gaussian gives to the cell of each number, exactly.
    cell = stats.norm.cdf(n + 0.5, mean, deviation) - stats.norm.cdf(n - 0.5, mean, deviation)
    scored = next(model.score(counts, draws=64))
    assert (scored.log_prob - np.log(cell)).mean() <= 0.0
    np.testing.assert_allclose(scored.log_prob.mean(), np.log(cell).mean(), atol=0.01)
    assert scored.standard_error is not None
    assert (scored.standard_error > 0).all()


def test_noise_of_a_row_does_not_depend_on_the_rows_around_it(counts: pd.DataFrame) -> None:
    model = _normal_model(counts)
    whole = model.log_prob(counts, seed=3)
    assert torch.equal(model.log_prob(counts[:100], seed=3), whole[:100])
    assert not torch.equal(model.log_prob(counts, seed=4), whole)


def test_more_draws_have_a_smaller_error(counts: pd.DataFrame) -> None:
    model = _normal_model(counts)
    errors = [next(model.score(counts, draws=draws)).standard_error.mean() for draws in (4, 64)]
    assert errors[1] == pytest.approx(errors[0] / 4, rel=0.2)


def test_samples_lie_on_the_grid_and_within_bounds(counts: pd.DataFrame) -> None:
    sample = _normal_model(counts).sample(5000, seed=0)
    assert sample.schema.field("n").type == pa.int64()
    values = sample["n"].to_numpy()
    assert abs(values.mean() - counts["n"].mean()) < 0.3
    assert abs(values.std() - counts["n"].std()) < 0.2


def test_a_sample_is_the_head_of_a_longer_one(correlated: pd.DataFrame) -> None:
    model = _normal_model(correlated)
    long = model.sample(70_000, seed=5)
    assert model.sample(10, seed=5).equals(long.slice(0, 10))
    assert long.num_rows == 70_000
    assert model.sample(0).num_rows == 0
    assert not model.sample(10, seed=6).equals(long.slice(0, 10))


def test_a_model_survives_description_and_state(counts: pd.DataFrame) -> None:
    model = _normal_model(counts)
    again = build(json.loads(json.dumps(describe(model))), REGISTRY)
    again.load_state_dict(model.state_dict(), assign=True)
    assert again.schema == model.schema
    assert torch.equal(again.log_prob(counts), model.log_prob(counts))


@pytest.mark.parametrize("change", [{"extra": [1.0]}, None])
def test_a_table_of_other_columns_is_refused(correlated: pd.DataFrame, change: dict | None) -> None:
    model = _normal_model(correlated)
    frame = correlated[:1].assign(**change) if change else correlated[["small"]]
    with pytest.raises(DataError) as caught:
        model.log_prob(frame)
    assert caught.value.column == ("extra" if change else "large")


def test_bad_arguments(correlated: pd.DataFrame) -> None:
    model = _normal_model(correlated)
    with pytest.raises(UsageError):
        model.log_prob(correlated, draws=0)
    with pytest.raises(UsageError):
        model.sample(-1)


def test_a_row_outside_the_support_is_impossible_and_counted() -> None:
    columns = ColumnScales.fit(np.random.default_rng(0).lognormal(size=(400, 1)), [Support(lower=0.0)])
    schema = infer_schema(open_table({"a": np.random.default_rng(0).lognormal(size=400)}), {"a": "positive"})
    model = TableModel(schema, TableDensity(columns, StandardNormal(1)))
    evaluation = model.evaluate({"a": [1.0, -1.0]})
    if type(columns.scales[0]).__name__ != "Log":
        pytest.fail("lognormal values should get a logarithm")
    assert evaluation.outside == 1
    assert evaluation.mean == -np.inf


def test_whole_numbers_that_overflow_are_the_largest() -> None:
    schema = infer_schema(open_table({"a": [1, 2, 4]}))
    columns = ColumnScales.standard([[-1e19], [1e19]], Supports.of(schema.modelled).supports)
    drawn = TableModel(schema, TableDensity(columns, StandardNormal(1).double())).sample(100, seed=0)["a"]
    values = drawn.to_pylist()
    assert (min(values), max(values)) == (-(2**63) + 1024, 2**63 - 1024)


@pytest.mark.parametrize(("n", "seed"), [(-1, 0), (2.0, 0), (2, -1), (2, 0.5)])
def test_samples_that_cannot_be_meant(correlated: pd.DataFrame, n: int, seed: int) -> None:
    with pytest.raises(UsageError):
        _normal_model(correlated).sample(n, seed)


def test_draws_that_cannot_be_meant(correlated: pd.DataFrame) -> None:
    for draws in (0, 1.5):
        with pytest.raises(UsageError):
            _normal_model(correlated).log_prob(correlated[:2], draws=draws)


def test_an_array_may_have_all_columns_of_the_fit_or_those_that_are_modelled():
    x = np.random.default_rng(11).normal(size=(60, 3))
    x[:, 1] = 4.0
    model = fit_table(x, "gaussian", max_steps=5).model
    assert model.schema.modelled_names == ["x0", "x2"]
    torch.testing.assert_close(model.log_prob(x[:5]), model.log_prob(x[:5, [0, 2]]))
    with pytest.raises(DataError, match="the model has 2 columns"):
        model.log_prob(x[:5, :1])
