"""Draws of many widths around centres, with their density: to see what lies beyond the known modes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.posteriors.target.hints import Hints

__all__ = ["Probes", "WideDraws"]

# In deviations: close together up to 86 of them, and four more up to 7,000.
_WIDTHS = torch.cat(
    [
        1.5 ** torch.arange(12, dtype=torch.float64),
        1.5**11 * 3.0 ** torch.arange(1, 5, dtype=torch.float64),
    ]
)
_LEAST_COMMON = 0.35
_TOGETHER = 0.3
_NARROW = 0.3
# Of the distance of the known modes from their middle.
_NEAREST = 0.5
_LOG_TWO_PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Probes:
    """Draws of `WideDraws` at which the log-density was computed.

    Attributes
    ----------
    u : Tensor
        Shape ``(n, d)``.
    values : Tensor
        The log-density there, shape ``(n,)``.
    log_proposal : Tensor
        The log-density of the draws themselves, shape ``(n,)``.
    """

    u: Tensor
    values: Tensor
    log_proposal: Tensor

    @property
    def log_weights(self) -> Tensor:
        """The importance weights of the draws, in nats, shape ``(n,)``."""
        return self.values - self.log_proposal


class WideDraws:
    """An equal mixture of normal distributions, one to seven thousand deviations wide, around each centre.

    Parameters
    ----------
    means, factors
        Centres and Cholesky factors of their covariances, shapes ``(k, d)`` and ``(k, d, d)``.
    hints
        Where else the mass is expected; a centre of its own, if a user says so.
    """

    def __init__(self, means: Tensor, factors: Tensor, hints: Hints | None = None) -> None:
        size = means.shape[1]
        middle = means.mean(0)
        spread = (means - middle).square().mean(0).sqrt().clamp_min(1.0)
        # The last centre stands for all of them, on the scale on which parameters are usually written.
        self.means = torch.cat([means, middle[None]])
        self.factors = torch.cat([factors, (_LEAST_COMMON * spread).diag()[None]])
        self._own = len(means)
        if hints is not None and hints.given:
            self.means = torch.cat([self.means, hints.centre[None]])
            self.factors = torch.cat([self.factors, (_LEAST_COMMON * hints.width).diag()[None]])
        self._log_scales = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        self._size = size

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Return draws, shape ``(count, d)``."""
        noise = torch.randn(count, self._size, generator=generator, dtype=torch.float64)
        which = torch.randint(len(self.means), (count,), generator=generator)
        width = _WIDTHS[torch.randint(len(_WIDTHS), (count, 1), generator=generator)]
        return self._around(which, width * noise)

    def sample_in_part(self, count: int, generator: torch.Generator) -> Tensor:
        """Return draws ``(count, d)`` that are wide in a few dimensions, or in the sum of many.

        In many dimensions, a draw that is wide in all is near no mode; and parameters that are alike often
        move together.
        """
        shape = (count, self._size)
        few = torch.rand(*shape, generator=generator) < torch.rand(count, 1, generator=generator)
        together = torch.rand(count, 1, generator=generator) < _TOGETHER
        noise = torch.randn(*shape, generator=generator, dtype=torch.float64)
        common = torch.randn(count, 1, generator=generator, dtype=torch.float64)
        width = _WIDTHS[torch.randint(len(_WIDTHS), (count, 1), generator=generator)]
        away = torch.where(few, width, _NARROW) * noise
        shifted = width * (common + _NARROW * noise)
        which = torch.randint(self._own, (count,), generator=generator)
        steps = torch.where(together, shifted, away)
        return self._around(which, steps)

    def sample_about_the_middle(self, count: int, hints: Hints, generator: torch.Generator) -> Tensor:
        """Return draws ``(count, d)`` as far from the middle of all modes as the known ones are.

        A narrow mode among wide ones is hidden by them from most sides, in many dimensions from almost all.
        It shows soonest from the middle, which is about as far from every mode: where parameters are
        expected, and every other time the mean of the known modes.
        """
        own = self.means[: self._own]
        middle = own.mean(0)
        units = ((own - hints.centre) / hints.width, (own - middle) / hints.width)
        distances = torch.stack([each.square().mean().sqrt().clamp_min(1.0) for each in units])
        which = torch.arange(count) % (2 if self._own > 1 else 1)
        noise = torch.randn(count, self._size, generator=generator, dtype=torch.float64)
        lengths = distances[which] * (_NEAREST + torch.rand(count, generator=generator, dtype=torch.float64))
        return torch.stack([hints.centre, middle])[which] + lengths[:, None] * hints.width * noise

    def _around(self, which: Tensor, steps: Tensor) -> Tensor:
        """Return points at steps ``(n, d)``, in deviations, from the chosen centres ``(n,)``."""
        points = torch.empty_like(steps)
        for place, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
            rows = which == place
            points[rows] = mean + steps[rows] @ factor.mT
        return points

    def log_prob(self, u: Tensor) -> Tensor:
        """Return the log-density in nats of points ``(n, d)``, shape ``(n,)``."""
        total = u.new_full((len(u),), -math.inf)
        for mean, factor, log_scale in zip(self.means, self.factors, self._log_scales, strict=True):
            steps = torch.linalg.solve_triangular(factor, (u - mean).mT, upper=False).square().sum(0)
            each = -0.5 * steps[:, None] / _WIDTHS.square() - self._size * _WIDTHS.log()
            total = torch.logaddexp(total, torch.logsumexp(each, 1) - log_scale)
        components = len(self.means) * len(_WIDTHS)
        return total - math.log(components) - 0.5 * self._size * _LOG_TWO_PI
