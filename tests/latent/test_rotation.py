"""Varimax and promax: what they keep, and what they make simple."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.latent import promax, varimax


def mixed(seed=0):
    """Return loadings of simple structure after a random rotation, and as they were."""
    simple = torch.zeros(12, 3, dtype=torch.float64)
    for factor in range(3):
        simple[4 * factor : 4 * factor + 4, factor] = torch.tensor([0.9, 0.8, 0.7, 0.6]).double()
    noise = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rotation, _ = torch.linalg.qr(noise)
    return simple @ rotation, simple


@pytest.mark.parametrize("normalise", [True, False])
def test_varimax_finds_the_simple_structure_again(normalise):
    loadings, simple = mixed()
    result = varimax(loadings, normalise)
    torch.testing.assert_close(
        result.loadings.abs().sum(0).sort().values, simple.sum(0).sort().values, rtol=1e-6, atol=1e-6
    )
    assert (result.loadings.abs() > 1e-6).sum() == 12
    torch.testing.assert_close(result.matrix.mT @ result.matrix, torch.eye(3).double())
    torch.testing.assert_close(result.loadings @ result.loadings.mT, loadings @ loadings.mT)


def test_varimax_is_a_maximum_of_its_criterion():
    loadings = torch.randn(10, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    result = varimax(loadings, normalise=False)

    def criterion(angle):
        turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]]).double()
        return (result.loadings @ turn).square().var(0, correction=0).sum()

    angles = torch.linspace(-1.0, 1.0, 201)
    assert max(criterion(angle) for angle in angles) <= criterion(torch.zeros(())) + 1e-12


def test_promax_keeps_the_covariance_with_correlated_factors():
    loadings = torch.randn(10, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    result = promax(loadings)
    implied = result.loadings @ result.correlations @ result.loadings.mT
    torch.testing.assert_close(implied, loadings @ loadings.mT)
    torch.testing.assert_close(result.correlations.diagonal(), torch.ones(3).double())
    assert result.loadings.abs().pow(0.5).sum() < varimax(loadings).loadings.abs().pow(0.5).sum()


def test_one_factor_stays_and_nonsense_is_refused():
    loadings = torch.tensor([[0.5], [0.4]])
    assert torch.equal(varimax(loadings).loadings, loadings)
    with pytest.raises(UsageError):
        varimax(torch.zeros(3))
    with pytest.raises(UsageError, match="power"):
        promax(loadings, power=1.0)
