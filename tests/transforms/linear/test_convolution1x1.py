"""1×1 convolutions: what torch's convolution and its determinant say."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import (
    Convolution1x1,
    DenseMatrix,
    HouseholderMatrix,
    PermutationMatrix,
    PLUMatrix,
    QRMatrix,
)

MATRICES = [DenseMatrix, HouseholderMatrix, PermutationMatrix, PLUMatrix, QRMatrix]


@pytest.mark.parametrize("matrix", MATRICES)
def test_is_torchs_convolution(matrix):
    convolution = Convolution1x1((5, 3, 2), matrix(5)).double()
    x = torch.randn(7, 5, 3, 2, dtype=torch.float64)
    weight = convolution.matrix.dense().double()
    z, ladj = convolution.forward(x)
    torch.testing.assert_close(z, torch.nn.functional.conv2d(x, weight[:, :, None, None]))
    torch.testing.assert_close(ladj, (6 * torch.linalg.slogdet(weight)[1]).expand(7), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rows", [1, 50])
def test_inverse_solves_for_all_pixels_of_all_rows_at_once(monkeypatch, rows):
    calls = []
    solve = torch.linalg.solve_triangular

    def counting(matrix, columns, **options):
        calls.append(tuple(columns.shape))
        return solve(matrix, columns, **options)

    monkeypatch.setattr(torch.linalg, "solve_triangular", counting)
    Convolution1x1((5, 3, 2)).inverse(torch.randn(rows, 5, 3, 2))
    assert calls == [(5, 6 * rows)] * 2


def test_starts_as_a_rotation():
    x = torch.randn(7, 5, 3, 2)
    z, ladj = Convolution1x1((5, 3, 2)).forward(x)
    torch.testing.assert_close(z.norm(dim=1), x.norm(dim=1))
    torch.testing.assert_close(ladj, torch.zeros(7), atol=1e-5, rtol=0)


def test_pixels_may_be_channels_last_in_memory():
    convolution = Convolution1x1((5, 3, 2)).double()
    x = torch.randn(7, 5, 3, 2, dtype=torch.float64)
    last = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(convolution.forward(last)[0], convolution.forward(x)[0])
    torch.testing.assert_close(convolution.inverse(last)[0], convolution.inverse(x)[0])


@pytest.mark.parametrize("shape", [3, (3,), (3, 4), (1, 3, 4, 4)])
def test_event_shape_that_is_no_image(shape):
    with pytest.raises(UsageError, match=r"channels|image"):
        Convolution1x1(shape)


def test_matrix_of_another_size():
    with pytest.raises(UsageError, match="4 rows for 3 channels"):
        Convolution1x1((3, 2, 2), PLUMatrix(4))
