"""What all mixtures share: posterior, E-step, weights of rows, rows without values, starts."""

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from logpx.errors import DataError, UsageError
from logpx.inference import expectation_maximisation
from logpx.latent import COVARIANCES, GaussianMixture

KINDS = pytest.mark.parametrize("kind", COVARIANCES)
HOLES = pytest.mark.parametrize("missing", [0.0, 0.3])


def same(first, second, **tolerance):
    for name in ("count", "log_likelihood", "weight"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name), **tolerance)
    for name in ("count", "mean", "scatter"):
        torch.testing.assert_close(getattr(first.parts, name), getattr(second.parts, name), **tolerance)


@KINDS
def test_density_is_that_of_torch(kind, make_mixture):
    mixture, x = make_mixture(kind), 3.0 * torch.randn(100, 3, dtype=torch.float64)
    normals = MultivariateNormal(mixture.means, mixture.covariances)
    expected = MixtureSameFamily(Categorical(mixture.weights), normals).log_prob(x)
    torch.testing.assert_close(mixture.log_prob(x), expected, rtol=1e-10, atol=1e-10)


@KINDS
def test_density_and_responsibilities_of_the_cells_that_are_there(kind, make_mixture, blobs, joint_by_scipy):
    mixture, x = make_mixture(kind), blobs(60, missing=0.4)
    x[0] = torch.nan
    joint = joint_by_scipy(mixture, x)
    expected = np.logaddexp.reduce(joint, 0)
    found = mixture.log_prob(x).detach()
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    assert found[0].item() == pytest.approx(0.0, abs=1e-14)
    shares = mixture.responsibilities(x).detach()
    np.testing.assert_allclose(shares, np.exp(joint - expected).T, atol=1e-10)
    np.testing.assert_allclose(mixture.statistics(x).log_likelihood, expected.sum(), rtol=1e-10)


def test_bayes_theorem_with_distributions_of_torch(make_mixture):
    mixture, x = make_mixture(), torch.randn(30, 3, dtype=torch.float64)
    z = mixture.posterior(x).sample()
    joint = mixture.prior.log_prob(z) + mixture.likelihood(z).log_prob(x)
    torch.testing.assert_close(joint, mixture.posterior(x).log_prob(z) + mixture.log_prob(x))
    assert mixture.posterior(x.view(5, 6, 3)).batch_shape == (5, 6)
    assert mixture.log_prob(x.view(5, 6, 3)).shape == (5, 6)
    assert mixture.log_prob(x[:0]).shape == (0,)


@KINDS
@HOLES
def test_whole_weights_are_repetitions_and_zero_is_deletion(kind, missing, make_mixture, blobs):
    mixture, x = make_mixture(kind), blobs(60, missing=missing)
    times = torch.arange(60) % 4
    weighted, repeated = mixture.statistics(x, times), mixture.statistics(x.repeat_interleave(times, 0))
    same(weighted, repeated, rtol=1e-9, atol=1e-9)


@KINDS
@HOLES
def test_chunks_and_merges_are_exact(kind, missing, make_mixture, blobs, monkeypatch):
    mixture, x, weights = make_mixture(kind), blobs(300, missing=missing), torch.rand(300).double()
    whole = mixture.statistics(x, weights)
    parts = [mixture.statistics(*part) for part in zip(x.split(77), weights.split(77), strict=True)]
    total = parts[0] + parts[1] + parts[2] + parts[3]
    monkeypatch.setattr("logpx.latent.components._MOST_ROWS", 64)
    for other in (total, mixture.statistics(x, weights)):
        same(other, whole, rtol=1e-9, atol=1e-9)


@KINDS
@HOLES
def test_the_order_of_rows_does_not_matter(kind, missing, make_mixture, blobs):
    mixture, x = make_mixture(kind), blobs(100, missing=missing)
    order = torch.randperm(100)
    same(mixture.statistics(x[order]), mixture.statistics(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(mixture.log_prob(x[order]), mixture.log_prob(x)[order])


@KINDS
def test_a_row_without_a_value_contributes_nothing(kind, make_mixture, blobs):
    mixture, x = make_mixture(kind), blobs(50, missing=0.2)
    x = x[~x.isnan().all(1)]
    empty = torch.full((7, 3), torch.nan, dtype=torch.float64)
    same(mixture.statistics(torch.cat([empty, x])), mixture.statistics(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["full", "tied", "low_rank", "diagonal"])
@HOLES
def test_a_model_in_single_precision_has_statistics_in_double(kind, missing, make_mixture, blobs):
    x = blobs(50, missing=missing)
    mixture = make_mixture(kind, dtype=torch.float32)
    single = mixture.statistics(x.float())
    assert single.parts.scatter.dtype == torch.float64
    same(single, mixture.double().statistics(x), rtol=1e-4, atol=1e-4)


def test_starts_differ_and_a_seed_repeats(blobs):
    mixture, x = GaussianMixture(4, 3).double(), blobs(features=3)
    starts = []
    for seed in (0, 5, 0, 11):
        mixture.initialise_components(x, seed)
        starts.append(mixture.means.detach().clone())
    assert torch.equal(starts[0], starts[2])
    assert not torch.equal(starts[1], starts[3])


@KINDS
def test_a_start_does_not_depend_on_what_was_fitted_before(kind, blobs, fit_mixture):
    x = blobs(100)
    mixture, _ = fit_mixture(x, 2, kind, max_iterations=0)
    state = {name: value.clone() for name, value in mixture.state_dict().items()}
    expectation_maximisation(mixture, lambda: [(x, None)], max_iterations=10)
    mixture.initialise_components(x)
    assert all(torch.equal(value, state[name]) for name, value in mixture.state_dict().items())


def test_given_responsibilities_are_taken(blobs):
    x, shares = blobs(40), torch.rand(40, 2, dtype=torch.float64)
    shares = shares / shares.sum(1, keepdim=True)
    mixture = GaussianMixture(2, 3).double()
    mixture.initialise_assigned(x, shares)
    torch.testing.assert_close(mixture.weights.detach(), shares.mean(0))
    for k in range(2):
        share = shares[:, k].numpy()
        np.testing.assert_allclose(mixture.means[k].detach(), np.average(x, 0, share), rtol=1e-9)
        expected = np.cov(x.numpy().T, aweights=share, ddof=0)
        np.testing.assert_allclose(mixture.covariances[k].detach(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "wrong", [torch.ones(40, 3) / 3.0, torch.ones(40, 2), torch.tensor([[2.0, -1.0]]).repeat(40, 1)]
)
def test_what_is_no_responsibility(wrong, blobs):
    with pytest.raises(UsageError, match="responsibilities") as error:
        GaussianMixture(2, 3).double().initialise_assigned(blobs(40), wrong)
    assert error.value.fix


def test_bad_rows_are_named(blobs):
    mixture, x = GaussianMixture(5, 3).double(), blobs(40)
    empty, constant = x.clone(), x.clone()
    empty[:, 1], constant[:, 2] = torch.nan, 7.0
    for rows, column in ((x[:4], None), (empty, 1), (constant, 2)):
        with pytest.raises(DataError) as error:
            mixture.initialise_components(rows)
        assert error.value.column == column
        assert error.value.fix
    with pytest.raises(UsageError, match="start") as error:
        mixture.initialise_components(x, start="k-means")
    assert "k_means" in error.value.fix
    with pytest.raises(UsageError, match="no rows"):
        mixture.statistics(x[:0])


@KINDS
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_of_the_rows_at_once_have_the_statistics_of_all(kind, weighted, make_mixture, monkeypatch):
    mixture, x = make_mixture(kind), 3.0 * torch.randn(400, 3, dtype=torch.float64)
    weights = torch.rand(400, dtype=torch.float64) if weighted else None
    monkeypatch.setattr(type(mixture.parts), "rows_at_once", lambda self, missing: 64)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = mixture.statistics(x, weights)
    torch.set_num_threads(3)
    try:
        parts = mixture.statistics(x, weights)
        with pytest.raises(DataError, match="row 400, column 1"):
            mixture.statistics(x.index_put((torch.tensor([399]), torch.tensor([1])), x.new_tensor(torch.inf)))
    finally:
        torch.set_num_threads(threads)
    same(parts, alone, rtol=1e-12, atol=1e-11)
