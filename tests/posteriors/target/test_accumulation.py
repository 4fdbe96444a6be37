"""Sums of functions without their graphs, against automatic differentiation of the plain sum."""

import torch

from logpx.posteriors.target.accumulation import accumulated


def parts():
    def part(k: float):
        return lambda x, y: torch.sin(k * x).sum(1) * y.square() + k * y

    return [part(k) for k in (0.5, 1.0, 2.0)]


def plain(x, y):
    return sum(part(x, y) for part in parts())


class TestDerivatives:
    def test_value_gradient_and_products_with_the_hessian_are_those_of_the_plain_sum(self):
        x = torch.linspace(-1.0, 1.0, 6, dtype=torch.float64).view(2, 3).requires_grad_()
        y = torch.tensor([0.3, -1.2], dtype=torch.float64, requires_grad=True)
        weight = torch.tensor([2.0, -0.7], dtype=torch.float64)
        found = []
        for total in (plain(x, y), accumulated(parts(), x, y)):
            slopes = torch.autograd.grad(total, (x, y), weight, create_graph=True)
            along = slopes[0].square().sum() + slopes[1].sin().sum()
            found.append((total, *slopes, *torch.autograd.grad(along, (x, y))))
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)

    def test_the_checker_of_torch_agrees(self):
        x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
        y = torch.randn(2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradgradcheck(lambda *both: accumulated(parts(), *both), (x, y))

    def test_no_graph_is_kept(self):
        alive = []

        def part(x):
            alive.append(torch.is_grad_enabled())
            return x.exp().sum(1)

        x = torch.zeros(2, 1, requires_grad=True)
        total = accumulated([part] * 3, x)
        assert alive == [False] * 3
        torch.autograd.grad(total.sum(), x)
        assert alive[3:] == [True] * 3

    def test_an_input_that_no_part_uses_gets_zero(self):
        x, y = (torch.ones(2, requires_grad=True) for _ in range(2))
        _, slope = torch.autograd.grad(accumulated([lambda x, y: x.square()] * 2, x, y).sum(), (x, y))
        assert torch.equal(slope, torch.zeros(2))
