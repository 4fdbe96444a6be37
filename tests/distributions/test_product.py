"""Independent blocks: parts of one kind do not draw the same numbers, and what is no block is refused."""

import pytest
import torch

from logpx.distributions import Product, StandardNormal, Uniform
from logpx.errors import UsageError


@pytest.mark.parametrize("seed", [0, 7, -7])
def test_parts_are_independent(seed):
    x = Product([StandardNormal(1), StandardNormal(2)]).sample(20_000, seed=seed)
    assert (torch.corrcoef(x.T) - torch.eye(3)).abs().max() < 0.03


def test_parts_stand_in_their_order():
    x = Product([Uniform(2, 5.0, 6.0), StandardNormal(1), Uniform(1, -9.0, -8.0)]).sample(100, seed=0)
    assert ((x[:, :2] >= 5.0) & (x[:, :2] <= 6.0)).all()
    assert (x[:, 3] <= -8.0).all()


@pytest.mark.parametrize("parts", [[], [StandardNormal((2, 2))], [StandardNormal(())]])
def test_parts_that_are_no_vectors(parts):
    with pytest.raises(UsageError, match="vectors"):
        Product(parts)
