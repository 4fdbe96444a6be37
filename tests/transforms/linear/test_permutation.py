"""A permutation as a matrix: by index, in either form."""

import numpy as np
import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import Convolution1x1, PermutationMatrix


def test_order():
    matrix = PermutationMatrix(3, [2, 0, 1])
    np.testing.assert_array_equal(matrix.dense(), np.eye(3)[[2, 0, 1]])
    np.testing.assert_array_equal(matrix.solve(torch.eye(3)), np.eye(3)[[2, 0, 1]].T)
    assert matrix.log_abs_det().item() == 0.0


def test_reorders_channels():
    x = torch.arange(12.0).view(1, 3, 2, 2)
    z, ladj = Convolution1x1((3, 2, 2), PermutationMatrix(3, [2, 0, 1])).forward(x)
    assert torch.equal(z, x[:, [2, 0, 1]])
    assert torch.equal(ladj, torch.zeros(1))


def test_order_that_is_none():
    with pytest.raises(UsageError, match="once"):
        PermutationMatrix(3, [0, 0, 1])
