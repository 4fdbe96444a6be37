"""The inverse of any increasing function of one number, by Newton's method with a bracket."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["monotone_inverse"]


def monotone_inverse(
    function: Callable[[Tensor], tuple[Tensor, Tensor]],
    y: Tensor,
    lower: Tensor | float,
    upper: Tensor | float,
    iterations: int = 48,
) -> tuple[Tensor, Tensor]:
    r"""Solve :math:`f(x) = y` for every element of y.

    Newton's method inside a bracket that closes around the root; if a step would leave the bracket, or is not
    less than half the step before it, the bracket is halved instead. The number of iterations is fixed, so
    nothing waits for the device. Of all points tried, the one with the smallest residual is returned.

    The search itself carries no gradient. Two final Newton steps do: they give the first and second
    derivatives of the root, with respect to y and to whatever `function` depends on.

    Parameters
    ----------
    function
        Takes x of the shape of `y`; returns f(x) and the log-derivative, both of that shape.
    y
        Values of f, of any shape. A value that f does not take on [lower, upper] gives the nearer end.
    lower, upper
        The bracket: finite numbers, or tensors of the shape of `y`.
    iterations
        The number of evaluations of the function in the search.

    Returns
    -------
    x : Tensor
        The roots, of the shape of `y`.
    log_derivative : Tensor
        Log-derivative of the inverse function at `y`, in nats: minus that of f at x.

    Examples
    --------
    >>> cubic = lambda x: (x**3 + x, torch.log(3.0 * x**2 + 1.0))
    >>> monotone_inverse(cubic, torch.tensor([10.0]), -5.0, 5.0)[0]
    tensor([2.])
    """
    with torch.no_grad():
        low, high = (torch.zeros_like(y) + end for end in (lower, upper))
        x, found, least = 0.5 * (low + high), 0.5 * (low + high), torch.full_like(y, torch.inf)
        previous = high - low
        for _ in range(iterations):
            value, log_derivative = function(x)
            residual = value - y
            closer = residual.abs() < least
            found, least = torch.where(closer, x, found), torch.where(closer, residual.abs(), least)
            low, high = torch.where(residual <= 0.0, x, low), torch.where(residual >= 0.0, x, high)
            newton = x - residual * torch.exp(-log_derivative)
            middle = 0.5 * (low + high)
            trusted = (newton > low) & (newton < high) & ((newton - x).abs() < 0.5 * previous)
            following = torch.where(trusted, newton, middle)
            previous, x = (following - x).abs(), following
        # Iterations approach an end without evaluating it.
        for end in (torch.zeros_like(y) + lower, torch.zeros_like(y) + upper):
            residual = (function(end)[0] - y).abs()
            found, least = torch.where(residual < least, end, found), torch.minimum(residual, least)
    x = found
    for _ in range(2):
        value, log_derivative = function(x)
        x = x - (value - y) * torch.exp(-log_derivative)
    return x, -function(x)[1]
