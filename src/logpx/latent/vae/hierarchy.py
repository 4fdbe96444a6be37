"""Several stochastic layers: z = (z₁, ..., z_L), each depending on the one above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.latent.vae.posteriors import VariationalPosterior, diagonal
from logpx.latent.vae.priors import Encode, Prior
from logpx.nets import MLP

__all__ = ["HierarchicalPosterior", "HierarchicalPrior"]

# Maps the layer above (None at the top) to the numbers of a layer's normal distribution.
Layer = Callable[[Tensor | None], Tensor]


class HierarchicalPrior(Prior):
    r"""A standard normal top layer, and below it normal distributions with numbers from a network:
    :math:`p(z) = p(z_L) \prod_{l < L} p(z_l \mid z_{l+1})`.

    The decoder sees z₁ alone.

    Parameters
    ----------
    latents
        The dimensions of z₁, ..., z_L, two layers or more; the VAE's `latent` is their sum.
    hidden
        Widths of the hidden layers of each network.

    References
    ----------
    Rezende, Mohamed and Wierstra 2014, Stochastic backpropagation; Sønderby et al. 2016, Ladder variational
    autoencoders.
    https://arxiv.org/abs/1401.4082
    https://arxiv.org/abs/1602.02282

    Examples
    --------
    >>> prior = HierarchicalPrior((4, 2), hidden=(8,))
    >>> prior.latent, prior.visible
    (6, 4)
    """  # noqa: D205 - the formula belongs to the sentence

    def __init__(self, latents: Sequence[int], hidden: Sequence[int] = (64,)) -> None:
        super().__init__()
        self.latents = _checked(latents)
        self.latent, self.visible = sum(latents), latents[0]
        self.layers = nn.ModuleList(
            MLP(above, 2 * below, tuple(hidden), damped=False) for below, above in pairwise(latents)
        )

    def forward(self, encode: Encode, like: Tensor) -> _Layered:
        """Return p(z)."""
        top = like.new_zeros(2 * self.latents[-1])
        below: list[Layer] = [layer for layer in self.layers]
        return _Layered(self.latents, [*below, lambda above: top])


class HierarchicalPosterior(VariationalPosterior):
    r"""Normal distributions from the top down:
    :math:`q(z \mid x) = q(z_L \mid x) \prod_{l < L} q(z_l \mid z_{l+1}, x)`.

    Parameters
    ----------
    latents
        The dimensions of z₁, ..., z_L, as in the prior.
    features
        How many numbers about x the encoder gives each layer.
    hidden
        Widths of the hidden layers of each network.

    References
    ----------
    Sønderby et al. 2016, Ladder variational autoencoders; Kingma et al. 2016 (top-down inference).
    https://arxiv.org/abs/1602.02282
    https://arxiv.org/abs/1606.04934

    Examples
    --------
    >>> posterior = HierarchicalPosterior((4, 2), features=16, hidden=(8,))
    >>> posterior(torch.zeros(5, 16)).rsample((3,)).shape
    torch.Size([3, 5, 6])
    """  # noqa: D205 - the formula belongs to the sentence

    def __init__(self, latents: Sequence[int], features: int = 64, hidden: Sequence[int] = (64,)) -> None:
        super().__init__(sum(_checked(latents)))
        check_count("features", features)
        self.latents, self.outputs = tuple(latents), features
        above = [*latents[1:], 0]
        self.layers = nn.ModuleList(
            MLP(features + more, 2 * own, tuple(hidden), damped=False)
            for own, more in zip(latents, above, strict=True)
        )

    def of(self, raw: Tensor) -> _Layered:
        """Return the layers, given one row of numbers per x."""
        return _Layered(self.latents, [_beside(raw, layer) for layer in self.layers])

    def frozen(self, raw: Tensor) -> _Layered:
        """Return the layers without gradients to the encoder's numbers and the networks."""

        def call(layer: nn.Module) -> Callable[[Tensor], Tensor]:
            weights = {name: value.detach() for name, value in layer.named_parameters()}
            return lambda h: torch.func.functional_call(layer, weights, (h,))

        return _Layered(self.latents, [_beside(raw.detach(), call(layer)) for layer in self.layers])


class _Layered:
    """A chain of normal distributions, drawn from the top down with the interface of torch."""

    has_rsample = True

    def __init__(self, latents: Sequence[int], layers: Sequence[Layer]) -> None:
        self._latents, self._layers = list(latents), layers

    def rsample(self, shape: Sequence[int] = ()) -> Tensor:
        parts: list[Tensor] = []
        for layer in reversed(self._layers):
            own = self._normal(layer, parts[0] if parts else None)
            # Below the top, the layer above already has the leading dimensions.
            parts.insert(0, own.rsample(torch.Size(() if parts else shape)))
        return torch.cat(parts, -1)

    def sample(self, shape: Sequence[int] = ()) -> Tensor:
        with torch.no_grad():
            return self.rsample(shape)

    def log_prob(self, z: Tensor) -> Tensor:
        parts = torch.split(z, self._latents, -1)
        above = [*parts[1:], None]
        found = [
            self._normal(layer, more).log_prob(own)
            for layer, own, more in zip(self._layers, parts, above, strict=True)
        ]
        total: Tensor = sum(found[1:], found[0])
        return total

    @staticmethod
    def _normal(layer: Layer, above: Tensor | None) -> Any:
        return diagonal(layer(above))


def _beside(raw: Tensor, layer: Callable[[Tensor], Tensor]) -> Layer:
    """Let a network see the encoder's numbers beside the layer above."""

    def call(above: Tensor | None) -> Tensor:
        if above is None:
            return layer(raw)
        return layer(torch.cat([raw.expand(*above.shape[:-1], -1), above], -1))

    return call


def _checked(latents: Any) -> tuple[int, ...]:
    if not isinstance(latents, Sequence) or len(latents) < 2:
        raise UsageError(
            f"latents is {latents!r}", fix="give the dimensions of two layers or more, say (8, 4)"
        )
    for latent in latents:
        check_count("latents", latent)
    return tuple(latents)
