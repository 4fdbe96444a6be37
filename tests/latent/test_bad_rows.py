"""Whole numbers, single rows, infinite cells and weights of the wrong length: an answer or a clear error."""

import math

import pytest
import torch

import logpx
from logpx.distributions.likelihoods import NormalLikelihood
from logpx.errors import DataError, UsageError
from logpx.latent import VAE, FactorAnalysis, GaussianMixture, PoissonMixture, ProbabilisticPCA

X = torch.randn(80, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=["mixture", "ppca", "fa", "vae"])
def model(request):
    if request.param == "vae":
        return VAE(NormalLikelihood(3), 2, (8,)).eval()
    kinds = {"mixture": GaussianMixture, "ppca": ProbabilisticPCA, "fa": FactorAnalysis}
    fitted = GaussianMixture(2, 3) if request.param == "mixture" else kinds[request.param](3, 1)
    logpx.fit(fitted, X)
    return fitted


@torch.no_grad()
def test_whole_numbers_are_numbers(model):
    x = torch.randint(-2, 3, (5, 3), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.log_prob(x), model.log_prob(x.float()))
    model.posterior(x)
    filled = model.impute(x)
    assert torch.equal(filled.float(), x.float())


@torch.no_grad()
@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_nothing_is_infinite(model, value):
    x = X[:4].clone()
    x[1, 2] = value
    x[3, 0], x[3, 1] = value, math.nan
    found = model.log_prob(x)
    assert found[[1, 3]].tolist() == [-math.inf] * 2
    torch.testing.assert_close(found[[0, 2]], model.log_prob(X[[0, 2]]))
    with pytest.raises(DataError, match="finite") as caught:
        model.impute(x)
    assert (caught.value.row, caught.value.column) == (2, 2)


def test_a_single_row_is_not_rows(model):
    with pytest.raises(UsageError, match=r"give shape \(n, 3\)"):
        model.impute(X[0])


@pytest.mark.parametrize("kind", [GaussianMixture, ProbabilisticPCA])
def test_statistics_of_bad_rows_and_weights(kind):
    model = kind(1, 3) if kind is GaussianMixture else kind(3, 1)
    with pytest.raises(UsageError, match=r"give the shape \(80,\)"):
        model.statistics(X, torch.ones(7))
    bad = X.clone()
    bad[6, 1] = math.inf
    with pytest.raises(DataError, match="finite") as caught:
        model.statistics(bad)
    assert (caught.value.row, caught.value.column) == (7, 1)


@pytest.mark.parametrize("values", ["a", ["a"], None, [math.inf], [[0.0], [math.inf]], [1.0, 2.0], [[[1.0]]]])
def test_values_of_known_columns_that_are_none(values):
    for model in (GaussianMixture(2, 3), ProbabilisticPCA(3, 1), PoissonMixture(2, 3)):
        with pytest.raises(UsageError):
            model.condition([0], values)
    assert GaussianMixture(2, 3).condition([0], torch.zeros(0, 1)).sample().shape == (0, 2)


def test_latent_values_that_are_none():
    for z in (torch.tensor([0.5]), torch.tensor([2]), torch.tensor([-1])):
        with pytest.raises(UsageError, match="numbers of components"):
            GaussianMixture(2, 3).likelihood(z)
    for model in (ProbabilisticPCA(3, 2), FactorAnalysis(3, 2), VAE(NormalLikelihood(3), 2, (8,))):
        for z in (torch.zeros(4, 5), torch.tensor(0.0), [0.0]):
            with pytest.raises(UsageError, match="tensor"):
                model.likelihood(z)


@pytest.mark.parametrize("weights", [[1.0] * 80, -torch.ones(80), torch.full((80,), math.nan)])
def test_weights_that_are_none(weights):
    with pytest.raises(UsageError, match="weight"):
        GaussianMixture(1, 3).statistics(X, weights)
