"""Changes of units: round trip, and ladj against autodiff."""

import math

import pytest
import torch

from logpx.errors import UsageError
from logpx.images import IdentityPixels, LinearPixels, LogitPixels

SHAPE = (1, 2, 3)
MAPS = {
    "identity": lambda: IdentityPixels(SHAPE, 256),
    "linear": lambda: LinearPixels(SHAPE, 256),
    "linear, 5 bits": lambda: LinearPixels(SHAPE, 32),
    "logit": lambda: LogitPixels(SHAPE, 256, 0.05),
    "logit, narrow": lambda: LogitPixels(SHAPE, 17, 1e-6),
}


def levels(top: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return top * torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("name", MAPS)
def test_round_trip_and_ladj(name: str):
    transform = MAPS[name]()
    y = levels(transform.levels)
    z, ladj = transform.forward(y)
    back, back_ladj = transform.inverse(z)
    torch.testing.assert_close(back, y, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(back_ladj, -ladj)
    jacobians = torch.func.vmap(torch.func.jacrev(lambda one: transform.forward(one[None])[0][0]))(y)
    expected = torch.linalg.slogdet(jacobians.reshape(5, 6, 6)).logabsdet
    torch.testing.assert_close(ladj, expected)
    assert ladj.shape == (5,)


@pytest.mark.parametrize("alpha", [0.05, 1e-6, 0.0])
def test_the_ends_of_the_levels_are_finite(alpha: float):
    transform = LogitPixels((1, 1, 1), 256, alpha)
    y = torch.tensor([0.0, 1e-30, 255.999, 256.0]).view(-1, 1, 1, 1).requires_grad_()
    z, ladj = transform.forward(y)
    (z.sum() + ladj.sum()).backward()
    assert bool(torch.isfinite(z).all())
    assert bool(torch.isfinite(ladj).all())
    assert bool(torch.isfinite(y.grad).all())


def test_the_margin_is_what_lies_outside_the_levels():
    transform = LogitPixels((1, 1, 1), 256, 0.05)
    ends = transform.forward(torch.tensor([0.0, 256.0]).view(-1, 1, 1, 1))[0].flatten()
    assert ends.tolist() == pytest.approx([math.log(0.05 / 0.95), math.log(0.95 / 0.05)], rel=1e-5)


@pytest.mark.parametrize(("levels", "alpha"), [(1, 0.1), (65_537, 0.1), (256, 0.5), (256, -0.1)])
def test_what_cannot_be_meant_is_refused(levels: int, alpha: float):
    with pytest.raises(UsageError, match=r"levels|alpha"):
        LogitPixels(SHAPE, levels, alpha)
