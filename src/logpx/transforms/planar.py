"""Planar and radial maps, of one hidden unit each."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.transforms.base import Transform, as_features
from logpx.transforms.univariate.monotone_inverse import monotone_inverse

__all__ = ["Planar", "Radial"]

# The least slope of the map along its direction, so that it never folds.
_LEAST = 1e-2


class Planar(Transform):
    r"""A shift along one direction, by a function of another: :math:`z = x + u \tanh(w^\top x + b)`.

    u is bent so that :math:`w^\top u > -1`, which makes the map invertible. Its inverse needs the solution of
    one increasing equation, found by Newton's method. It starts as the identity.

    Parameters
    ----------
    features
        The number of features.

    References
    ----------
    Rezende and Mohamed 2015, Variational Inference with Normalizing Flows, equations 10 to 12 and A.1.
    https://arxiv.org/abs/1505.05770

    Examples
    --------
    >>> Planar(2).forward(torch.ones(1, 2))[0].detach()
    tensor([[1., 1.]])
    """

    def __init__(self, features: int) -> None:
        super().__init__(as_features(features))
        features = self.event_shape[0]
        self.weight = nn.Parameter(torch.randn(features) / math.sqrt(features))
        self.shift = nn.Parameter(torch.zeros(features))
        self.bias = nn.Parameter(torch.zeros(()))

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return w and u, and their product, which is above -1."""
        w = self.weight
        product = w @ self.shift
        # softplus(p + log(e - 1)) - 1 is 0 at p = 0, so that the map starts as the identity.
        bent = (1.0 - _LEAST) * (functional.softplus(product + math.log(math.e - 1.0)) - 1.0)
        u = self.shift + (bent - product) * w / w.square().sum().clamp_min(torch.finfo(w.dtype).tiny)
        return w, u, bent

    def _along(self, y: Tensor, bent: Tensor) -> tuple[Tensor, Tensor]:
        """Return y + w·u tanh(y + b), the map along w, and the logarithm of its slope."""
        angle = torch.tanh(y + self.bias)
        return y + bent * angle, torch.log1p(bent * (1.0 - angle.square()))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Shift all rows."""
        w, u, bent = self._parts()
        y = x @ w
        _, ladj = self._along(y, bent)
        return x + torch.tanh(y + self.bias).unsqueeze(-1) * u, ladj

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Solve for where rows were along w, and shift them back."""
        w, u, bent = self._parts()
        target = z @ w
        reach = bent.detach().abs() + 1e-3 * (1.0 + target.detach().abs())
        low, high = target.detach() - reach, target.detach() + reach
        y, ladj = monotone_inverse(lambda y: self._along(y, bent), target, low, high)
        return z - torch.tanh(y + self.bias).unsqueeze(-1) * u, ladj


class Radial(Transform):
    r"""A contraction or expansion around a centre: :math:`z = x + \frac{\beta}{\alpha + r} (x - c)`.

    r is the distance to c, and :math:`\beta > -\alpha` makes the map invertible; its inverse is in closed
    form. It starts as the identity.

    Parameters
    ----------
    features
        The number of features.

    References
    ----------
    Rezende and Mohamed 2015, Variational Inference with Normalizing Flows, equations 13, 14 and A.2.
    https://arxiv.org/abs/1505.05770

    Examples
    --------
    >>> Radial(2).forward(torch.ones(1, 2))[0].detach()
    tensor([[1., 1.]])
    """

    def __init__(self, features: int) -> None:
        super().__init__(as_features(features))
        self.centre = nn.Parameter(torch.zeros(self.event_shape))
        self.log_alpha = nn.Parameter(torch.zeros(()))
        self.raw_beta = nn.Parameter(torch.zeros(()))

    def _strength(self) -> tuple[Tensor, Tensor]:
        alpha = self.log_alpha.exp()
        ratio = (1.0 - _LEAST) * (functional.softplus(self.raw_beta + math.log(math.e - 1.0)) - 1.0)
        return alpha, alpha * ratio

    def _ladj(self, radius: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        h = 1.0 / (alpha + radius)
        # 1 + beta h - beta r h² = 1 + alpha beta h².
        return (self.event_shape[0] - 1) * torch.log1p(beta * h) + torch.log1p(alpha * beta * h * h)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move all rows from or to the centre."""
        alpha, beta = self._strength()
        away = x - self.centre
        radius = _norm(away)
        return x + (beta / (alpha + radius)).unsqueeze(-1) * away, self._ladj(radius, alpha, beta)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move all rows back: the radius solves a quadratic equation."""
        alpha, beta = self._strength()
        away = z - self.centre
        far = _norm(away)
        half = 0.5 * (alpha + beta - far)
        root = torch.hypot(half, (alpha * far).clamp_min(torch.finfo(z.dtype).tiny).sqrt())
        # Of the two forms of the root the one without cancellation.
        radius = torch.where(half > 0.0, alpha * far / (half.clamp_min(0.0) + root), root - half)
        return self.centre + away / (1.0 + beta / (alpha + radius)).unsqueeze(-1), -self._ladj(
            radius, alpha, beta
        )


def _norm(away: Tensor) -> Tensor:
    """Return lengths, with a gradient of 0 at 0, that neither overflow nor vanish."""
    scale = away.detach().abs().amax(-1, keepdim=True).clamp_min(1e-30)
    squares = (away / scale).square().sum(-1)
    safe = torch.where(squares > 0.0, squares, torch.ones_like(squares))
    return torch.where(squares > 0.0, safe.sqrt(), squares) * scale.squeeze(-1)
