"""Every matrix: products, solutions, determinants and gradients are those of the dense matrix."""

import numpy as np
import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import DenseMatrix, Matrix, PLUMatrix

MATRICES = {"dense": DenseMatrix, "PLU": PLUMatrix}


@pytest.fixture(params=MATRICES)
def kind(request):
    return MATRICES[request.param]


def trained(kind, n):
    """Return a matrix with parameters that training could have led to, in double precision."""
    matrix = kind(n).double()
    with torch.no_grad():
        for parameter in matrix.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return matrix


# Fewer columns than rows, and more: the product takes another way.
@pytest.mark.parametrize("columns", [0, 1, 3, 6, 50])
def test_product_and_solution_are_numpys(kind, columns):
    matrix = trained(kind, 6)
    x = torch.randn(6, columns, dtype=torch.float64)
    dense = matrix.dense().detach().numpy()
    np.testing.assert_allclose(matrix.multiply(x).detach(), dense @ x.numpy(), atol=1e-12)
    np.testing.assert_allclose(matrix.apply_factors(x).detach(), dense @ x.numpy(), atol=1e-12)
    np.testing.assert_allclose(matrix.solve(x).detach(), np.linalg.solve(dense, x.numpy()), atol=1e-11)


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_determinant_is_numpys(kind, n):
    matrix = trained(kind, n)
    expected = np.linalg.slogdet(matrix.dense().detach().numpy())[1]
    assert matrix.log_abs_det().shape == ()
    np.testing.assert_allclose(matrix.log_abs_det().item(), expected, atol=1e-11)


@pytest.mark.parametrize("n", [1, 2, 5, 64])
def test_starts_as_a_rotation(kind, n):
    matrix = kind(n)
    dense = matrix.dense().detach()
    torch.testing.assert_close(dense @ dense.mT, torch.eye(n), atol=1e-5, rtol=0)


def test_changed_parameter_changes_every_result(kind):
    # Nothing is remembered between calls, in evaluation neither.
    matrix = kind(4).double().eval()
    x = torch.randn(4, 20, dtype=torch.float64)

    def results():
        return [matrix.multiply(x), matrix.multiply(x[:, :2]), matrix.solve(x), matrix.dense().clone()]

    before = results()
    with torch.no_grad():
        for parameter in matrix.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    assert not any(torch.equal(a, b) for a, b in zip(before, results(), strict=True))


def test_gradients_are_those_of_the_dense_matrix(kind):
    matrix = trained(kind, 3)
    x = torch.randn(3, 8, dtype=torch.float64, requires_grad=True)
    for found, expected in (
        (matrix.multiply(x), matrix.dense() @ x),
        (matrix.solve(x), torch.linalg.inv(matrix.dense()) @ x),
        (matrix.log_abs_det(), torch.linalg.slogdet(matrix.dense())[1]),
    ):
        wanted = [x, *matrix.parameters()]
        direction = torch.randn(found.shape, dtype=torch.float64)
        for a, b in zip(
            torch.autograd.grad(found, wanted, direction, materialize_grads=True, allow_unused=True)
            if found.requires_grad
            else [torch.zeros_like(tensor) for tensor in wanted],
            torch.autograd.grad(expected, wanted, direction, materialize_grads=True, allow_unused=True),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3"])
def test_size_that_is_none(kind, n):
    with pytest.raises(UsageError, match="rows"):
        kind(n)


def test_contract_has_no_matrix():
    matrix = Matrix(3)
    for call in (
        matrix.log_abs_det,
        lambda: matrix.solve(torch.eye(3)),
        lambda: matrix.apply_factors(torch.eye(3)),
    ):
        with pytest.raises(NotImplementedError):
            call()
