"""Every distribution: scipy's log-density, which integrates to 1, and samples that follow it."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.errors import UsageError


def grid(half, cells):
    """Return the middles of the cells of a square grid, and the area of a cell."""
    size = 2.0 * half / cells
    axis = size * (torch.arange(cells, dtype=torch.float64) + 0.5) - half
    return torch.cartesian_prod(axis, axis), size * size


def test_log_prob_is_scipys(case):
    distribution = case.make()
    x = 2.0 * torch.randn(50, 2, dtype=torch.float64)
    found = distribution.log_prob(x).detach().numpy()
    np.testing.assert_allclose(found, case.log_density(distribution, x.numpy()), rtol=1e-12, atol=1e-12)


def test_log_prob_in_single_precision(case):
    distribution = case.make(torch.float32)
    x = 2.0 * torch.randn(50, 2)
    found = distribution.log_prob(x)
    assert found.dtype == torch.float32
    expected = case.log_density(distribution, x.double().numpy())
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (0,)], ids=str)
def test_leading_shapes(case, leading):
    assert case.make().log_prob(torch.zeros(*leading, 2, dtype=torch.float64)).shape == leading


def test_density_integrates_to_one(case):
    distribution = case.make()
    # The edges of the uniform densities are edges of cells, so that the sum is exact for them too.
    x, area = grid(30.0, 1200)
    with torch.no_grad():
        total = distribution.log_prob(x).exp().sum().item() * area
    assert total == pytest.approx(1.0, abs=case.mass_outside + 1e-6)


def test_samples_follow_the_density(case):
    distribution = case.make()
    with torch.no_grad():
        x, log_prob = distribution.sample_with_log_prob(20_000, seed=3)
        torch.testing.assert_close(log_prob, distribution.log_prob(x))
        # E[q / p] = 1 under p for any density q whose support p covers: here, a density with light tails.
        q = torch.distributions.Normal(0.0, 0.3)
        weights = torch.exp(q.log_prob(x.double()).sum(-1) - log_prob)
    error = weights.std().item() / math.sqrt(len(x))
    assert weights.mean().item() == pytest.approx(1.0, abs=4.0 * error)
    assert error < 0.05


def test_every_marginal_of_the_samples(case):
    # The distribution function of a marginal by quadrature of the density, against the samples' own.
    distribution = case.make()
    x, _ = grid(12.0, 600)
    with torch.no_grad():
        density = distribution.log_prob(x).exp().view(600, 600)
        samples = distribution.sample(4000, seed=5).numpy()
    axis = x[:600, 1].numpy()
    for feature in (0, 1):
        marginal = density.sum(1 - feature).numpy()
        cumulative = np.cumsum(marginal) - 0.5 * marginal
        result = stats.kstest(samples[:, feature], lambda v, c=cumulative: np.interp(v, axis, c / c[-1]))
        assert result.pvalue > 1e-3


def test_a_seed_means_the_same_rows_whatever_their_number(case):
    distribution = case.make(torch.float32)
    with torch.no_grad():
        few, many = distribution.sample(10, seed=7), distribution.sample(10_000, seed=7)
        other = distribution.sample(10, seed=8)
    torch.testing.assert_close(few, many[:10], rtol=1e-6, atol=1e-6)
    assert len(torch.unique(many, dim=0)) == 10_000
    assert not torch.isclose(few, other).all(1).any()


def test_a_seed_leaves_the_global_generator_alone(case):
    distribution = case.make()
    state = torch.get_rng_state()
    distribution.sample(5, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    first, second = distribution.sample(5), distribution.sample(5)
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(distribution.sample(5), first)


def test_no_rows_and_the_dtype_of_samples(case):
    for dtype in (torch.float32, torch.float64):
        distribution = case.make(dtype)
        for seed in (None, 0):
            assert distribution.sample(0, seed=seed).shape == (0, 2)
            assert distribution.sample(3, seed=seed).dtype == dtype


def test_rows_of_another_size_are_refused(case):
    with pytest.raises(UsageError, match="event shape"):
        case.make().log_prob(torch.zeros(4, 3, dtype=torch.float64))
    with pytest.raises(UsageError, match="event shape"):
        case.make().log_prob(torch.zeros(4, 1, dtype=torch.float64))


def test_extreme_rows_are_never_nan(case):
    for dtype in (torch.float32, torch.float64):
        x = torch.tensor(
            [[0.0, 0.0], [1e3, -1e3], [1e30, 1.0], [-1e30, 1e30]], dtype=dtype, requires_grad=True
        )
        log_prob = case.make(dtype).log_prob(x)
        assert not torch.isnan(log_prob).any()
        assert torch.isfinite(log_prob[:1]).all()
