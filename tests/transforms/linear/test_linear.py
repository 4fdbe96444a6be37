"""Linear maps of vectors: numpy's product, and a fit that whitens."""

import numpy as np
import pytest
import torch

import logpx
from logpx.distributions import Flow, StandardNormal
from logpx.errors import UsageError
from logpx.transforms import DenseMatrix, HouseholderMatrix, Linear, PLUMatrix, QRMatrix


def test_multiplies_and_shifts():
    linear = Linear(3, DenseMatrix(3)).double()
    with torch.no_grad():
        linear.bias.normal_()
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    z = linear.forward(x)[0].detach()
    expected = x.numpy() @ linear.matrix.dense().detach().numpy().T + linear.bias.detach().numpy()
    np.testing.assert_allclose(z, expected, atol=1e-13)


def test_all_rows_are_solved_for_at_once(monkeypatch):
    calls = []
    solve = torch.linalg.solve_triangular

    def counting(matrix, columns, **options):
        calls.append(tuple(columns.shape))
        return solve(matrix, columns, **options)

    monkeypatch.setattr(torch.linalg, "solve_triangular", counting)
    Linear(4).inverse(torch.randn(3, 50, 4))
    assert calls == [(4, 150)] * 2


@pytest.mark.parametrize(
    "matrix",
    [DenseMatrix, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (PLUMatrix, QRMatrix))],
)
def test_fit_reaches_the_likelihood_of_the_full_gaussian(matrix):
    mixing = torch.tensor([[2.0, 0.0, 0.0], [1.5, 0.5, 0.0], [-1.0, 0.3, 0.8]])
    x = torch.randn(2000, 3, generator=torch.Generator().manual_seed(1)) @ mixing.mT
    flow = Flow(StandardNormal(3), Linear(3, matrix(3)))
    logpx.fit(flow, x, validation=x, max_epochs=40, learning_rate=0.02, seed=0)
    # The maximum of the likelihood, from the empirical covariance.
    covariance = np.cov(x.double().numpy().T, bias=True)
    best = -0.5 * (3 * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + 3)
    reached = flow.log_prob(x).double().mean().item()
    assert best - 0.01 < reached < best + 1e-3


def test_rotation_keeps_lengths():
    x = torch.randn(5, 4)
    z, ladj = Linear(4, HouseholderMatrix(4)).forward(x)
    torch.testing.assert_close(z.norm(dim=1), x.norm(dim=1))
    assert torch.equal(ladj, torch.zeros(5))


def test_matrix_of_another_size():
    with pytest.raises(UsageError, match="4 rows for 3 features"):
        Linear(3, PLUMatrix(4))
