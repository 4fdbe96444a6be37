"""Squeezing: where every pixel goes, against numpy's block view, and that the outside shape stays."""

import numpy as np
import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import Affine, Squeezed
from logpx.transforms.squeezed import squeeze, squeezed_shape, unsqueeze


def test_blocks_become_channels():
    x = np.random.default_rng(0).normal(size=(5, 3, 4, 6))
    expected = np.concatenate([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=1)
    assert np.array_equal(squeeze(torch.from_numpy(x)).numpy(), expected)


@pytest.mark.parametrize("rows", [(), (0,), (2, 3)])
def test_unsqueeze_is_the_inverse(rows):
    x = torch.randn(*rows, 3, 4, 6)
    assert squeeze(x).shape == rows + squeezed_shape((3, 4, 6))
    assert torch.equal(unsqueeze(squeeze(x)), x)


def test_the_transform_sees_the_squeezed_image():
    affine = Affine((4, 2, 3))
    with torch.no_grad():
        for parameter in affine.parameters():
            parameter.normal_()
    x = torch.randn(5, 1, 4, 6)
    z, ladj = Squeezed(affine).forward(x)
    inside, expected = affine.forward(squeeze(x))
    assert torch.equal(squeeze(z), inside)
    assert torch.equal(ladj, expected)


def test_shapes_that_were_never_squeezed():
    for shape in [(3, 2, 2), (4,)]:
        with pytest.raises(UsageError) as error:
            Squeezed(Affine(shape))
        assert error.value.fix
