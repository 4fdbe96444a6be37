"""Marginals, conditionals and imputation against generic Gaussian conditioning in numpy."""

import numpy as np
import pytest
import torch
from torch.distributions import MixtureSameFamily

from logpx.errors import UsageError
from logpx.latent import COVARIANCES

KINDS = pytest.mark.parametrize("kind", COVARIANCES)
NAN = float("nan")


def conditionals(mixture, row, joint_by_scipy):
    """Return the responsibilities and each component's conditional mean and covariance of all cells."""
    joint = joint_by_scipy(mixture, row[None])[:, 0]
    shares = np.exp(joint - joint.max())
    means, covariances = [], []
    m = np.isnan(row)
    for mean, matrix in zip(
        mixture.means.detach().numpy(), mixture.covariances.detach().numpy(), strict=True
    ):
        filled, left = np.where(m, mean, row), np.zeros_like(matrix)
        gain = np.linalg.solve(matrix[np.ix_(~m, ~m)], matrix[np.ix_(~m, m)]).T
        filled[m] = mean[m] + gain @ (row[~m] - mean[~m])
        left[np.ix_(m, m)] = matrix[np.ix_(m, m)] - gain @ matrix[np.ix_(~m, m)]
        means.append(filled)
        covariances.append(left)
    return shares / shares.sum(), np.stack(means), np.stack(covariances)


def rows_with_holes(rows=12, features=3):
    holes = torch.rand(rows, features) < 0.4
    holes[0], holes[1] = True, False
    return (2.0 * torch.randn(rows, features, dtype=torch.float64)).masked_fill(holes, NAN)


@KINDS
def test_marginal_is_the_density_of_rows_with_holes(kind, make_mixture):
    mixture, x = make_mixture(kind), torch.randn(20, 3, dtype=torch.float64)
    for columns in ([0], [2, 0], [1, 2], [2, 1, 0]):
        holes = torch.full_like(x, NAN)
        holes[:, columns] = x[:, columns]
        found = mixture.marginal(columns).log_prob(x[:, columns])
        torch.testing.assert_close(found, mixture.log_prob(holes), rtol=1e-10, atol=1e-10)


@KINDS
@pytest.mark.parametrize("known", [[0], [2, 0], [1]])
def test_condition_is_the_joint_less_the_marginal(kind, known, make_mixture):
    mixture, x = make_mixture(kind), 2.0 * torch.randn(20, 3, dtype=torch.float64)
    others = [column for column in range(3) if column not in known]
    values = x[0, known]
    x[:, known] = values
    expected = mixture.log_prob(x) - mixture.marginal(known).log_prob(x[:, known])
    conditional = mixture.condition(known, values)
    assert conditional.event_shape == (len(others),)
    torch.testing.assert_close(conditional.log_prob(x[:, others]), expected, rtol=1e-9, atol=1e-9)


@KINDS
def test_condition_of_many_rows_is_a_distribution_of_torch(kind, make_mixture):
    mixture, x = make_mixture(kind), 2.0 * torch.randn(20, 3, dtype=torch.float64)
    conditional = mixture.condition([2, 0], x[:, [2, 0]])
    assert isinstance(conditional, MixtureSameFamily)
    assert conditional.batch_shape == (20,)
    expected = mixture.log_prob(x) - mixture.marginal([2, 0]).log_prob(x[:, [2, 0]])
    torch.testing.assert_close(conditional.log_prob(x[:, [1]]), expected, rtol=1e-9, atol=1e-9)


def test_condition_in_single_precision(make_mixture):
    mixture, x = make_mixture(dtype=torch.float32), torch.randn(20, 3)
    expected = mixture.log_prob(x) - mixture.marginal([0]).log_prob(x[:, [0]])
    torch.testing.assert_close(
        mixture.condition([0], x[:, [0]]).log_prob(x[:, 1:]), expected, rtol=1e-4, atol=1e-4
    )


def test_a_value_that_is_not_known_is_integrated_out(make_mixture):
    mixture, x = make_mixture(), torch.randn(20, 3, dtype=torch.float64)
    expected = mixture.condition([0], [1.0]).marginal([1]).log_prob(x[:, [2]])
    # Column 1 was named but not known: it is no part of what is returned.
    for values in ([1.0, NAN], [[1.0, NAN]] * 20):
        torch.testing.assert_close(mixture.condition([0, 1], values).log_prob(x[:, [2]]), expected)
    nothing = mixture.condition([1], [NAN]).log_prob(x[:, [0, 2]])
    torch.testing.assert_close(nothing, mixture.marginal([0, 2]).log_prob(x[:, [0, 2]]))


@KINDS
def test_imputed_cells_are_conditional_means(kind, make_mixture, joint_by_scipy):
    mixture, x = make_mixture(kind), rows_with_holes()
    filled = mixture.impute(x)
    for row, found in zip(x.numpy(), filled.numpy(), strict=True):
        shares, means, _ = conditionals(mixture, row, joint_by_scipy)
        np.testing.assert_allclose(found, shares @ means, rtol=1e-10, atol=1e-12)
    assert torch.equal(filled[~x.isnan()], x[~x.isnan()])


@pytest.mark.parametrize("kind", ["full", "tied_diagonal", "low_rank"])
def test_draws_have_the_conditional_mean_and_covariance(kind, make_mixture, joint_by_scipy):
    mixture, x, draws = make_mixture(kind), rows_with_holes(4), 3000
    found = mixture.impute(x, draws=draws, seed=0)
    assert found.shape == (draws, 4, 3)
    for i, row in enumerate(x.numpy()):
        known = ~np.isnan(row)
        own = found[:, i].numpy()
        assert (own[:, known] == row[known]).all()
        shares, means, covariances = conditionals(mixture, row, joint_by_scipy)
        mean = shares @ means
        deviations = means - mean
        covariance = np.einsum("k,kij->ij", shares, covariances)
        covariance += np.einsum("k,ki,kj->ij", shares, deviations, deviations)
        error = np.sqrt(covariance.diagonal() / draws)
        assert (np.abs(own.mean(0) - mean) <= 4.0 * error + 1e-9).all()
        products = (own - mean)[:, :, None] * (own - mean)[:, None, :]
        error = products.std(0) / np.sqrt(draws)
        assert (np.abs(products.mean(0) - covariance) <= 4.0 * error + 1e-9).all()


def test_draws_are_seeded_and_follow_the_density(make_mixture):
    mixture, x = make_mixture(), rows_with_holes()
    first, second = (mixture.impute(x, draws=2, seed=seed) for seed in (0, 0))
    assert torch.equal(first, second)
    assert not torch.equal(first, mixture.impute(x, draws=2, seed=1))
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_imputed_rows_keep_dtype_and_shape(dtype, make_mixture):
    mixture, x = make_mixture(dtype=dtype), rows_with_holes().to(dtype)
    for found in (mixture.impute(x), mixture.impute(x, draws=1, seed=0)[0]):
        assert found.dtype == dtype
        assert torch.isfinite(found).all()
    complete = torch.randn(4, 3, dtype=dtype)
    assert torch.equal(mixture.impute(complete), complete)
    assert mixture.impute(x[:0]).shape == (0, 3)


def test_what_cannot_be_conditioned_on(make_mixture):
    mixture = make_mixture()
    for call in (
        lambda: mixture.condition([0, 1, 2], [0.0, 0.0, 0.0]),
        lambda: mixture.condition([0, 1], [0.0]),
        lambda: mixture.condition([0, 0], [0.0, 0.0]),
        lambda: mixture.condition([3], [0.0]),
        lambda: mixture.marginal([]),
        lambda: mixture.marginal([1, 1]),
        lambda: mixture.impute(rows_with_holes(), draws=0),
    ):
        with pytest.raises(UsageError) as error:
            call()
        assert error.value.fix
