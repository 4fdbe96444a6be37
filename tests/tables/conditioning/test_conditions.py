"""Any columns of a table given any others."""

import datetime

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstest, multivariate_normal, norm

from logpx.distributions import Mixture
from logpx.errors import DataError, UsageError
from logpx.tables import TableModel, UnseenLabels, fit_table
from logpx.tables.conditioning.conditioner import Conditioner


@pytest.fixture(scope="module")
def smooth() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 3)) @ [[1.0, 0.8, 0.0], [0.0, 0.6, 0.5], [0.0, 0.0, 1.0]]
    return pd.DataFrame(x, columns=list("abc"))


@pytest.fixture(scope="module")
def gaussian(smooth) -> TableModel:
    return fit_table(smooth, "gaussian").model


@pytest.fixture(scope="module")
def mixed() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    age = generator.integers(18, 70, 400)
    day = pd.Timestamp("2021-03-01") + pd.to_timedelta(age + generator.integers(0, 9, 400), unit="D")
    weight = generator.normal(60.0 + 0.3 * age, 5.0)
    sex = np.where(weight + generator.normal(0.0, 4.0, 400) > 73.0, "Male", "Female")
    return pd.DataFrame(
        {"id": [f"p{i}" for i in range(400)], "age": age, "sex": sex, "weight": weight, "day": day}
    )


@pytest.fixture(scope="module")
def mixture(mixed) -> TableModel:
    return fit_table(mixed, "gmm", components=3).model


def normal_of(model: TableModel) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance in table units of a Gaussian on linear scales."""
    member = model.density
    scales = member.columns.scales
    spread = np.array(
        [float(scale.inverse(torch.ones(1))[0] - scale.inverse(torch.zeros(1))[0]) for scale in scales]
    )
    centre = np.array([float(scale.inverse(torch.zeros(1))[0]) for scale in scales])
    mean = member.model.means[0].detach().numpy() * spread + centre
    covariance = member.model.covariances[0].detach().numpy() * np.outer(spread, spread)
    return mean, covariance


def test_the_gaussian_answers_like_scipy(gaussian, smooth):
    mean, covariance = normal_of(gaussian)
    rows = smooth[:20]
    joint = multivariate_normal(mean, covariance).logpdf(rows)
    of_a = norm(mean[0], covariance[0, 0] ** 0.5).logpdf(rows.a)
    both = gaussian.conditional(["b", "c"], "a")
    assert both.kind == "exact"
    np.testing.assert_allclose(both.log_prob(rows), joint - of_a, rtol=1e-6)
    slope = covariance[1, 0] / covariance[0, 0]
    middle = mean[1] + slope * (rows.a - mean[0])
    width = (covariance[1, 1] - slope * covariance[1, 0]) ** 0.5
    found = gaussian.conditional("b", "a").predict(rows[["a"]], [0.05, 0.9]).to_pandas()
    np.testing.assert_allclose(found["b_mean"], middle, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found["b_quantile_0.05"], norm.ppf(0.05, middle, width), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found["b_quantile_0.9"], norm.ppf(0.9, middle, width), rtol=1e-6, atol=1e-6)


def test_transforms_are_the_distribution_functions_of_the_regression(gaussian, smooth):
    mean, covariance = normal_of(gaussian)
    rows = smooth[:20]
    slope = covariance[1, 0] / covariance[0, 0]
    middle = mean[1] + slope * (rows.a - mean[0])
    width = (covariance[1, 1] - slope * covariance[1, 0]) ** 0.5
    found = gaussian.conditional("b", "a").integral_transforms(rows)["b"]
    np.testing.assert_allclose(found, norm.cdf(rows.b, middle, width), atol=1e-6)
    gaps = rows.assign(b=rows.b.where(rows.index % 2 == 0))
    assert torch.equal(gaussian.conditional("b", "a").integral_transforms(gaps)["b"], found[::2])


def test_transforms_of_what_the_model_draws_are_uniform_for_columns_of_every_kind(mixture):
    drawn = mixture.sample(3000, seed=5).to_pandas()
    for name in mixture.schema.modelled_names:
        found = mixture.conditional(name).integral_transforms(drawn, draws=8)[name].numpy()
        assert len(found) > 2000
        assert kstest(found, "uniform").pvalue > 1e-3, name
    # Given a wrong value of another column they are not.
    wrong = drawn.assign(age=drawn.age.sample(frac=1.0, random_state=0).to_numpy())
    found = mixture.conditional("weight", "age").integral_transforms(wrong)["weight"].numpy()
    assert kstest(found, "uniform").pvalue < 1e-3


def test_the_chain_rule_holds_for_bounds_on_the_same_noise(mixture, mixed):
    rows = mixed[:50].drop(columns="id")
    target = mixture.conditional(["sex", "day"])
    assert target.kind == "lower bound"
    given = mixture.log_prob(rows.assign(sex=None, day=pd.NaT))
    torch.testing.assert_close(target.log_prob(rows) + given, mixture.log_prob(rows))


def test_probabilities_are_those_of_enumerated_labels(mixture, mixed):
    rows = mixed[["sex", "weight"]][:5]
    conditional = mixture.conditional("sex", "weight")
    assert conditional.kind == "exact"
    each = [conditional.log_prob(rows.assign(sex=label)).exp() for label in ("Female", "Male")]
    table = conditional.predict(rows[["weight"]])
    assert table.column_names == ["sex_predicted", "sex_probability_Female", "sex_probability_Male"]
    np.testing.assert_allclose(table["sex_probability_Male"], each[1], rtol=1e-9)
    np.testing.assert_allclose(sum(each), 1.0)
    best = np.where(each[1] > each[0], "Male", "Female")
    assert table["sex_predicted"].to_pylist() == best.tolist()


def test_draws_follow_the_predicted_distribution(mixture):
    given = pd.DataFrame({"age": [25, 60]})
    conditional = mixture.conditional(["weight", "sex"], "age")
    drawn = conditional.sample(given, 4000, seed=3).to_pandas()
    predicted = conditional.predict(given, [0.1, 0.9], draws=16).to_pandas()
    assert (drawn.age == np.repeat([25, 60], 4000)).all()
    for part, row in zip((drawn[:4000], drawn[4000:]), predicted.itertuples(), strict=True):
        low, high = predicted.loc[row.Index, ["weight_quantile_0.1", "weight_quantile_0.9"]]
        assert (part.weight < low).mean() == pytest.approx(0.1, abs=0.02)
        assert (part.weight > high).mean() == pytest.approx(0.1, abs=0.02)
        male = predicted.loc[row.Index, "sex_probability_Male"]
        assert (part.sex == "Male").mean() == pytest.approx(male, abs=0.035)


def test_a_row_is_predicted_alike_in_any_company(mixture, mixed):
    conditional = mixture.conditional("weight")
    both = conditional.predict(mixed[:40]).to_pandas()
    alone = conditional.predict(mixed[30:40]).to_pandas()
    pd.testing.assert_frame_equal(both[30:].reset_index(drop=True), alone)


def test_dates_come_back_as_dates(mixture, mixed):
    table = mixture.conditional("day").predict(mixed[:3], [0.5])
    assert table["day_quantile_0.5"].type == mixture.arrow_schema.field("day").type == table["day_mean"].type


def test_given_values_come_out_and_few_draws_are_the_head_of_many(mixture):
    conditioned = mixture.condition({"age": 40, "sex": "Male"})
    many = conditioned.sample(5000, seed=2)
    assert set(many["age"].to_pylist()) == {40}
    assert many.slice(0, 7).equals(conditioned.sample(7, seed=2))
    assert many.column_names == mixture.arrow_schema.names


def test_log_prob_of_the_other_columns(mixture, mixed):
    rows = mixed[:9].drop(columns="id")
    own = mixture.conditional(["sex", "weight", "day"], ["age"]).log_prob_lower(rows.assign(age=30))
    conditioned = mixture.condition({"age": 30})
    torch.testing.assert_close(conditioned.log_prob_lower(rows.drop(columns="age")), own)
    torch.testing.assert_close(conditioned.log_prob(rows.drop(columns="age")), own.log_prob)
    assert torch.isneginf(conditioned.log_prob(rows.assign(age=31))).all()


@pytest.mark.parametrize("day", [datetime.date(2021, 4, 10), np.datetime64("2021-04-10"), "2021-04-10"])
def test_dates_are_given_in_any_form(mixture, day):
    assert mixture.condition({"day": day}).sample(1)["day"].to_pylist()[0].date() == datetime.date(
        2021, 4, 10
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no values"),
        ({"agee": 40}, "did you mean 'age'"),
        ({"sex": "Mal"}, "did you mean 'Male'"),
        ({"age": -1}, "not one that the column can have"),
        ({"age": 40.5}, "give 40 or 41"),
        ({"age": "old"}, "a number was expected"),
        ({"age": [1, 2]}, "a number was expected"),
        ({"age": None}, "missing cell"),
        ({"age": float("inf")}, "infinite"),
        ({"id": "p1"}, "identifier"),
        ({"age": 40, "sex": "Male", "weight": 70.0, "day": "2021-04-10"}, "every column is given"),
    ],
)
def test_values_that_cannot_be_given(mixture, values, message):
    with pytest.raises(UsageError) as refused:
        mixture.condition(values)
    assert message in str(refused.value)
    assert "fix: " in str(refused.value)


@pytest.mark.parametrize(
    ("target", "given", "message"),
    [
        ([], None, "no target"),
        ("wait", None, "did you mean 'weight'"),
        ("id", None, "identifier"),
        (["age", "age"], None, "twice"),
        ("age", ["sex", "sex"], "twice"),
        ("age", ["sex", "age"], "both target and given"),
    ],
)
def test_columns_that_cannot_be_chosen(mixture, target, given, message):
    with pytest.raises(UsageError) as refused:
        mixture.conditional(target, given)
    assert message in str(refused.value)


@pytest.mark.parametrize("quantiles", [[0.0], [1.0], [0.5, 0.5], ["x"], [float("nan")]])
def test_levels_are_between_0_and_1(mixture, mixed, quantiles):
    with pytest.raises(UsageError):
        mixture.conditional("weight").predict(mixed[:1], quantiles)


def test_a_given_column_must_be_there_and_a_target_need_not(mixture, mixed):
    conditional = mixture.conditional("weight", ["age"])
    assert conditional.predict(mixed[["age"]][:2]).num_rows == 2
    with pytest.raises(DataError, match="asked for"):
        conditional.predict(mixed[["sex"]][:2])
    with pytest.raises(DataError, match="does not know"):
        conditional.predict(mixed[["age"]][:2].assign(more=1))


def test_impossible_given_cells_are_not_given(mixture, mixed):
    rows = mixed[["age", "sex"]][:3]
    conditional = mixture.conditional("weight", ["age", "sex"])
    odd = conditional.predict(rows.assign(age=[-5, -5, -5], sex="Other")).to_pandas()
    none = conditional.predict(rows.assign(age=np.nan, sex=None)).to_pandas()
    pd.testing.assert_frame_equal(odd, none)
    unseen = UnseenLabels()
    list(conditional.score(mixed[["age", "sex", "weight"]][:3].assign(age=[40, -5, -6]), unseen=unseen))
    assert unseen.notes() == [
        "column 'age': values that the model finds impossible count as not given (2 rows, first in row 2)"
    ]


def test_models_that_cannot_say_which_can(smooth):
    flow = fit_table(smooth, "nice", max_time=1.0).model
    with pytest.raises(UsageError, match="cannot condition") as refused:
        flow.conditional("a")
    assert "gmm" in str(refused.value)
    with pytest.raises(UsageError, match="cannot condition"):
        flow.condition({"a": 0.0})


def test_a_fit_for_conditions_takes_none_of_these(smooth):
    with pytest.raises(DataError, match="no conditions on columns"):
        fit_table(smooth, "nice", conditional=True)


def test_a_model_of_bounds_gives_estimates(smooth):
    model = fit_table(smooth, "vae", max_time=2.0).model
    conditional = model.conditional("b")
    found = conditional.log_prob_lower(smooth[:5])
    assert conditional.kind == "estimate"
    assert bool(found.log_prob.isfinite().all() and (found.standard_error > 0.0).all())
    table = conditional.predict(smooth[:5], [0.1, 0.9]).to_pandas()
    assert (table["b_quantile_0.1"] < table["b_mean"]).all()
    assert (table["b_mean"] < table["b_quantile_0.9"]).all()
    rows = [torch.empty(0, 3, dtype=torch.float64)]
    (none,) = Conditioner(model.density, model.supports).marginals(rows, [1], (0,))
    assert none.quantiles(torch.tensor([0.5])).shape == (0, 1)


def test_what_noise_does_not_change_is_found_once(smooth):
    frame = smooth.assign(count=(2.0 * smooth.a).round()).mask(
        np.random.default_rng(1).random((300, 4)) < 0.1
    )
    members = [fit_table(frame, name, max_steps=3).model for name in ("gaussian", "autoregressive")]
    density = Mixture([member.density for member in members], [0.5, 0.5]).eval()
    supports = members[0].supports
    x = torch.from_numpy(frame[:8].to_numpy())
    noisy = torch.cat([supports.dequantise(x, seed=3, draw=draw) for draw in range(2)])
    for column in range(4):
        asked = Conditioner(density, supports).log_prob(torch.arange(4) == column)
        shared, alone = asked.bound_on_noise(x)(noisy, None, 0, 0), asked.log_prob_lower(noisy)
        torch.testing.assert_close(shared.log_prob, alone.log_prob, rtol=1e-9, atol=1e-9)


def test_a_stack_weighs_its_members_by_what_is_given(smooth, gaussian):
    other = fit_table(smooth.assign(b=smooth.b + 2.0), "gaussian").model
    stack = TableModel(gaussian.schema, Mixture([gaussian.density, other.density], [0.5, 0.5])).eval()
    rows, conditional = smooth[:4], stack.conditional("b", ["a"])
    table = conditional.predict(rows[["a"]], [0.5]).to_pandas()
    step = 1e-3
    grid = np.arange(-20.0, 20.0, step)
    for row in range(4):
        repeated = pd.DataFrame({"a": rows.a.iloc[row], "b": grid})
        density = conditional.log_prob(repeated).exp().detach().numpy()
        assert density.sum() * step == pytest.approx(1.0, abs=1e-6)
        assert density[grid <= table["b_quantile_0.5"][row]].sum() * step == pytest.approx(0.5, abs=1e-3)
        assert (density * grid).sum() * step == pytest.approx(table["b_mean"][row], abs=1e-3)


def test_a_table_is_extended_by_what_it_lacks(mixture):
    given = pd.DataFrame({"id": ["u", "v"], "sex": ["Male", None], "age": pd.array([30, None], "Int64")})
    extension = mixture.extension(given)
    drawn = pd.concat([batch.to_pandas() for batch in extension.batches(3, seed=0)])
    assert drawn.columns.tolist() == ["id", "sex", "age", "weight", "day"]
    assert drawn.id.tolist() == list("uuuvvv")
    assert drawn[:3].age.tolist() == [30, 30, 30]
    assert not drawn.isna().any().any()
    with pytest.raises(DataError, match="row 1"):
        list(mixture.extension(pd.DataFrame({"age": [-4]})).batches(1))
    complete = pd.DataFrame(
        {"age": [30], "sex": ["Male"], "weight": [70.0], "day": [pd.Timestamp("2021-04-10")]}
    )
    with pytest.raises(UsageError, match="nothing is left"):
        mixture.extension(complete)
