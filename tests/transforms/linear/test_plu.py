"""The PLU form: scipy's decomposition at the start, and a determinant that is its diagonal's."""

import numpy as np
import pytest
import scipy.linalg
import torch

from logpx.transforms import PLUMatrix


def trained(n):
    """Return a matrix with parameters that training could have led to, in double precision."""
    matrix = PLUMatrix(n).double()
    with torch.no_grad():
        matrix.factors.add_(0.3 * torch.randn(n, n))
    return matrix


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_starts_as_the_decomposition_of_a_rotation(n):
    matrix = PLUMatrix(n)
    rotation = matrix.dense().detach().double().numpy()
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(n), atol=1e-5)
    permutation, lower, upper = scipy.linalg.lu(rotation)
    np.testing.assert_allclose(matrix.lower().detach(), lower, atol=1e-4)
    np.testing.assert_allclose(matrix.upper().detach(), upper, atol=1e-4)
    np.testing.assert_array_equal(np.eye(n)[matrix.order.numpy()], permutation)


def test_start_as_the_identity_is_exact():
    assert torch.equal(PLUMatrix(4, identity=True).dense(), torch.eye(4))


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_determinant_of_trained_factors(n):
    matrix = trained(n)
    dense = matrix.dense()
    np.testing.assert_allclose(
        matrix.log_abs_det().item(), np.linalg.slogdet(dense.detach().numpy())[1], atol=1e-10
    )


def test_sign_of_the_determinant_never_changes():
    matrix = PLUMatrix(5).double()
    sign = np.linalg.slogdet(matrix.dense().detach().numpy())[0]
    for _ in range(20):
        with torch.no_grad():
            matrix.factors.normal_()
        assert np.linalg.slogdet(matrix.dense().detach().numpy())[0] == sign


def test_permutation_and_signs_are_not_trained_but_saved():
    matrix = PLUMatrix(5)
    assert [name for name, _ in matrix.named_parameters()] == ["factors"]
    assert set(matrix.state_dict()) == {"factors", "order", "inverse_order", "signs"}
    twin = PLUMatrix(5)
    twin.load_state_dict(matrix.state_dict())
    assert torch.equal(twin.dense(), matrix.dense())
