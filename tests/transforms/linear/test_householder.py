"""Householder products: orthogonal whatever the vectors, of the sign their number gives."""

import numpy as np
import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import HouseholderMatrix


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(("n", "reflections"), [(1, 1), (4, 1), (4, 3), (5, None), (40, 40)])
def test_orthogonal_with_the_sign_of_the_number_of_reflections(n, reflections, scale):
    matrix = HouseholderMatrix(n, reflections).double()
    with torch.no_grad():
        matrix.vectors.normal_(0.0, scale)
    dense = matrix.dense().detach().numpy()
    np.testing.assert_allclose(dense @ dense.T, np.eye(n), atol=1e-13)
    sign, log_abs_det = np.linalg.slogdet(dense)
    assert sign == (-1) ** matrix.vectors.shape[1]
    assert abs(log_abs_det - matrix.log_abs_det().item()) < 1e-13


@pytest.mark.parametrize(("n", "number"), [(1, 2), (2, 2), (3, 2), (4, 4), (7, 6)])
def test_default_number_reaches_the_rotations(n, number):
    assert HouseholderMatrix(n).vectors.shape == (n, number)


def test_two_reflections_of_the_plane_reach_a_given_rotation():
    angle = 0.7
    matrix = HouseholderMatrix(2).double()
    with torch.no_grad():
        matrix.vectors.copy_(torch.tensor([[np.cos(angle / 2), 1.0], [np.sin(angle / 2), 0.0]]))
    rotation = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    np.testing.assert_allclose(matrix.dense().detach(), rotation, atol=1e-12)


def test_vector_of_zeros_is_no_reflection_and_has_finite_gradients():
    matrix = HouseholderMatrix(3, 2).double()
    with torch.no_grad():
        matrix.vectors[:, 0] = 0.0
    vector = matrix.vectors[:, 1].detach().numpy()
    expected = np.eye(3) - 2 * np.outer(vector, vector) / (vector @ vector)
    dense = matrix.dense()
    np.testing.assert_allclose(dense.detach(), expected, atol=1e-14)
    dense.sum().backward()
    assert torch.isfinite(matrix.vectors.grad).all()


@pytest.mark.parametrize("reflections", [0, -2, 1.5, True])
def test_number_of_reflections_that_is_none(reflections):
    with pytest.raises(UsageError, match="reflections"):
        HouseholderMatrix(3, reflections)


def test_odd_number_of_reflections_is_never_the_identity():
    with pytest.raises(UsageError, match="even number, such as reflections=4"):
        HouseholderMatrix(3, 3, identity=True)
