"""Components side by side: sums of the parts, columns put back where they belong."""

import pytest
import torch

from logpx.errors import DataError, UsageError
from logpx.latent.bernoulli import BernoulliComponents
from logpx.latent.covariances import covariance_named
from logpx.latent.gaussian_components import GaussianComponents
from logpx.latent.poisson import PoissonComponents
from logpx.latent.product_components import ProductComponents


def random_parts(covariance="full"):
    normal = GaussianComponents(covariance_named(covariance, 2, 2), None, 0.0)
    parts = [normal, BernoulliComponents(2, 2), PoissonComponents(2, 1)]
    for part in parts:
        part.double()
        with torch.no_grad():
            for parameter in part.parameters():
                parameter.normal_(0.0, 0.5)
    return parts, ProductComponents(parts, [[3, 1], [0, 4], [2]])


def rows(n=6):
    x = torch.randn(n, 5, dtype=torch.float64)
    x[:, [0, 4]] = (x[:, [0, 4]] > 0.0).double()
    x[:, 2] = x[:, 2].abs().floor()
    return x


@pytest.mark.parametrize("covariance", ["full", "tied", "diagonal", "spherical"])
def test_log_densities_add_up(covariance):
    (normal, bernoulli, poisson), both = random_parts(covariance)
    x = rows()
    x[0, 3], x[1, 4] = torch.nan, torch.nan
    expected = normal.log_prob(x[:, [3, 1]]) + bernoulli.log_prob(x[:, [0, 4]]) + poisson.log_prob(x[:, [2]])
    torch.testing.assert_close(both.log_prob(x), expected)
    started = both.e_step(x, missing=True)
    torch.testing.assert_close(started.log_prob(x), expected.detach())
    assert both.free_parameters == sum(part.free_parameters for part in (normal, bernoulli, poisson))


def test_statistics_are_those_of_the_parts():
    (normal, *_), both = random_parts()
    x, shares = rows(), torch.rand(2, 6, dtype=torch.float64)
    passes = both.e_step(x, missing=False), normal.e_step(x[:, [3, 1]], missing=False)
    for each, values in zip(passes, (x, x[:, [3, 1]]), strict=True):
        each.log_prob(values)
        each.add(shares)
    whole, own = passes[0].statistics(), passes[1].statistics()
    torch.testing.assert_close(whole.parts[0].mean, own.mean)
    torch.testing.assert_close((whole + whole * 1.0).parts[0].count, own.count * 2.0)


def test_columns_come_back_in_order():
    (normal, bernoulli, poisson), both = random_parts()
    means = both.expectations()
    torch.testing.assert_close(means[:, [3, 1]], normal.expectations())
    torch.testing.assert_close(means[:, [0, 4]], bernoulli.expectations())
    torch.testing.assert_close(means[:, 2:3], poisson.expectations())
    draws = both.draw(torch.tensor([0, 1, 1]), torch.Generator().manual_seed(0))
    assert torch.isfinite(both.log_prob(draws)).all()
    assert torch.equal(draws, both.draw(torch.tensor([0, 1, 1]), torch.Generator().manual_seed(0)))


def test_the_marginal_is_the_density_of_rows_with_holes():
    _, both = random_parts()
    x = rows()
    for columns in ([4, 1], [2], [3, 0, 1, 2]):
        hidden = torch.full_like(x, torch.nan)
        hidden[:, columns] = x[:, columns]
        torch.testing.assert_close(both.marginal(columns).log_prob(x[:, columns]), both.log_prob(hidden))


def test_condition_is_the_quotient():
    _, both = random_parts()
    x = rows(1)
    for columns in ([1], [4, 3], [2, 0], [3, 1]):
        others = [column for column in range(5) if column not in columns]
        hidden = torch.full_like(x, torch.nan)
        hidden[:, columns] = x[:, columns]
        found = both.condition(columns, x[0, columns]).log_prob(x[:, others])
        torch.testing.assert_close(found, both.log_prob(x) - both.log_prob(hidden))


def test_missing_cells_given_the_component():
    (normal, *_), both = random_parts()
    x = rows(1)
    x[0, 3] = torch.nan
    sure = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    covariance, means = normal.matrices()[1], normal.means[1]
    mean = means[0] + covariance[0, 1] / covariance[1, 1] * (x[0, 1] - means[1])
    with torch.no_grad():
        torch.testing.assert_close(both.impute(x, sure)[0, 3], mean)
        many = both.draw_missing(x.repeat(20_000, 1), torch.ones(20_000).long(), None)[:, 3]
        variance = covariance[0, 0] - covariance[0, 1] ** 2 / covariance[1, 1]
        assert abs(many.mean() - mean) < 4.0 * (variance / 20_000).sqrt()
        torch.testing.assert_close(many.var(), variance, rtol=0.05, atol=0.0)


def test_errors_name_the_column_of_the_row():
    _, both = random_parts()
    x = rows()
    x[2, 4] = 0.5
    with pytest.raises(DataError, match="row 3, column 4"):
        both.initialise(x)
    with pytest.raises(DataError, match="row 3, column 4"):
        both.e_step(x, missing=False).log_prob(x)
    x = rows()
    x[:, 1] = 7.0
    with pytest.raises(DataError, match="column 1: every row has the same value"):
        both.initialise(x)


def test_parts_that_do_not_fit():
    one, two = BernoulliComponents(2, 1), PoissonComponents(2, 2)
    for columns in ([[0], [1]], [[0], [0, 1]], [[1], [2, 3]], [[0]]):
        with pytest.raises(UsageError, match="each column of a row once"):
            ProductComponents([one, two], columns)
    with pytest.raises(UsageError):
        ProductComponents([one, PoissonComponents(3, 1)], [[0], [1]])
    with pytest.raises(UsageError):
        ProductComponents([], [])
