"""The distribution of one column given others, in closed form."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.latent import BernoulliMixture, MixedMixture, PoissonMixture, ProbabilisticPCA


def test_normal_conditionals_integrate_the_conditional_density(make_mixture):
    mixture = make_mixture(components=3, features=3)
    known = torch.tensor([0.3, -1.0], dtype=torch.float64)
    x = torch.tensor([[0.3, 99.0, -1.0]], dtype=torch.float64)
    marginal = mixture.conditional_marginals(x, 1)
    grid = torch.linspace(-40.0, 40.0, 80_001, dtype=torch.float64)
    density = mixture.condition([0, 2], known).log_prob(grid[:, None]).exp().detach()
    below = torch.cumulative_trapezoid(density, grid)[[30_000, 40_000, 42_000]]
    found = marginal.cdf(grid[1:][[30_000, 40_000, 42_000]][None])[0]
    torch.testing.assert_close(found, below, rtol=0.0, atol=1e-6)


def test_rows_with_different_holes_are_conditioned_on_what_they_have(make_mixture):
    mixture = make_mixture(components=2, features=3)
    x = torch.tensor([[0.3, torch.nan, torch.nan], [torch.nan, torch.nan, -1.0]], dtype=torch.float64)
    median = mixture.conditional_marginals(x, 1).quantiles(torch.tensor([0.5]))
    for row, place in ((0, 0), (1, 2)):
        inner = mixture.marginal([place, 1]).condition([0], x[row, [place]])
        alone = inner.conditional_marginals(torch.full((1, 1), torch.nan), 0)
        torch.testing.assert_close(alone.quantiles(torch.tensor([0.5]))[0], median[row])


def test_labels_are_as_probable_as_enumeration_says():
    torch.manual_seed(0)
    mixture = MixedMixture(3, ["normal", 4, "bernoulli"]).double()
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter.add_(torch.randn_like(parameter))
    for column, levels in ((1, 4), (2, 2)):
        x = torch.tensor([[0.4, 2.0, 1.0]], dtype=torch.float64).repeat(levels, 1)
        x[:, column] = torch.arange(levels)
        expected = torch.softmax(mixture.log_prob(x), 0).detach()
        found = mixture.conditional_marginals(x[:1], column).probabilities[0]
        torch.testing.assert_close(found, expected)


def test_a_bernoulli_mixture_and_pca_answer_and_counts_do_not():
    x = torch.zeros(2, 3, dtype=torch.float64)
    assert BernoulliMixture(2, 3).double().conditional_marginals(x, 0).probabilities.shape == (2, 2)
    quantiles = ProbabilisticPCA(3, 1).double().conditional_marginals(x, 0).quantiles(torch.tensor([0.5]))
    assert quantiles.shape == (2, 1)
    with pytest.raises(UsageError, match="no closed form"):
        PoissonMixture(2, 3).double().conditional_marginals(x, 0)
