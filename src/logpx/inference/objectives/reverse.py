"""The objective from draws of the model: the reverse KL divergence from a density known up to a factor."""

from __future__ import annotations

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.distributions.seeding import checked_count
from logpx.errors import DivergedError, UsageError
from logpx.inference.objectives.estimators import GradientEstimator, TotalGradient
from logpx.inference.objectives.target import LogDensity, checked_normaliser, evaluate_log_density

__all__ = ["reverse_kl"]


def reverse_kl(
    model: Distribution,
    log_density: LogDensity,
    *,
    samples: int = 1000,
    estimator: GradientEstimator | None = None,
    log_normaliser: float | Tensor = 0.0,
    context: Tensor | None = None,
    seed: int | None = None,
) -> Tensor:
    r"""Estimate the reverse divergence :math:`KL(q \| \pi)` from draws of q.

    .. math:: KL(q \| \pi) = E_{x \sim q} [\log q(x) - \log \tilde\pi(x)] + \log Z

    It needs neither draws nor the normaliser of pi: without :math:`\log Z` the value is the divergence minus
    :math:`\log Z`, which is the negative ELBO, :math:`\log Z \ge -` value. The minimum may miss modes of pi
    altogether, and neither value nor gradient shows it.

    Parameters
    ----------
    model
        The distribution q, whose samples are differentiable in its parameters; flows are.
    log_density
        :math:`\log \tilde\pi`, called with draws of shape ``(samples, *event_shape)``; returns shape
        ``(samples,)``. Gradients reach its own parameters too.
    samples
        The number of draws.
    estimator
        `TotalGradient()` (default), `StickingTheLanding()` or `PathGradient()`: the gradient that `backward`
        computes. The value is the same for the same draws.
    log_normaliser
        :math:`\log Z` of :math:`\pi = \tilde\pi / Z`; 0 for a normalised density.
    context
        Shape ``(samples, context_features)`` or ``(context_features,)``, for the model alone.
    seed
        Of the draws. In training, use a new one for each step, or None for torch's global generator.

    Returns
    -------
    Tensor
        In nats, shape ``()``. The mean over few draws may be below 0, though no divergence is.

    Raises
    ------
    DivergedError
        If a draw of the model or its log-density is not finite.
    UsageError
        If `log_density` does not return one finite number per draw (the point is named), the draws of a
        trained model are not differentiable, or an argument is invalid.

    Examples
    --------
    >>> from logpx.distributions import DiagonalNormal
    >>> model = DiagonalNormal(1)
    >>> unnormalised = lambda x: -0.5 * (x[:, 0] - 1.0) ** 2
    >>> log_z = 0.9189385
    >>> loss = reverse_kl(model, unnormalised, samples=100_000, log_normaliser=log_z, seed=0)
    >>> round(loss.item(), 2)
    0.5
    """
    if checked_count(samples) < 1:
        raise UsageError("no samples to take a mean over", fix="give samples=1 or more")
    estimator = TotalGradient() if estimator is None else estimator
    if isinstance(estimator, type) or not hasattr(estimator, "draw"):
        raise UsageError(
            f"estimator is {estimator!r}, where an object was expected",
            fix="give TotalGradient(), StickingTheLanding() or PathGradient()",
        )
    normaliser = checked_normaliser(log_normaliser)
    x, log_q = estimator.draw(model, samples, context, seed)
    _check_gradient(model, x)
    _check_draws(x, log_q)
    return (log_q - evaluate_log_density(log_density, x, log_q.shape)).mean() + normaliser


def _check_gradient(model: Distribution, x: Tensor) -> None:
    trained = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in model.parameters())
    if trained and not (model.reparameterised and x.requires_grad):
        raise UsageError(
            f"draws of this {type(model).__name__} are not differentiable in all of its parameters, so that "
            "the gradient would be wrong",
            fix="fit a flow instead, fix the mixture's weights (requires_grad_(False)), or, for the value "
            "alone, call reverse_kl within torch.no_grad()",
        )


def _check_draws(x: Tensor, log_q: Tensor) -> None:
    lost = ~(torch.isfinite(x.detach()).reshape(len(x), -1).all(1) & torch.isfinite(log_q.detach()))
    if lost.any():
        raise DivergedError(
            f"{int(lost.sum())} of {len(lost)} draws of the model, or their log-densities, are not finite",
            row=int(lost.nonzero()[0]) + 1,
            fix="go back to the last good weights and lower the learning rate, or clip gradients",
        )
