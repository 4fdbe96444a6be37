"""Permutations: their order, and what is none."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import Permutation, Reverse


def test_order():
    x = torch.tensor([[10.0, 20.0, 30.0]])
    assert Permutation(3, [2, 0, 1]).forward(x)[0].tolist() == [[30.0, 10.0, 20.0]]
    assert Permutation(3, [2, 0, 1]).inverse(x)[0].tolist() == [[20.0, 30.0, 10.0]]
    assert Reverse(3).forward(x)[0].tolist() == [[30.0, 20.0, 10.0]]


def test_a_drawn_order_depends_on_the_seed_alone():
    torch.manual_seed(1)
    first = Permutation(50, seed=3).order
    torch.manual_seed(2)
    assert torch.equal(Permutation(50, seed=3).order, first)
    assert not torch.equal(Permutation(50, seed=4).order, first)


def test_building_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    Permutation(50, seed=3)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_order_is_in_the_state_dict():
    twin = Permutation(50, seed=1)
    twin.load_state_dict(Permutation(50, seed=2).state_dict())
    x = torch.randn(2, 50)
    assert torch.equal(twin.forward(x)[0], Permutation(50, seed=2).forward(x)[0])
    assert torch.equal(twin.inverse(twin.forward(x)[0])[0], x)


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [1, 2, 3], [0, 1, 2, 3], [-1, 0, 1]])
def test_an_order_that_is_none(order):
    with pytest.raises(UsageError, match="order"):
        Permutation(3, order)
