"""Objectives from draws of the target: cross-entropy and forward KL divergence."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.errors import DataError, DivergedError, UsageError
from logpx.inference.objectives.target import LogDensity, checked_normaliser, evaluate_log_density
from logpx.transforms.base import check_event

__all__ = ["cross_entropy", "forward_kl"]


def cross_entropy(model: Distribution, x: Tensor, context: Tensor | None = None) -> Tensor:
    r"""Estimate the cross-entropy :math:`H(\pi, p) = -E_{x \sim \pi} \log p(x)` from draws of pi.

    It is the loss of maximum likelihood, and exceeds :math:`KL(\pi \| p)` by the entropy of pi, which does
    not depend on the model. As densities may exceed 1, it may be negative.

    Parameters
    ----------
    model
        The distribution p.
    x
        Draws from pi: data. Shape ``(*rows, *event_shape)``.
    context
        Shape ``(*rows, context_features)`` or ``(context_features,)``.

    Returns
    -------
    Tensor
        The mean of -log p(x), in nats, shape ``()``; infinite if the model gives a draw density 0.

    Raises
    ------
    DataError
        If there are no rows, or a value is not finite; with row and column.
    DivergedError
        If the model's log-density of finite rows is NaN.
    UsageError
        If rows or context have the wrong shape.

    Examples
    --------
    >>> from logpx.distributions import StandardNormal
    >>> cross_entropy(StandardNormal(1), torch.tensor([[-1.0], [1.0]]))
    tensor(1.4189)
    """
    return -_log_prob(model, x, context).mean()


def forward_kl(
    model: Distribution,
    x: Tensor,
    log_density: LogDensity | None = None,
    context: Tensor | None = None,
    *,
    log_normaliser: float | Tensor = 0.0,
) -> Tensor:
    r"""Estimate the forward divergence :math:`KL(\pi \| p) = E_{x \sim \pi} [\log \pi(x) - \log p(x)]`.

    With `log_density` the value is that estimate. Without it, as for data, :math:`\log \pi` is unknown, and
    the value is the `cross_entropy` :math:`-E \log p(x)`: the divergence plus the entropy of pi. That
    entropy depends on no parameter; either way the gradient is that of the divergence, and the minimum is
    maximum likelihood.

    Parameters
    ----------
    model
        The distribution p.
    x
        Draws from pi, shape ``(*rows, *event_shape)``.
    log_density
        :math:`\log \tilde\pi`, called with `x`; returns shape ``(*rows,)``.
    context
        Shape ``(*rows, context_features)`` or ``(context_features,)``, for the model alone.
    log_normaliser
        :math:`\log Z` of :math:`\pi = \tilde\pi / Z`; 0 for a normalised density.

    Returns
    -------
    Tensor
        In nats, shape ``()``. The mean over few draws may be below 0, though no divergence is.

    Raises
    ------
    DataError, DivergedError
        As `cross_entropy`.
    UsageError
        If rows or context have the wrong shape, `log_density` does not return one finite number per row, or
        a normaliser is given without `log_density`.

    Examples
    --------
    The divergence of N(1, 1) from N(0, 1) is 1/2:

    >>> from logpx.distributions import StandardNormal
    >>> x = 1.0 + StandardNormal(1).sample(100_000, seed=0)
    >>> log_density = lambda x: StandardNormal(1).log_prob(x - 1.0)
    >>> round(forward_kl(StandardNormal(1), x, log_density).item(), 2)
    0.5

    Its cross-entropy is larger by the entropy, 1.42:

    >>> round(forward_kl(StandardNormal(1), x).item(), 2)
    1.92
    """
    normaliser = checked_normaliser(log_normaliser)
    if log_density is None:
        if normaliser != 0.0:
            raise UsageError("log_normaliser without log_density", fix="pass log_density too, or neither")
        return cross_entropy(model, x, context)
    log_prob = _log_prob(model, x, context)
    return (evaluate_log_density(log_density, x, log_prob.shape) - log_prob).mean() - normaliser


def _log_prob(model: Distribution, x: Tensor, context: Tensor | None) -> Tensor:
    check_event(x, model.event_shape)
    if not x.numel():
        raise DataError("no rows to take a mean over", fix="give at least one draw")
    lost = ~torch.isfinite(x.detach()).reshape(-1, math.prod(model.event_shape))
    if lost.any():
        row, column = lost.nonzero()[0].tolist()
        raise DataError("a value is not finite", row=row + 1, column=column, fix="leave such rows out")
    log_prob = model.log_prob(x, context)
    wrong = torch.isnan(log_prob.detach()) | (log_prob.detach() == torch.inf)
    if wrong.any():
        raise DivergedError(
            f"the model's log-density is not finite at {int(wrong.sum())} of {wrong.numel()} rows",
            row=int(wrong.flatten().nonzero()[0]) + 1,
            fix="go back to the last good weights and lower the learning rate, or clip gradients",
        )
    return log_prob
