"""Posteriors q(z given x), built from an encoder's numbers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal

from logpx.arguments import check_count, check_instance
from logpx.configuration import Configured
from logpx.errors import UsageError
from logpx.transforms import Transform

__all__ = ["DiagonalPosterior", "FlowPosterior", "FullPosterior", "VariationalPosterior", "diagonal"]

_LEAST_LOG_SCALE, _MOST_LOG_SCALE = math.log(1e-5), math.log(1e3)


class VariationalPosterior(nn.Module, Configured, ABC):
    """A family of distributions of z.

    Parameters
    ----------
    latent
        The number of latent dimensions.

    Attributes
    ----------
    outputs : int
        How many numbers the encoder must return.
    """

    outputs: int

    def __init__(self, latent: int) -> None:
        super().__init__()
        check_count("latent", latent)
        self.latent = latent

    def forward(self, raw: Tensor) -> Any:
        """Return q(z given x), with ``rsample`` and ``log_prob`` as in torch.

        Parameters
        ----------
        raw
            What the encoder returns, shape ``(*rows, outputs)``.

        Raises
        ------
        UsageError
            If the shape is wrong.
        """
        if not raw.dim() or raw.shape[-1] != self.outputs:
            raise UsageError(
                f"the encoder returns {raw.shape[-1] if raw.dim() else 'one'} numbers, where "
                f"{type(self).__name__} takes {self.outputs}",
                fix=f"let the last layer of the encoder return {self.outputs} numbers per row",
            )
        return self.of(raw)

    @abstractmethod
    def of(self, raw: Tensor) -> Any:
        """Return q for numbers of the right shape."""

    def frozen(self, raw: Tensor) -> Any:
        """Return the same q without gradients to its parameters, for estimators that omit them."""
        return self.forward(raw.detach())


class DiagonalPosterior(VariationalPosterior):
    """Independent normal distributions.

    Examples
    --------
    >>> DiagonalPosterior(2)(torch.zeros(5, 4)).rsample((3,)).shape
    torch.Size([3, 5, 2])
    """

    def __init__(self, latent: int) -> None:
        super().__init__(latent)
        self.outputs = 2 * latent

    def of(self, raw: Tensor) -> Independent[Normal]:
        """Return normal distributions, given means and log-scales."""
        return diagonal(raw)


class FullPosterior(VariationalPosterior):
    """A normal distribution with a full covariance, from its Cholesky factor.

    Examples
    --------
    >>> FullPosterior(3).outputs
    9
    """

    def __init__(self, latent: int) -> None:
        super().__init__(latent)
        self.outputs = latent + latent * (latent + 1) // 2

    def of(self, raw: Tensor) -> MultivariateNormal:
        """Return a normal distribution, given its mean and Cholesky factor."""
        mean, log_diagonal, below = torch.split(
            raw, [self.latent, self.latent, self.outputs - 2 * self.latent], -1
        )
        factor = torch.zeros(*raw.shape[:-1], self.latent, self.latent, dtype=raw.dtype, device=raw.device)
        row, column = torch.tril_indices(self.latent, self.latent, -1, device=raw.device)
        factor[..., row, column] = below
        factor = factor + torch.diag_embed(log_diagonal.clamp(_LEAST_LOG_SCALE, _MOST_LOG_SCALE).exp())
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False)


class FlowPosterior(VariationalPosterior):
    """A normal distribution bent by a transform, with numbers of the encoder as context.

    Parameters
    ----------
    transform
        From z to noise, on vectors. Drawing uses its inverse, which should be cheap, as in an inverse
        autoregressive flow: ``Inverse(Autoregressive(...))``. The encoder gives its context features, if any.

    References
    ----------
    Rezende and Mohamed 2015, Variational inference with normalizing flows; Kingma et al. 2016, Improved
    variational inference with inverse autoregressive flow.
    https://arxiv.org/abs/1505.05770
    https://arxiv.org/abs/1606.04934

    Examples
    --------
    >>> from logpx.transforms import Autoregressive, Inverse
    >>> posterior = FlowPosterior(Inverse(Autoregressive(2, hidden=(8,), context=4)))
    >>> posterior(torch.zeros(5, posterior.outputs)).rsample((3,)).shape
    torch.Size([3, 5, 2])
    """

    def __init__(self, transform: Transform) -> None:
        check_instance("transform", transform, Transform, "Inverse(Autoregressive(2))")
        if len(transform.event_shape) != 1:
            raise UsageError(f"a transform of shape {transform.event_shape}", fix="give one of vectors")
        super().__init__(transform.event_shape[0])
        self.transform = transform
        self.outputs = 2 * self.latent + transform.context_features

    def of(self, raw: Tensor) -> _Bent:
        """Return the bent distribution."""
        return self._bent(raw, self.transform)

    def frozen(self, raw: Tensor) -> _Bent:
        """Return q without gradients to the encoder's numbers and the transform's parameters."""
        weights = {name: value.detach() for name, value in self.transform.state_dict(keep_vars=True).items()}

        def forward(z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
            found: tuple[Tensor, Tensor] = torch.func.functional_call(self.transform, weights, (z, context))
            return found

        bent = self._bent(raw.detach(), self.transform)
        bent.forward = forward
        return bent

    def _bent(self, raw: Tensor, transform: Transform) -> _Bent:
        base, context = torch.split(raw, [2 * self.latent, self.outputs - 2 * self.latent], -1)
        return _Bent(diagonal(base), transform, context if transform.context_features else None)


class _Bent:
    """The distribution of T⁻¹(ε); it remembers the log-density of its last draw."""

    has_rsample = True

    def __init__(self, base: Any, transform: Transform, context: Tensor | None) -> None:
        self._base, self._transform, self._context = base, transform, context
        self._last: tuple[Tensor, Tensor] | None = None
        self.forward: Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]] = transform.forward

    def rsample(self, shape: Sequence[int] = ()) -> Tensor:
        noise = self._base.rsample(torch.Size(shape))
        z, ladj = self._transform.inverse(noise, self._context_of(noise))
        self._last = z, self._base.log_prob(noise) - ladj
        return z

    def sample(self, shape: Sequence[int] = ()) -> Tensor:
        with torch.no_grad():
            return self.rsample(shape)

    def log_prob(self, z: Tensor) -> Tensor:
        if self._last is not None and self._last[0] is z:
            return self._last[1]
        noise, ladj = self.forward(z, self._context_of(z))
        log_prob: Tensor = self._base.log_prob(noise) + ladj
        return log_prob

    def _context_of(self, z: Tensor) -> Tensor | None:
        return None if self._context is None else self._context.expand(*z.shape[:-1], -1)


def diagonal(raw: Tensor) -> Independent[Normal]:
    """Return independent normal distributions for means and log-scales, shape ``(*rows, 2 latent)``."""
    mean, log_scale = raw.chunk(2, -1)
    scale = log_scale.clamp(_LEAST_LOG_SCALE, _MOST_LOG_SCALE).exp()
    return Independent(Normal(mean, scale, validate_args=False), 1, validate_args=False)
