"""Chain and Inverse: order of application, context, start on data."""

import math

import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import (
    Affine,
    Autoregressive,
    Chain,
    Coupling,
    Exp,
    Inverse,
    Permutation,
    Reverse,
    Softplus,
    Standardize,
    Transform,
)


def test_the_first_transform_is_applied_first():
    x = torch.randn(5, 2, dtype=torch.float64)
    z, ladj = Chain([Softplus(2), Inverse(Exp(2))]).forward(x)
    torch.testing.assert_close(z, torch.log(torch.nn.functional.softplus(x)))
    torch.testing.assert_close(ladj, (torch.nn.functional.logsigmoid(x) - z).sum(1))


def test_initialise_goes_down_the_chain():
    x = torch.randn(100, 2).double() * 3.0
    chain = Chain([Exp(2), Standardize(2)]).double()
    z = chain.initialise_and_map(x)
    torch.testing.assert_close(z, chain.forward(x)[0])
    torch.testing.assert_close(z.mean(0), torch.zeros(2).double(), rtol=0, atol=1e-9)


def test_initialise_of_an_inverse_leaves_it_alone():
    inverse = Inverse(Standardize(2))
    x = torch.randn(10, 2) + 5.0
    assert not inverse.needs_data
    assert torch.equal(inverse.initialise_and_map(x), x)
    assert not inverse.transform.initialised


def test_unconditional_parts_ignore_the_context_of_the_others():
    chain = Chain([Affine(3), Coupling(3, hidden=(4,), context=2), Affine(3)])
    assert chain.context_features == 2
    assert chain.forward(torch.zeros(5, 3), torch.zeros(5, 2))[0].shape == (5, 3)


def test_parts_must_fit():
    with pytest.raises(UsageError, match="no transforms"):
        Chain([])
    with pytest.raises(UsageError, match="event shapes"):
        Chain([Affine(2), Affine(3)])
    with pytest.raises(UsageError, match="contexts of different sizes"):
        Chain([Coupling(3, context=1), Autoregressive(3, context=2)])


def test_twice_inverted_is_the_transform():
    transform = Autoregressive(3, hidden=(8,))
    x = torch.randn(4, 3)
    for found, expected in zip(Inverse(Inverse(transform)).forward(x), transform.forward(x), strict=True):
        assert torch.equal(found, expected)


class ReverseThatScales(Reverse):
    """A subclass of a reordering that does more."""

    def forward(self, x, context=None):
        z, ladj = super().forward(x)
        return 2.0 * z, ladj + math.log(2.0) * x.shape[-1]

    def inverse(self, z, context=None):
        x, ladj = super().inverse(0.5 * z)
        return x, ladj - math.log(2.0) * z.shape[-1]


@pytest.mark.parametrize(
    "parts",
    [
        lambda: [Reverse(3), Permutation(3, [2, 0, 1])],
        lambda: [Reverse(3), Affine(3), Permutation(3, [2, 0, 1]), ReverseThatScales(3), Reverse(3)],
    ],
)
def test_ladjs_of_reorderings_are_left_out_and_no_others(parts):
    chain = Chain(parts())
    x = torch.randn(5, 3)
    for direction, order in (("forward", chain.transforms), ("inverse", chain.transforms[::-1])):
        y, total = x, torch.zeros(5)
        for transform in order:
            y, ladj = getattr(transform, direction)(y)
            total = total + ladj
        found, of_chain = getattr(chain, direction)(x)
        torch.testing.assert_close(found, y)
        torch.testing.assert_close(of_chain, total)


def test_a_reordering_in_a_chain_checks_what_a_map_before_it_returns():
    class Wider(Transform):
        def forward(self, x, context=None):
            return torch.cat([x, x], -1), x.new_zeros(x.shape[:-1])

    with pytest.raises(UsageError, match="event shape"):
        Chain([Wider(3), Reverse(3)]).forward(torch.zeros(2, 3))
