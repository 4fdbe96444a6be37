"""The Gaussian mixture: density and samples against scikit-learn's, fits against published optima."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture as Reference

import logpx
from logpx.errors import UsageError
from logpx.inference import criteria_of
from logpx.latent import COVARIANCES, ConjugatePrior, GaussianMixture

NAN = float("nan")
# Little and Rubin 2002, table 7.4: crop and per cent of wormy fruits of apple trees.
APPLES = [(8, 59), (6, 58), (11, 56), (22, 53), (14, 50), (17, 45), (18, 43), (24, 42), (19, 39), (23, 38)]
APPLES += [(26, 30), (40, 27), (4, NAN), (4, NAN), (5, NAN), (6, NAN), (8, NAN), (10, NAN)]
IRIS = load_iris().data


def scikit_learns(mixture):
    """Return scikit-learn's mixture of the same parameters."""
    reference = Reference(mixture.components)
    reference.weights_ = mixture.weights.detach().double().numpy()
    reference.means_ = mixture.means.detach().double().numpy()
    covariances = mixture.covariances.detach().double().numpy()
    reference.precisions_cholesky_ = np.linalg.inv(np.linalg.cholesky(covariances)).swapaxes(-1, -2)
    return reference


@pytest.mark.parametrize("features", [1, 2, 7])
def test_density_and_responsibilities_are_scikit_learns(make_mixture, features):
    mixture = make_mixture(components=4, features=features)
    x = 3.0 * torch.randn(500, features, dtype=torch.float64)
    reference = scikit_learns(mixture)
    with torch.no_grad():
        np.testing.assert_allclose(mixture.log_prob(x), reference.score_samples(x.numpy()), rtol=1e-10)
        found = mixture.responsibilities(x)
    np.testing.assert_allclose(found, reference.predict_proba(x.numpy()), atol=1e-12)


def test_responsibilities_sum_to_one_however_far_away(make_mixture):
    directions = torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.7, 0.7]])
    for dtype, distances in ((torch.float64, (1e4, 1e30, 1e200)), (torch.float32, (1e4, 1e20, 1e30))):
        mixture = make_mixture(features=2, dtype=dtype)
        for distance in distances:
            found = mixture.responsibilities(directions.to(dtype) * distance)
            torch.testing.assert_close(found.sum(1), torch.ones(3, dtype=dtype))


def test_log_prob_far_away_has_a_gradient(make_mixture):
    mixture = make_mixture(features=2, dtype=torch.float32)
    x = torch.tensor([[1e4, -1e4], [1e10, 0.0]], requires_grad=True)
    log_prob = mixture.log_prob(x)
    assert torch.isfinite(log_prob).all()
    gradients = torch.autograd.grad(log_prob.sum(), [x, *mixture.parameters()])
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_sample_moments(make_mixture):
    mixture = make_mixture(features=2)
    with torch.no_grad():
        x = mixture.sample(200_000, seed=0)
        mean = mixture.weights @ mixture.means
        deviations = mixture.means - mean
        covariance = torch.einsum("k,kij->ij", mixture.weights, mixture.covariances)
        covariance = covariance + torch.einsum("k,ki,kj->ij", mixture.weights, deviations, deviations)
    error = (covariance.diagonal() / 200_000).sqrt()
    assert ((x.mean(0) - mean).abs() < 4.0 * error).all()
    torch.testing.assert_close(x.T.cov(), covariance, rtol=0.03, atol=0.03)


def test_samples_come_in_random_order(make_mixture):
    mixture = make_mixture(features=2)
    with torch.no_grad():
        mixture.means.copy_(torch.tensor([[-100.0, 0.0], [0.0, 0.0], [100.0, 0.0]]))
        which = (mixture.sample(3000, seed=0)[:, 0] / 100.0).round()
    # In blocks by component there would be two changes.
    assert (which.diff() != 0).sum() > 500
    shares = torch.stack([(which == value).double().mean() for value in (-1.0, 0.0, 1.0)])
    torch.testing.assert_close(shares, mixture.weights.detach(), rtol=0, atol=0.03)


def test_statistics_of_chunks_add_up(make_mixture, monkeypatch):
    mixture = make_mixture(features=2)
    x, weights = 3.0 * torch.randn(1000, 2, dtype=torch.float64), torch.rand(1000, dtype=torch.float64)
    with torch.no_grad():
        whole = mixture.statistics(x, weights)
        parts = [mixture.statistics(*part) for part in zip(x.split(77), weights.split(77), strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        # What it holds in memory at once is no part of the result either.
        monkeypatch.setattr("logpx.latent.components._MOST_ROWS", 64)
        chunked = mixture.statistics(x, weights)
    for other in (total, chunked):
        for name in ("count", "log_likelihood", "weight"):
            torch.testing.assert_close(getattr(other, name), getattr(whole, name), rtol=1e-10, atol=1e-10)
        for name in ("count", "mean", "scatter"):
            first, second = getattr(other.parts, name), getattr(whole.parts, name)
            torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-10)


def test_statistics_are_those_of_the_responsibilities(make_mixture):
    mixture = make_mixture(features=2)
    x = 3.0 * torch.randn(300, 2, dtype=torch.float64)
    with torch.no_grad():
        statistics, shares = mixture.statistics(x), mixture.responsibilities(x)
        torch.testing.assert_close(statistics.count, shares.sum(0))
        torch.testing.assert_close(statistics.log_likelihood, mixture.log_prob(x).sum())
        for k in range(3):
            weights = shares[:, k].numpy()
            np.testing.assert_allclose(statistics.parts.mean[k], np.average(x, 0, weights), rtol=1e-9)
            expected = np.cov(x.numpy().T, aweights=weights, ddof=0) * weights.sum()
            np.testing.assert_allclose(statistics.parts.scatter[k], expected, rtol=1e-9, atol=1e-9)


def test_bad_arguments():
    for arguments in ({"components": 0, "features": 2}, {"components": 2, "features": 0}):
        with pytest.raises(UsageError):
            GaussianMixture(**arguments)
    with pytest.raises(UsageError, match="prior"):
        GaussianMixture(2, 2, prior=1.0)
    with pytest.raises(UsageError, match="covariance_rows"):
        ConjugatePrior(covariance_rows=-1.0)
    with pytest.raises(UsageError, match="no rows"):
        GaussianMixture(2, 2).statistics(torch.zeros(0, 2))


def test_apples_with_missing_cells_are_little_and_rubins(fit_mixture):
    x = torch.tensor(APPLES, dtype=torch.float64)
    mixture, result = fit_mixture(x, 1, tolerance=1e-14, max_iterations=2000)
    np.testing.assert_allclose(mixture.means[0].detach(), [14.72222, 49.33333], atol=1e-5)
    expected = [[89.53395, -90.69673], [-90.69673, 114.69496]]
    np.testing.assert_allclose(mixture.covariances[0].detach(), expected, atol=1e-4)
    assert 18.0 * result.log_likelihood == pytest.approx(-101.7856, abs=1e-4)


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_missing_cells_of_one_component_have_a_closed_form(kind, fit_mixture):
    # Anderson 1957: where only the second column has holes, regress it on the first.
    x = torch.tensor(APPLES, dtype=torch.float64)
    mixture, _ = fit_mixture(x, 1, kind, tolerance=-1.0, max_iterations=300)
    first, both = x[:, 0].numpy(), x[:12].numpy()
    slope = np.cov(both.T, bias=True)[0, 1] / both[:, 0].var() if kind == "full" else 0.0
    mean = both[:, 1].mean() + slope * (first.mean() - both[:, 0].mean())
    variance = both[:, 1].var() + slope**2 * (first.var() - both[:, 0].var())
    covariance = np.array([[first.var(), slope * first.var()], [slope * first.var(), variance]])
    np.testing.assert_allclose(mixture.means[0].detach(), [first.mean(), mean], rtol=1e-7)
    np.testing.assert_allclose(mixture.covariances[0].detach(), covariance, rtol=1e-6)


@pytest.mark.parametrize("kind", COVARIANCES)
def test_rows_without_a_value_change_no_fit(kind, blobs, fit_mixture):
    x = blobs(80)
    holes = torch.cat([x, torch.full((30, 3), NAN, dtype=torch.float64)])
    (plain, of_plain), (filled, of_filled) = (fit_mixture(rows, 2, kind) for rows in (x, holes))
    assert of_filled.log_likelihood == pytest.approx(of_plain.log_likelihood, rel=1e-9)
    torch.testing.assert_close(filled.covariances, plain.covariances, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize(
    ("dtype", "shift", "close"), [(torch.float64, 1e6, 1e-6), (torch.float32, 1e3, 1e-4)]
)
@pytest.mark.parametrize("missing", [pytest.param(0.0, marks=pytest.mark.slow), 0.2])
def test_translation(kind, dtype, shift, close, missing, blobs, fit_mixture):
    x = blobs(100, 3, missing=missing).float().double()
    moved = (x + shift).to(dtype)
    options = {"tolerance": -1.0, "max_iterations": 30}
    # Single precision loses digits of the rows themselves, which both have to lose.
    plain, _ = fit_mixture(moved.double() - shift, 3, kind, **options)
    there, _ = fit_mixture(moved.double(), 3, kind, **options)
    error = (there.covariances - plain.covariances).norm() / plain.covariances.norm()
    assert error < close
    torch.testing.assert_close(there.means - shift, plain.means, rtol=close, atol=close)


@pytest.mark.parametrize(("components", "total"), [(1, -379.91463), (2, -214.35470)])
def test_iris(components, total):
    mixture = GaussianMixture(components, 4).double()
    logpx.fit(mixture, IRIS)
    assert mixture.log_prob(torch.from_numpy(IRIS)).sum().item() == pytest.approx(total, abs=1e-4)


def test_acidity_is_mclusts():
    words = Path(__file__).with_name("acidity.txt").read_text().splitlines()
    x = torch.tensor([[float(word)] for line in words if line[0] != "#" for word in line.split()]).double()
    mixture = GaussianMixture(2, 1, "tied").double()
    logpx.fit(mixture, x, tolerance=1e-9)
    found = criteria_of(mixture, x)
    assert found["log_likelihood"] == pytest.approx(-185.9493, abs=1e-4)
    assert (found["bic"], found["icl"]) == pytest.approx((392.0723, 398.5554), abs=2e-2)


def test_iris_with_three_components_is_no_spike():
    # Maximum likelihood has a spike at -161.85 on two near-duplicate rows; the sane optimum is near -180.19.
    mixture = GaussianMixture(3, 4).double()
    logpx.fit(mixture, IRIS)
    assert mixture.log_prob(torch.from_numpy(IRIS)).sum().item() == pytest.approx(-180.19, abs=0.01)
    assert mixture.weights.min() > 0.2


@pytest.mark.parametrize(
    "wrong",
    [
        {"covariance": "ful"},
        {"covariance": None},
        {"covariance": "low_rank"},
        {"rank": 1},
        {"floor": -1.0},
        {"floor": NAN},
        {"prior": {"covariance_rows": 1.0}},
    ],
)
def test_impossible_options(wrong):
    with pytest.raises(UsageError) as error:
        GaussianMixture(2, 2, **wrong)
    assert error.value.fix


def test_rows_without_a_value_have_no_say_in_a_given_start(blobs):
    x, shares = blobs(60), torch.eye(2, dtype=torch.float64).repeat(30, 1)
    plain, filled = GaussianMixture(2, 3).double(), GaussianMixture(2, 3).double()
    plain.initialise_assigned(x, shares)
    empty = torch.full((90, 3), NAN, dtype=torch.float64)
    filled.initialise_assigned(torch.cat([x, empty]), torch.cat([shares, shares[:1].expand(90, 2)]))
    torch.testing.assert_close(filled.weights, plain.weights)
    torch.testing.assert_close(filled.means, plain.means)


def test_statistics_of_nothing_change_nothing(blobs):
    mixture = GaussianMixture(2, 3).double()
    mixture.initialise_components(blobs(60))
    before = {name: value.clone() for name, value in mixture.state_dict().items()}
    mixture.update(mixture.statistics(torch.full((4, 3), NAN, dtype=torch.float64)))
    for name, value in mixture.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_numbers_of_numpy_are_numbers(tmp_path):
    mixture = GaussianMixture(np.int64(2), np.int32(3))
    logpx.save(mixture, tmp_path / "model")
    assert logpx.load(tmp_path / "model").components == 2
