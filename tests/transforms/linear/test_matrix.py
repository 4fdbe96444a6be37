"""Every matrix: products, solutions, determinants and gradients are those of the dense matrix."""

import numpy as np
import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import DenseMatrix, HouseholderMatrix, Matrix, PermutationMatrix, PLUMatrix, QRMatrix

MATRICES = {
    "dense": DenseMatrix,
    "PLU": PLUMatrix,
    "QR": QRMatrix,
    "Householder": HouseholderMatrix,
    "permutation": PermutationMatrix,
}
TRAINED = [name for name in MATRICES if name != "permutation"]


@pytest.fixture(params=MATRICES)
def kind(request):
    return MATRICES[request.param]


@pytest.fixture(params=TRAINED)
def trained_kind(request):
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


def test_two_matrices_start_differently(trained_kind):
    assert not torch.equal(trained_kind(4).dense(), trained_kind(4).dense())


def test_start_as_the_identity(trained_kind):
    torch.testing.assert_close(trained_kind(4, identity=True).dense(), torch.eye(4), atol=1e-6, rtol=0)


def test_changed_parameter_changes_every_result(trained_kind):
    # Nothing is remembered between calls, in evaluation neither.
    matrix = trained_kind(4).double().eval()
    x = torch.randn(4, 20, dtype=torch.float64)

    def results():
        return [matrix.multiply(x), matrix.multiply(x[:, :2]), matrix.solve(x), matrix.dense().clone()]

    before = results()
    with torch.no_grad():
        for parameter in matrix.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    assert not any(torch.equal(a, b) for a, b in zip(before, results(), strict=True))


def test_gradients_are_those_of_the_dense_matrix(trained_kind):
    matrix = trained(trained_kind, 3)
    x = torch.randn(3, 8, dtype=torch.float64)
    parameters = list(matrix.parameters())
    for found, expected in (
        (matrix.multiply(x), matrix.dense() @ x),
        (matrix.solve(x), torch.linalg.inv(matrix.dense()) @ x),
        (matrix.log_abs_det() + 0 * parameters[0].sum(), torch.linalg.slogdet(matrix.dense())[1]),
    ):
        weights = torch.randn(found.shape, dtype=torch.float64)
        of_factors = torch.autograd.grad(found, parameters, weights)
        of_dense = torch.autograd.grad(expected, parameters, weights)
        for a, b in zip(of_factors, of_dense, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rows", [1, 3, 200])
def test_number_of_solves_does_not_depend_on_the_number_of_columns(kind, rows, monkeypatch):
    calls = []
    for name in ("solve_triangular", "solve_ex"):
        solve = getattr(torch.linalg, name)

        def counting(matrix, columns, solve=solve, **options):
            calls.append(columns.shape[1])
            return solve(matrix, columns, **options)

        monkeypatch.setattr(torch.linalg, name, counting)
    kind(5).solve(torch.randn(5, rows))
    expected = {DenseMatrix: 1, PLUMatrix: 2, QRMatrix: 2, HouseholderMatrix: 1, PermutationMatrix: 0}
    assert calls == [rows] * expected[kind]


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3"])
def test_size_that_is_none(kind, n):
    with pytest.raises(UsageError, match=r"^n is"):
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
