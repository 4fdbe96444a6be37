"""A flow: a base distribution and a transform."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from logpx.arguments import check_instance
from logpx.distributions.as_torch import TorchDistribution
from logpx.distributions.base import Distribution
from logpx.distributions.from_torch import as_distribution
from logpx.errors import UsageError
from logpx.transforms import Transform
from logpx.transforms.base import as_event_shape, context_of
from logpx.transforms.supports import Inside, leads_to

__all__ = ["Flow"]

# What a layer's units are of so many rows stays near the processor.
_FEWEST_ROWS, _MOST_ROWS, _NUMBERS = 512, 4096, 500_000


def _rows_at_once(x: Tensor) -> int:
    return min(_MOST_ROWS, max(_FEWEST_ROWS, _NUMBERS // max(x.shape[-1], 1)))


class Flow(Distribution):
    r"""The distribution of x where :math:`z = f(x)` follows the base.

    .. math:: \log p(x) = \log p_z(f(x)) + \log|\det J_f(x)|

    Parameters
    ----------
    base
        The distribution of the noise z, of logpx or of torch; see `FromTorch`.
    transform
        The map f from data to noise.
    embedding
        A net that turns contexts of shape ``(n, *context)`` into the vectors that base and transform take,
        trained and saved with the flow.
    context
        With an embedding, the shape of one context, such as ``(1, 28, 28)`` for an image.

    Raises
    ------
    UsageError
        If parts do not fit each other.

    Examples
    --------
    >>> import torch
    >>> from logpx.distributions import StandardNormal
    >>> from logpx.transforms import Affine
    >>> flow = Flow(StandardNormal(2), Affine(2))
    >>> flow.log_prob(torch.zeros(1, 2)).detach()
    tensor([-1.8379])
    """

    def __init__(
        self,
        base: Distribution | torch.distributions.Distribution,
        transform: Transform,
        embedding: nn.Module | None = None,
        context: int | Sequence[int] = 0,
    ) -> None:
        noise: Distribution = self._as_base(base)
        check_instance("base", noise, Distribution, "StandardNormal(3)")
        check_instance("transform", transform, Transform, "Affine(3)")
        if noise.event_shape != transform.event_shape:
            raise UsageError(
                f"the base has event shape {noise.event_shape}, the transform {transform.event_shape}",
                fix="build both for the same event shape",
            )
        shapes = {part.context_shape for part in (noise, transform) if part.context_features}
        if len(shapes) > 1:
            raise UsageError(
                f"the base takes contexts of shape {noise.context_shape}, "
                f"the transform of shape {transform.context_shape}",
                fix="build both with the same number of context features",
            )
        inner: tuple[int, ...] = shapes.pop() if shapes else ()
        outer = as_event_shape(context) if context else inner
        if (embedding is None and outer != inner) or (embedding is not None and not (context and inner)):
            raise UsageError(
                f"contexts of shape {outer} for layers that take contexts of shape {inner}",
                fix="build the layers with as many context features as the embedding returns, and give "
                "the shape of one context as context=...",
            )
        super().__init__(transform.event_shape, math.prod(outer) if outer else 0)
        self.base = noise
        self.transform = transform
        self.embedding = embedding
        self._context_shape = outer

    @property
    def context_shape(self) -> tuple[int, ...]:
        """The shape of one context, before it is embedded; ``()`` if there is none."""
        return self._context_shape

    def embed_context(self, context: Tensor | None) -> Tensor | None:
        """Return the vectors that base and transform take of contexts, shape ``(*rows, k)``."""
        if self.embedding is None or context is None:
            return context
        shape = self._context_shape
        found: Tensor = self.embedding(context.reshape(-1, *shape))
        return found.view(*context.shape[: context.dim() - len(shape)], found.shape[-1])

    def _as_base(self, base: Any) -> Any:
        base = as_distribution(base)
        if "base" in self._arguments:
            # A model folder names classes of logpx.
            self._arguments["base"] = base
        return base

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the exact log-density in nats, shape ``(*rows,)``."""
        self._check_dtype(x)
        z, ladj = self._mapped(self.transform.forward, x, context)
        return self.base.log_prob_of_noise(z, self._base_context(context)) + ladj

    def sample(self, n: Any, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, *event_shape)``, by one inverse of the transform."""
        z = self.base.sample(n, self._base_context(context), seed)
        return self._mapped(self.transform.inverse, z, context)[0]

    def sample_with_log_prob(
        self, n: Any, context: Tensor | None = None, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw rows with their log-density, from a single evaluation of the transform."""
        z, log_prob = self.base.sample_with_log_prob(n, self._base_context(context), seed)
        x, ladj = self._mapped(self.transform.inverse, z, context)
        # Noise outside the range of the transform gives rows at the edge of what it can produce.
        return x, (log_prob - ladj).masked_fill(ladj == -math.inf, -math.inf)

    def _mapped(
        self,
        function: Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]],
        x: Tensor,
        context: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Apply the transform or its inverse; to many rows part by part, without gradients."""
        context = context_of(self.transform, context)
        if self._is_one_part(x):
            return function(x, context)
        parts = torch.split(x, _rows_at_once(x))
        contexts: Sequence[Tensor | None] = [context] * len(parts)
        if context is not None and context.dim() == 2 and len(context) == len(x):
            contexts = torch.split(context, len(parts[0]))
        found = [function(*each) for each in zip(parts, contexts, strict=True)]
        return torch.cat([y for y, _ in found]), torch.cat([ladj for _, ladj in found])

    def _is_one_part(self, x: Tensor) -> bool:
        # In training, statistics of a transform may be those of all rows together.
        return (
            torch.compiler.is_compiling()
            or x.dim() != 2
            or len(x) <= _rows_at_once(x)
            or x.device.type != "cpu"
            or torch.is_grad_enabled()
            or self.training
            or torch._C._are_functorch_transforms_active()
        )

    def support(self, context: Tensor | None = None) -> Any:
        """Return where the density can be above 0: the domain of the transform where the noise fits it."""
        if leads_to(
            self.transform.codomain, self.base.support(self._base_context(self.embed_context(context)))
        ):
            return self.transform.domain
        return Inside(lambda x: self._is_possible(x, context), len(self.event_shape))

    def _is_possible(self, x: Tensor, context: Tensor | None) -> Tensor:
        with torch.no_grad():
            return self.log_prob(x, context) > -math.inf

    def noise_given(self, context: Tensor | None = None) -> TorchDistribution:
        """Return the distribution of the noise, given a context or none, as a distribution of torch."""
        return self.base.distribution(self._base_context(self.embed_context(context)))

    @property
    def reparameterised(self) -> bool:
        """Whether the base is reparameterised."""
        return self.base.reparameterised

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set the transform's data-dependent statistics from training rows, once."""
        with torch.no_grad():
            context = self.embed_context(context)
        self.transform.initialise(x, context_of(self.transform, context))

    def _check_dtype(self, x: Tensor) -> None:
        own = self._like().dtype
        if x.is_floating_point() and x.dtype != own and not torch.is_autocast_enabled(x.device.type):
            raise UsageError(
                f"numbers of {x.dtype} given to a model of {own}",
                fix=f"convert one of them: x.to({own}) or model.to({x.dtype})",
            )

    def _base_context(self, context: Tensor | None) -> Tensor | None:
        return context_of(self.base, context)
