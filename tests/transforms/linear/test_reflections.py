"""The compact WY form: one reflection after the other, as numpy multiplies them."""

import functools

import numpy as np
import pytest
import torch

from logpx.transforms.linear.householder import reflect


def one_after_the_other(vectors):
    n = len(vectors)
    return functools.reduce(
        np.matmul, (np.eye(n) - 2 * np.outer(v, v) / (v @ v) for v in vectors.T), np.eye(n)
    )


@pytest.mark.parametrize(("n", "k"), [(1, 1), (3, 1), (3, 2), (4, 4), (4, 7), (50, 50)])
def test_is_the_product_of_the_reflections(n, k):
    vectors = torch.randn(n, k, dtype=torch.float64)
    columns = torch.randn(n, 5, dtype=torch.float64)
    half_norms = 0.5 * vectors.square().sum(0)
    expected = one_after_the_other(vectors.numpy())
    np.testing.assert_allclose(reflect(vectors, half_norms, columns), expected @ columns.numpy(), atol=1e-11)
    np.testing.assert_allclose(
        reflect(vectors, half_norms, columns, transpose=True), expected.T @ columns.numpy(), atol=1e-11
    )


def test_equal_vectors_cancel():
    vector = torch.randn(4, 1, dtype=torch.float64)
    twice = torch.cat([vector, vector], 1)
    product = reflect(twice, 0.5 * twice.square().sum(0), torch.eye(4, dtype=torch.float64))
    np.testing.assert_allclose(product, np.eye(4), atol=1e-15)
