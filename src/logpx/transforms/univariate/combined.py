"""Functions built from others: several in sequence, or one for each feature."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.arguments import check_instance, check_places
from logpx.errors import UsageError
from logpx.transforms.univariate.base import Univariate

__all__ = ["ComposedFunction", "PerFeatureFunction"]


class ComposedFunction(Univariate):
    r""":math:`z = f_n(\ldots f_1(x))`, each function with its own parameters.

    Parameters
    ----------
    functions
        The functions, in the order in which they are applied.

    Raises
    ------
    UsageError
        If there are none, or one is not a function of one number.

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


class PerFeatureFunction(Univariate):
    """Functions of one number, one for each feature of a vector.

    Parameters
    ----------
    functions
        The functions; per element it takes as many numbers as the function that takes most.
    choice
        For each feature, the index of its function in `functions`.

    Raises
    ------
    UsageError
        If a choice does not name one of the functions.

    Examples
    --------
    >>> from logpx.transforms import AffineFunction, ShiftFunction
    >>> function = PerFeatureFunction([AffineFunction(), ShiftFunction()], [1, 0, 1])
    >>> function(torch.zeros(3), torch.ones(3, 2))[1]
    tensor([ 0.0000, -0.8735,  0.0000])
    """

    def __init__(self, functions: Sequence[Univariate], choice: Sequence[int]) -> None:
        check_instance("functions", functions, Sequence, "[AffineFunction(), ShiftFunction()]")
        for function in functions:
            check_instance("a function", function, Univariate, "AffineFunction()")
        check_places("choice", choice, len(functions))
        if not choice:
            raise UsageError("a choice of no functions", fix="give the index of a function for every feature")
        self.functions, self.choice = list(functions), list(choice)
        self.parameters = max(function.parameters for function in functions)
        groups = [[f for f, chosen in enumerate(choice) if chosen == n] for n in range(len(functions))]
        self._groups = [(function, group) for function, group in zip(functions, groups, strict=True) if group]

    def at(self, feature: int) -> Univariate:
        """Return the function of one feature, which takes the leading parameters."""
        return self.functions[self.choice[feature]]

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Apply to each feature its function; features are the last dimension of `x`."""
        y: list[Tensor] = [x] * len(self.choice)
        log_derivative: list[Tensor] = [x] * len(self.choice)
        for function, group in self._groups:
            part = torch.stack([x[..., feature] for feature in group], -1)
            own = torch.stack([params[..., feature, : function.parameters] for feature in group], -2)
            found = function(part, own, inverse)
            for position, feature in enumerate(group):
                y[feature], log_derivative[feature] = (values[..., position] for values in found)
        return torch.stack(y, -1), torch.stack(log_derivative, -1)
