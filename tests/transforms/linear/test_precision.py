"""Under autocast linear maps stay what they are: values, round trip and dtype."""

import pytest
import torch

from logpx.transforms import (
    AutoregressiveConvolution,
    Convolution1x1,
    DenseMatrix,
    HouseholderMatrix,
    Linear,
    PermutationMatrix,
    PLUMatrix,
    QRMatrix,
)

MATRICES = [DenseMatrix, HouseholderMatrix, PermutationMatrix, PLUMatrix, QRMatrix]
MAPS = [
    *(lambda kind=kind: Linear(5, kind(5)) for kind in MATRICES),
    *(lambda kind=kind: Convolution1x1((5, 2, 3), kind(5)) for kind in MATRICES),
    lambda: AutoregressiveConvolution((5, 2, 3)),
]


@pytest.mark.parametrize("build", MAPS)
def test_autocast_changes_nothing(build):
    transform = build()
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    x = torch.randn(20, *transform.event_shape)
    there, back = transform.forward(x), transform.inverse(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert (torch.eye(2) @ torch.eye(2)).dtype == torch.bfloat16
        for found, expected in ((transform.forward(x), there), (transform.inverse(x), back)):
            for values, plain in zip(found, expected, strict=True):
                assert values.dtype == torch.float32
                assert torch.equal(values, plain)
