"""Priors of z: standard normal, any logpx distribution, or a mixture of encodings of trained inputs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl,
)

from logpx.arguments import check_count, check_instance
from logpx.configuration import Configured
from logpx.distributions import Distribution
from logpx.errors import UsageError
from logpx.transforms.base import as_event_shape

__all__ = ["LearnedPrior", "Prior", "StandardPrior", "VampPrior"]

Encode = Callable[[Tensor], Any]
Divergence = Callable[[Any, Any], Tensor]


class Prior(nn.Module, Configured, ABC):
    """p(z), which may depend on the encoder.

    Attributes
    ----------
    visible : int or None
        How many of the latent dimensions the decoder sees, from the first on; None means all.
    """

    visible: int | None = None

    @abstractmethod
    def forward(self, encode: Encode, like: Tensor) -> Any:
        """Return p(z) with the interface of torch.

        Parameters
        ----------
        encode
            Maps x to q(z given x).
        like
            A tensor with the dtype and device to use.
        """


class StandardPrior(Prior):
    """The standard normal distribution.

    Parameters
    ----------
    latent
        The number of latent dimensions.
    """

    def __init__(self, latent: int) -> None:
        super().__init__()
        check_count("latent", latent)
        self.latent = latent

    def forward(self, encode: Encode, like: Tensor) -> Independent[Normal]:
        """Return p(z)."""
        zero = like.new_zeros(self.latent)
        return _Standard(Normal(zero, zero + 1.0, validate_args=False), 1, validate_args=False)


class LearnedPrior(Prior):
    """Any logpx distribution over vectors, such as a mixture or a flow, trained with the rest.

    Parameters
    ----------
    distribution
        The distribution.
    """

    def __init__(self, distribution: Distribution) -> None:
        super().__init__()
        check_instance("distribution", distribution, Distribution, "StandardNormal(2)")
        if len(distribution.event_shape) != 1 or distribution.context_features:
            raise UsageError(
                f"a prior over shape {distribution.event_shape}",
                fix="give a distribution of vectors, without context",
            )
        self.distribution = distribution
        self.latent = distribution.event_shape[0]

    def forward(self, encode: Encode, like: Tensor) -> _AsTorch:
        """Return p(z) with the interface of torch."""
        return _AsTorch(self.distribution)


class VampPrior(Prior):
    r"""The mean of q(z given u) over trained inputs u: :math:`\frac1K \sum_k q(z \mid u_k)`.

    Its gradient also reaches the encoder. The posterior must be normal.

    Parameters
    ----------
    event_shape
        The shape of x.
    components
        The number K of inputs.

    References
    ----------
    Tomczak and Welling 2018, VAE with a VampPrior.
    https://arxiv.org/abs/1705.07120
    """

    def __init__(self, event_shape: int | Sequence[int], components: int = 50) -> None:
        super().__init__()
        check_count("components", components)
        self.inputs = nn.Parameter(0.1 * torch.randn(components, *as_event_shape(event_shape)))

    def forward(self, encode: Encode, like: Tensor) -> MixtureSameFamily:
        """Return the mixture."""
        parts = encode(self.inputs)
        weights = Categorical(logits=like.new_zeros(len(self.inputs)), validate_args=False)
        return MixtureSameFamily(weights, parts, validate_args=False)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Use training rows as inputs, repeated if there are few."""
        place = torch.arange(len(self.inputs)) % len(x)
        self.inputs.copy_(x[place].nan_to_num(nan=0.0))


# A typed name: torch's own is untyped.
_register: Callable[[type, type], Callable[[Divergence], Divergence]] = kl.register_kl


class _Standard(Independent):  # type: ignore[type-arg]
    """The standard normal distribution, with short formulas for some divergences."""


@_register(Independent, _Standard)
def _from_diagonal(q: Any, p: Any) -> Tensor:
    if not isinstance(q.base_dist, Normal) or q.reinterpreted_batch_ndims != 1:
        raise NotImplementedError
    mean, scale = q.base_dist.loc, q.base_dist.scale
    found: Tensor = 0.5 * (mean * mean + scale * scale - 1.0).sum(-1) - scale.log().sum(-1)
    return found


@_register(MultivariateNormal, _Standard)
def _from_full(q: Any, p: Any) -> Tensor:
    factor = q._unbroadcasted_scale_tril
    squares = q.loc.square().sum(-1) + factor.square().sum((-1, -2)) - q.loc.shape[-1]
    found: Tensor = 0.5 * squares - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return found


class _AsTorch:
    """A logpx distribution with the methods of a torch one."""

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution
        self.has_rsample = distribution.reparameterised

    def log_prob(self, z: Tensor) -> Tensor:
        return self._distribution.log_prob(z)

    def sample(self, shape: Sequence[int] = ()) -> Tensor:
        drawn = self._distribution.sample(math.prod(shape))
        return drawn.view(*shape, *self._distribution.event_shape)

    def rsample(self, shape: Sequence[int] = ()) -> Tensor:
        drawn = self._distribution.rsample(math.prod(shape))
        return drawn.view(*shape, *self._distribution.event_shape)
