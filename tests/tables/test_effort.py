"""What is spent on a row: bounds against probabilities known exactly."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn

from logpx.distributions import FullNormal
from logpx.distributions.likelihoods import FixedScale, NormalLikelihood
from logpx.errors import UsageError
from logpx.latent import VAE
from logpx.tables import ColumnScales, TableDensity, TableModel, infer_schema, open_table
from logpx.tables.columns.supports import Supports
from logpx.tables.effort import Effort
from logpx.tables.scales import Standard

NOISE = 0.6


def linear_vae() -> VAE:
    """A VAE whose marginal is the standard normal distribution, with an encoder that is somewhat wrong."""
    decoder, encoder = nn.Linear(1, 1), nn.Linear(1, 2)
    vae = VAE(NormalLikelihood(1, FixedScale(NOISE)), 1, encoder=encoder, decoder=decoder).double()
    slope = (1.0 - NOISE**2) ** 0.5
    with torch.no_grad():
        decoder.weight.fill_(slope)
        decoder.bias.zero_()
        encoder.weight.copy_(torch.tensor([[slope], [0.0]]))
        encoder.bias.copy_(torch.tensor([0.1, np.log(NOISE) + 0.1]))
    return vae.eval()


def model_of(frame: pd.DataFrame, inside) -> TableModel:
    schema = infer_schema(open_table(frame))
    supports = Supports.of(schema.modelled).supports
    noisy = Supports(supports).dequantise(torch.tensor(frame.to_numpy(dtype=float)), seed=0)
    columns = ColumnScales([Standard.fit(column) for column in noisy.T], supports)
    density = TableDensity(columns, inside)
    return TableModel(schema, density, {"itself": density}).eval()


def standard_normal() -> FullNormal:
    return FullNormal(1).double()


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    return pd.DataFrame({"n": np.random.default_rng(1).binomial(9, 0.5, size=600)})


@pytest.fixture(scope="module")
def reals() -> pd.DataFrame:
    return pd.DataFrame({"a": np.random.default_rng(1).normal(5.0, 2.0, size=600)})


def units(model: TableModel) -> tuple[float, float]:
    (scale,) = model.density.columns.scales
    return float(scale.centre), float(scale.spread)


def log_cells(model: TableModel, frame: pd.DataFrame) -> np.ndarray:
    mean, deviation = units(model)
    n = frame.n.to_numpy()
    return np.log(stats.norm.cdf(n + 0.5, mean, deviation) - stats.norm.cdf(n - 0.5, mean, deviation))


@pytest.mark.parametrize(
    ("exact", "gridded", "exactness", "noise_draws", "z_draws"),
    [
        (True, False, None, 1, None),
        (True, False, 500, 1, None),
        (False, False, None, 1, None),
        (False, False, 500, 1, 500),
        (True, True, None, 8, None),
        (False, True, None, 8, None),
        (True, True, 500, 500, 1),
        (False, True, 500, 31, 16),
        (False, True, 5, 1, 5),
    ],
)
def test_exactness_is_divided_among_draws_of_noise_and_of_z(exact, gridded, exactness, noise_draws, z_draws):
    effort = Effort.of(exact, gridded, 8, exactness)
    assert (effort.noise_draws, effort.z_draws) == (noise_draws, z_draws)


@pytest.mark.parametrize("inside", [pytest.param(standard_normal, marks=pytest.mark.slow), linear_vae])
def test_with_more_samples_the_bound_rises_to_the_probability_of_the_cell(inside, counts: pd.DataFrame):
    model = model_of(counts, inside())
    truth = log_cells(model, counts)
    usual = next(model.score(counts))
    better = next(model.score(counts, exactness=4000))
    assert usual.log_prob.mean() < better.log_prob.mean() < truth.mean() + 0.002
    np.testing.assert_allclose(better.log_prob.mean(), truth.mean(), atol=0.002)
    off = (better.log_prob - truth) / better.standard_error
    assert 0.8 < np.sqrt(np.mean(off**2)) < 1.2
    assert better.standard_error.mean() < 0.6 * usual.standard_error.mean()


def test_without_grids_the_bound_rises_to_the_density(reals: pd.DataFrame):
    model = model_of(reals, linear_vae())
    assert model.kind == model.density.kind == "lower bound"
    truth = stats.norm(*units(model)).logpdf(reals.a)
    one, usual, better = (next(model.score(reals, exactness=k)) for k in (1, None, 4000))
    assert one.log_prob.mean() < usual.log_prob.mean() < truth.mean() + 0.002
    assert np.isnan(one.standard_error).all()
    off = (better.log_prob - truth) / better.standard_error
    assert 0.8 < np.sqrt(np.mean(off**2)) < 1.2
    assert better.standard_error.mean() < usual.standard_error.mean() / 10
    # Noise is of grids.
    np.testing.assert_array_equal(next(model.score(reals, draws=3)).log_prob, usual.log_prob)


def test_the_elbo_lies_below_the_tighter_bound(counts: pd.DataFrame):
    model = model_of(counts, linear_vae())
    model.density.model.draws = 1
    elbo = next(model.score(counts, draws=64))
    tighter = next(model.score(counts, exactness=2000))
    error = np.hypot(elbo.standard_error, tighter.standard_error)
    assert (elbo.log_prob < tighter.log_prob + 4.0 * error).all()
    assert elbo.log_prob.mean() < tighter.log_prob.mean() - 0.02


def test_draws_of_z_differ_between_draws_of_noise(counts: pd.DataFrame):
    # Were they the same, the error would be far greater than what is claimed.
    model = model_of(counts, linear_vae())
    scored = [next(model.score(counts[:50], seed=seed, exactness=32)) for seed in range(20)]
    claimed = np.stack([batch.standard_error for batch in scored])
    deviations = np.stack([batch.log_prob for batch in scored]).std(0, ddof=1)
    assert np.sqrt(np.mean(claimed**2)) == pytest.approx(np.sqrt(np.mean(deviations**2)), rel=0.2)


@pytest.mark.parametrize("inside", [standard_normal, linear_vae])
def test_evaluation_spends_as_much_on_baselines(inside, counts: pd.DataFrame):
    model = model_of(counts, inside())
    evaluation = model.evaluate(counts, exactness=64, seed=2)
    assert evaluation.mean == pytest.approx(model.log_prob(counts, seed=2, exactness=64).mean().item())
    assert evaluation.baselines["itself"].gain == 0.0
    assert evaluation.kind == "lower bound"


def test_an_exact_model_ignores_the_samples(reals: pd.DataFrame):
    model = model_of(reals, standard_normal())
    scored = next(model.score(reals, exactness=1000))
    assert scored.standard_error is None
    assert torch.equal(model.log_prob(reals, exactness=1000), model.log_prob(reals))


def test_scores_of_a_row_do_not_depend_on_the_rows_around_it(counts: pd.DataFrame):
    model = model_of(counts, linear_vae())
    whole = model.log_prob(counts, seed=3, exactness=100)
    assert torch.equal(model.log_prob(counts, seed=3, exactness=100), whole)
    np.testing.assert_allclose(model.log_prob(counts[:512], seed=3, exactness=100), whole[:512], atol=1e-9)
    exact = model_of(counts, standard_normal())
    few, many = exact.log_prob(counts[:3], exactness=3000), exact.log_prob(counts, exactness=3000)
    np.testing.assert_allclose(few, many[:3], atol=1e-9)


@pytest.mark.parametrize("exactness", [0, -1, 2.5])
def test_samples_that_cannot_be_meant(counts: pd.DataFrame, exactness):
    with pytest.raises(UsageError, match="exactness"):
        model_of(counts, standard_normal()).log_prob(counts, exactness=exactness)
