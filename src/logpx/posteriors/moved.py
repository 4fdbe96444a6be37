"""A distribution in other units: shifted, and multiplied by a triangular matrix, in double precision."""

from __future__ import annotations

import torch
from torch import Tensor

from logpx.distributions import Distribution

__all__ = ["Moved"]


class Moved(Distribution):
    """The distribution of u = shift + factor v, for v of another distribution.

    Parameters
    ----------
    inside
        The distribution of v, of vectors.
    shift
        Shape ``(d,)``.
    factor
        Lower triangular with a positive diagonal, shape ``(d, d)``.

    Examples
    --------
    >>> from logpx.distributions import StandardNormal
    >>> moved = Moved(StandardNormal(1), torch.tensor([3.0]), torch.tensor([[2.0]]))
    >>> moved.log_prob(torch.tensor([[3.0]]))
    tensor([-1.6121], dtype=torch.float64)
    """

    shift: Tensor
    factor: Tensor

    def __init__(self, inside: Distribution, shift: Tensor, factor: Tensor) -> None:
        super().__init__(inside.event_shape)
        self.inside = inside
        self.register_buffer("shift", shift.double())
        self.register_buffer("factor", factor.double())

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log q(u) in nats, shape ``(n,)``, float64."""
        return self.inside.log_prob(self.within(x)).double() - self.ladj

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw u, shape ``(n, d)``, float64."""
        return self.outside(self.inside.sample(n, seed=seed))

    def sample_with_log_prob(
        self, n: int, context: Tensor | None = None, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw u together with log q(u)."""
        v, log_prob = self.inside.sample_with_log_prob(n, seed=seed)
        return self.outside(v), log_prob.double() - self.ladj

    def outside(self, v: Tensor) -> Tensor:
        """Return u for v of shape ``(n, d)``."""
        return self.shift + v.double() @ self.factor.mT

    def within(self, u: Tensor) -> Tensor:
        """Return v for u of shape ``(n, d)``, in the precision of the distribution inside."""
        v: Tensor = torch.linalg.solve_triangular(self.factor, (u.double() - self.shift).mT, upper=False).mT
        return v.to(self.inside._like().dtype)

    @property
    def ladj(self) -> Tensor:
        """The log abs(det) of the map from v to u."""
        return self.factor.diagonal().log().sum()
