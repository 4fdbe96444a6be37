"""The QR form: numpy's decomposition, and a factor that stays orthogonal."""

import numpy as np
import pytest
import torch

from logpx.transforms import QRMatrix


def trained(n):
    """Return a matrix with parameters that training could have led to, in double precision."""
    matrix = QRMatrix(n).double()
    with torch.no_grad():
        matrix.factors.add_(0.3 * torch.randn(n, n))
    return matrix


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_factors_are_numpys_up_to_signs(n):
    matrix = trained(n)
    orthogonal, upper = np.linalg.qr(matrix.dense().detach().numpy())
    signs = np.sign(orthogonal.diagonal() * matrix.orthogonal().detach().numpy().diagonal())
    np.testing.assert_allclose(matrix.orthogonal().detach(), orthogonal * signs, atol=1e-11)
    np.testing.assert_allclose(matrix.upper().detach(), upper * signs[:, None], atol=1e-11)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_orthogonal_factor_stays_orthogonal(n):
    orthogonal = trained(n).orthogonal().detach().numpy()
    np.testing.assert_allclose(orthogonal @ orthogonal.T, np.eye(n), atol=1e-13)


@pytest.mark.parametrize("n", [2, 7, 40])
def test_starts_as_the_decomposition_that_lapack_makes_of_the_same_matrix(n):
    matrix = QRMatrix(n)
    packed, _ = torch.geqrf(matrix.dense().detach().double())
    np.testing.assert_allclose(matrix.factors.detach(), packed.tril(-1), atol=1e-4)
    np.testing.assert_array_equal(matrix.upper().detach(), np.diag(matrix.signs))


def test_starts_are_spread_evenly_over_the_rotations():
    # Under the uniform measure an entry has variance 1/n, and its fourth moment is 3 / (n (n + 2)).
    entries = torch.stack([QRMatrix(3).dense().detach() for _ in range(4000)]).double()
    np.testing.assert_allclose(entries.mean(0), 0.0, atol=0.05)
    np.testing.assert_allclose(entries.square().mean(0), 1 / 3, atol=0.03)
    np.testing.assert_allclose(entries.pow(4).mean(0), 1 / 5, atol=0.03)


def test_signs_are_not_trained_but_saved():
    assert [name for name, _ in QRMatrix(3).named_parameters()] == ["factors"]
    assert set(QRMatrix(3).state_dict()) == {"factors", "signs"}
