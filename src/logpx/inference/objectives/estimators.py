r"""Estimators of the gradient of :math:`E_{x \sim q} [\log q(x) - \ldots]`: one value, three gradients.

Where x = g(z; θ), the derivative of log q(x; θ) with respect to θ has two parts: the *path*, through x, and
the *score*, through the parameters at fixed x. The score has mean 0, so it only adds noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.representations import Shown
from logpx.transforms.base import sum_over_event

__all__ = ["GradientEstimator", "PathGradient", "StickingTheLanding", "TotalGradient"]


class GradientEstimator(Protocol):
    """Draws from a model with their log q(x): estimators share its value, and differ in its gradient."""

    def draw(
        self, model: Distribution, n: int, context: Tensor | None = None, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return n draws, shape ``(n, *event_shape)``, and their log q in nats, shape ``(n,)``."""


@dataclass(frozen=True, repr=False)
class TotalGradient(Shown):
    """The ordinary gradient, path and score together; one pass.

    Examples
    --------
    >>> from logpx.distributions import DiagonalNormal
    >>> x, log_q = TotalGradient().draw(DiagonalNormal(2), 5, seed=0)
    >>> x.shape, log_q.shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    def draw(
        self, model: Distribution, n: int, context: Tensor | None = None, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw with ``model.rsample_with_log_prob``."""
        return model.rsample_with_log_prob(n, context, seed)


@dataclass(frozen=True, repr=False)
class StickingTheLanding(Shown):
    r"""The total gradient minus the score: without variance where q is the target.

    Subtracts :math:`\log q(\bar x; \theta)` at fixed draws :math:`\bar x`, and adds its value back. Detaching
    the parameters in a flow's own pass instead would be wrong: they act on the path too. It takes one pass
    and one `log_prob`.

    References
    ----------
    Roeder, Wu and Duvenaud 2017, Sticking the Landing.
    https://arxiv.org/abs/1703.09194

    Examples
    --------
    >>> from logpx.distributions import DiagonalNormal
    >>> x, log_q = StickingTheLanding().draw(DiagonalNormal(2), 5, seed=0)
    >>> x.shape, log_q.shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    def draw(
        self, model: Distribution, n: int, context: Tensor | None = None, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw, and remove the score from the gradient."""
        x, log_q = model.rsample_with_log_prob(n, context, seed)
        if not torch.is_grad_enabled():
            return x, log_q
        at_fixed_x = model.log_prob(x.detach(), context)
        return x, log_q - (at_fixed_x - at_fixed_x.detach())


@dataclass(frozen=True, repr=False)
class PathGradient(Shown):
    r"""The path alone: :math:`\nabla_x \log q(x)`, computed at fixed parameters, is propagated through x.

    In exact arithmetic the gradient is that of `StickingTheLanding` for the same draws, without terms that
    are computed only to cancel. It takes one pass, and the gradient of one `log_prob` with respect to x.

    References
    ----------
    Vaitl, Nicoli, Nakajima and Kessel 2022, Gradients should stay on Path.
    https://arxiv.org/abs/2207.08219

    Examples
    --------
    >>> from logpx.distributions import DiagonalNormal
    >>> x, log_q = PathGradient().draw(DiagonalNormal(2), 5, seed=0)
    >>> x.shape, log_q.shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    def draw(
        self, model: Distribution, n: int, context: Tensor | None = None, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw, and let log q depend on the parameters only through x."""
        x, log_q = model.rsample_with_log_prob(n, context, seed)
        if not torch.is_grad_enabled():
            return x, log_q
        fixed = x.detach().requires_grad_()
        total = model.log_prob(fixed, context).sum()
        if not total.requires_grad:
            return x, log_q.detach()
        (slope,) = torch.autograd.grad(total, fixed)
        return x, log_q.detach() + sum_over_event(slope * (x - x.detach()), model.event_shape)
