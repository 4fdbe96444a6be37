"""The inverse of an autoregressive map with any causal conditioner, by Jacobi iteration."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from logpx.errors import UsageError
from logpx.transforms.fixed_point import Certificate, solve
from logpx.transforms.univariate import Univariate

__all__ = ["Conditioner", "check_causal", "jacobi_inverse"]

Conditioner = Callable[[Tensor, Tensor | None], Tensor]


def jacobi_inverse(
    net: Conditioner, univariate: Univariate, z: Tensor, context: Tensor | None
) -> tuple[Tensor, Certificate]:
    r"""Solve :math:`f(x_i; \theta_i(x_{<i}, c)) = z_i` for all features at once, in repeated sweeps.

    A sweep applies the inverse of the univariate function with the parameters from the last x. It makes at
    least one more feature exact, so D features take at most D sweeps, and one evaluation to confirm it.

    Parameters
    ----------
    net
        Returns the parameters of every feature, shape ``(*rows, features, parameters)``.
    univariate
        The function of one number.
    z
        Noise, shape ``(*rows, features)``.
    context
        Shape ``(*rows, context)`` or ``(context,)``.

    Returns
    -------
    x : Tensor
        Of the shape of `z`, without a graph.
    certificate : Certificate
        The number of evaluations of the net, and the residual.

    Raises
    ------
    NotConvergedError
        If the residual is not at rounding level after D + 1 evaluations, as for a net that is not causal.

    References
    ----------
    Song et al. 2021, Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving.
    https://arxiv.org/abs/2002.03629
    """

    def step(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        params = net(x, context)
        value, log_derivative = univariate(x, params)
        # One rounding of z, and one of x as the function propagates it.
        magnitude = 1.0 + z.abs() + log_derivative.exp() * (1.0 + x.abs())
        return value - z, magnitude, univariate(z, params, inverse=True)[0]

    return solve(step, z.detach(), event_dims=1, limit=z.shape[-1] + 1)


def check_causal(net: Conditioner, x: Tensor, context: Tensor | None) -> None:
    """Refuse a net whose parameters of some feature depend on that feature or on a later one.

    One row is tried with the features from i on changed, for every i, in one batch.

    Parameters
    ----------
    net
        Returns the parameters of every feature, shape ``(rows, features, parameters)``.
    x
        One row, shape ``(features,)``.
    context
        The row's context, shape ``(context,)``.

    Raises
    ------
    UsageError
        Naming the feature, counted from 0, whose parameters changed.
    """
    features = len(x)
    later = torch.ones(features + 1, features, dtype=torch.bool, device=x.device).triu()
    with torch.no_grad():
        params = net(torch.where(later, x + 1.0 + 0.5 * x.abs(), x), context)
        change = (params - params[-1]).abs().amax(-1)[:features].tril()
        # Rows of one batch may be summed in different orders.
        moved = change > 1e3 * torch.finfo(x.dtype).eps * (1.0 + params[-1].abs().amax())
    if moved.any():
        changed, feature = moved.nonzero()[0].tolist()
        raise UsageError(
            f"the net is not causal: parameters of feature {feature} depend on features from {changed} on",
            column=feature,
            fix="compute the parameters of a feature only from those before it, as logpx.nets.MADE does",
        )
