"""Normal distributions: standard, with a diagonal covariance, with a full covariance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal

from logpx.distributions.base import Distribution
from logpx.distributions.column_checks import refuse_constant, refuse_lost
from logpx.distributions.gradients import is_traced
from logpx.distributions.missing import check_all_finite
from logpx.distributions.moments import Moments
from logpx.distributions.seeding import draw_rows
from logpx.errors import DataError
from logpx.transforms.base import sum_over_event

__all__ = ["DiagonalNormal", "FullNormal", "StandardNormal"]

_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


def _standard_noise(n: int, event_shape: tuple[int, ...], seed: int | None, like: Tensor) -> Tensor:
    return draw_rows(
        n,
        seed,
        like,
        lambda rows, generator, device: torch.randn(
            rows, *event_shape, generator=generator, device=device, dtype=like.dtype
        ),
        width=math.prod(event_shape),
    )


def _moments(x: Tensor, weights: Tensor | None, full: bool) -> Moments:
    moments = Moments.of(x, weights, full)
    # Looked at only where needed: the sum of finite numbers may overflow, too.
    if not bool(moments.mean.isfinite().all()):
        check_all_finite(x)
    return moments


def _check_moments(statistics: Moments) -> None:
    scatter = statistics.scatter
    if not statistics.count > 0.0:
        raise DataError("no rows, or only rows of weight 0", fix="give at least two different rows")
    variance = (scatter.diagonal() if scatter.dim() == 2 else scatter) / statistics.count
    refuse_lost(~torch.isfinite(variance) | ~torch.isfinite(statistics.mean))
    # Rounding the mean is enough to give a constant column a spread of a few ulp.
    refuse_constant(variance <= 1e-28 * statistics.mean**2)


class StandardNormal(Distribution):
    """Independent normal distributions of mean 0 and variance 1.

    Parameters
    ----------
    event_shape
        The shape of one x.

    Examples
    --------
    >>> StandardNormal(2).log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    """

    anchor: Tensor

    def __init__(self, event_shape: int | Sequence[int]) -> None:
        super().__init__(event_shape)
        # Carries the dtype and device, because there are no parameters to do so.
        self.register_buffer("anchor", torch.zeros(()))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``."""
        return self._log_prob(x)

    def log_prob_of_noise(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``, without any check."""
        # Without a look at the numbers, as in a graph, gradients of infinite ones are only right with checks.
        return self.log_prob(z) if is_traced() else self._log_prob(z)

    def _log_prob(self, x: Tensor) -> Tensor:
        squares = sum_over_event(x * x, self.event_shape)
        return torch.rsub(squares, -_HALF_LOG_TWO_PI * math.prod(self.event_shape), alpha=0.5)

    def torch_equivalent(self) -> torch.distributions.Distribution:
        """Return the same distribution of torch's."""
        zeros = torch.zeros(self.event_shape).to(self.anchor)
        normal = Normal(zeros, torch.ones_like(zeros), validate_args=False)
        return Independent(normal, len(self.event_shape))

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, *event_shape)``."""
        return _standard_noise(n, self.event_shape, seed, self.anchor)


class DiagonalNormal(Distribution):
    """Independent normal distributions, each with its own mean and standard deviation.

    Parameters
    ----------
    event_shape
        The shape of one x.

    Examples
    --------
    >>> normal = DiagonalNormal(2)
    >>> normal.update(normal.statistics(torch.tensor([[0.0, 0.0], [2.0, 4.0]])))
    >>> normal.mean
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    def __init__(self, event_shape: int | Sequence[int]) -> None:
        super().__init__(event_shape)
        self.mean = nn.Parameter(torch.zeros(self.event_shape))
        self.log_scale = nn.Parameter(torch.zeros(self.event_shape))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``."""
        z = (x - self.mean) * torch.exp(-self.log_scale)
        return sum_over_event(-0.5 * z * z - self.log_scale - _HALF_LOG_TWO_PI, self.event_shape)

    def torch_equivalent(self) -> torch.distributions.Distribution:
        """Return the same distribution of torch's."""
        normal = Normal(self.mean, self.log_scale.exp(), validate_args=False)
        return Independent(normal, len(self.event_shape))

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, *event_shape)``."""
        return self.mean + torch.exp(self.log_scale) * _standard_noise(n, self.event_shape, seed, self.mean)

    def statistics(self, x: Tensor, weights: Tensor | None = None) -> Moments:
        """Return the sufficient statistics of rows of shape ``(n, *event_shape)``."""
        return _moments(x.flatten(1), weights, full=False)

    @torch.no_grad()
    def update(self, statistics: Moments) -> None:
        """Set mean and variance by maximum likelihood.

        Raises
        ------
        DataError
            If there are no rows, a value is not finite, or an element never varies.
        """
        _check_moments(statistics)
        variance = statistics.scatter / statistics.count
        self.mean.copy_(statistics.mean.view(self.event_shape))
        self.log_scale.copy_(0.5 * variance.log().view(self.event_shape))


class FullNormal(Distribution):
    r"""A multivariate normal distribution with a full covariance :math:`\Sigma = L L^T`.

    Parameters
    ----------
    features
        The number of features D.

    Examples
    --------
    >>> normal = FullNormal(2)
    >>> normal.update(normal.statistics(torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]])))
    >>> normal.covariance.detach()
    tensor([[0.6667, 0.0000],
            [0.0000, 2.0000]])
    """

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.mean = nn.Parameter(torch.zeros(features))
        self.log_diagonal = nn.Parameter(torch.zeros(features))
        self.lower = nn.Parameter(torch.zeros(features, features))

    @property
    def cholesky(self) -> Tensor:
        """The lower triangular factor L, shape ``(D, D)``."""
        return self.lower.tril(-1) + torch.diag_embed(self.log_diagonal.exp())

    @property
    def covariance(self) -> Tensor:
        """The covariance matrix, shape ``(D, D)``."""
        return self.cholesky @ self.cholesky.mT

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``."""
        features = self.event_shape[0]
        centred = (x - self.mean).reshape(-1, features)
        z: Tensor = torch.linalg.solve_triangular(self.cholesky.mT, centred, upper=True, left=False)
        log_prob = -0.5 * (z * z).sum(-1) - self.log_diagonal.sum() - features * _HALF_LOG_TWO_PI
        return log_prob.view(x.shape[:-1])

    def torch_equivalent(self) -> torch.distributions.Distribution:
        """Return the same distribution of torch's."""
        return MultivariateNormal(self.mean, scale_tril=self.cholesky, validate_args=False)

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, features)``."""
        return self.mean + _standard_noise(n, self.event_shape, seed, self.mean) @ self.cholesky.mT

    def statistics(self, x: Tensor, weights: Tensor | None = None) -> Moments:
        """Return the sufficient statistics of rows of shape ``(n, features)``."""
        return _moments(x, weights, full=True)

    @torch.no_grad()
    def update(self, statistics: Moments) -> None:
        """Set mean and covariance by maximum likelihood.

        Raises
        ------
        DataError
            If there are no rows, a value is not finite, or the covariance is singular: a column is constant
            or a linear combination of others.
        """
        _check_moments(statistics)
        covariance = statistics.scatter / statistics.count
        scale = covariance.diagonal().sqrt()
        correlation = covariance / scale / scale[:, None]
        factor, failed_at = torch.linalg.cholesky_ex(correlation)
        # Rounding leaves a dependent column with a pivot of about D ulp instead of 0.
        smallest = factor.diagonal().square()
        dependent = (smallest <= 1e-13 * len(scale)).nonzero().flatten()
        if failed_at or len(dependent):
            column = int(failed_at) - 1 if failed_at else int(dependent[0])
            raise DataError(
                "the covariance is singular: the column is a linear combination of earlier ones",
                column=column,
                fix="leave the column out",
            )
        self.mean.copy_(statistics.mean)
        self.log_diagonal.copy_(factor.diagonal().log() + scale.log())
        self.lower.copy_((factor * scale[:, None]).tril(-1))
