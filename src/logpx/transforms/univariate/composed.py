"""Several functions of one number, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.arguments import check_instance
from logpx.errors import UsageError
from logpx.transforms.univariate.base import Univariate

__all__ = ["ComposedFunction"]


class ComposedFunction(Univariate):
    r""":math:`z = f_n(\ldots f_1(x))`, each function with its own parameters.

    Parameters
    ----------
    functions
        The functions, in the order in which they are applied.

    Raises
    ------
    UsageError
        If there is none, or one is no function of one number.

    Examples
    --------
    >>> from logpx.transforms import AffineFunction, RationalQuadraticFunction
    >>> function = ComposedFunction([AffineFunction(), RationalQuadraticFunction(bins=4)])
    >>> function.parameters
    13
    >>> function(torch.tensor([3.0]), torch.tensor([[1.0] + [0.0] * 12]))[0]
    tensor([2.])
    """

    def __init__(self, functions: Sequence[Univariate]) -> None:
        if not functions:
            raise UsageError("a composition of no functions", fix="give at least one")
        for function in functions:
            check_instance("functions", function, Univariate, "AffineFunction()")
        self.functions = list(functions)
        self.parameters = sum(function.parameters for function in functions)

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Apply all functions to every element, or their inverses in the opposite order."""
        parts = torch.split(params, [function.parameters for function in self.functions], -1)
        steps = list(zip(self.functions, parts, strict=True))
        total: Tensor | None = None
        for function, own in reversed(steps) if inverse else steps:
            x, log_derivative = function(x, own, inverse)
            total = log_derivative if total is None else total + log_derivative
        assert total is not None
        return x, total
