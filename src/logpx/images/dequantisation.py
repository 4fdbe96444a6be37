"""Noise over exactly one level, so that a density bounds the probability of whole levels from below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.distributions import Distribution, LowerBound
from logpx.errors import UsageError
from logpx.images.preprocessing import IdentityPixels, LogitPixels
from logpx.scoring import LogOfMean, MeanOfLogs, Noise, Pool
from logpx.transforms import Transform

__all__ = ["Dequantisation", "NoDequantisation", "UniformDequantisation"]


class Dequantisation(Configured, nn.Module):
    r"""A distribution q(u given x) on :math:`(0, 1)^D`.

    With any of them :math:`\log P(x) \ge E_q[\log p(x + u) - \log q(u | x)]`, by Jensen's inequality.
    """

    def noise(self, x: Tensor, source: Noise) -> tuple[Tensor, Tensor]:
        """Draw one u per image.

        Parameters
        ----------
        x
            Whole levels as floating-point numbers, shape ``(n, C, H, W)``.
        source
            Where randomness comes from.

        Returns
        -------
        u : Tensor
            Of the shape of `x`, in [0, 1].
        log_q : Tensor
            Its log-density in nats, shape ``(n,)``.
        """
        raise NotImplementedError

    def log_weight(
        self, density: Distribution, units: Transform, x: Tensor, context: Tensor | None, source: Noise
    ) -> Tensor:
        """Return log p(x + u) − log q(u given x) for one draw of u, shape ``(n,)``.

        Parameters
        ----------
        density
            Of images in its own units.
        units
            From levels to these.
        x, source
            As in `noise`.
        context
            Of the density.
        """
        u, log_q = self.noise(x, source)
        z, ladj = units.forward(x + u)
        return density.log_prob(z, context) + ladj - log_q

    def log_prob_lower(
        self,
        density: Distribution,
        units: Transform,
        x: Tensor,
        context: Tensor | None,
        source: Noise,
        draws: int | None,
        exactness: int | None,
    ) -> LowerBound:
        """Return a lower bound of log P(x) in float64.

        Parameters
        ----------
        density, units, x, context, source
            As in `log_weight`.
        draws
            How many log-weights are averaged; 1 by default.
        exactness
            In place of the average, the log of the mean of so many weights: a tighter bound.
        """
        pool: Pool = MeanOfLogs() if exactness is None else LogOfMean()
        for draw in range(exactness or draws or 1):
            own = replace(source, draw=draw)
            pool.add_log_weights(self.log_weight(density, units, x, context, own).double())
        return pool.bound()

    def own_draws(self, draws: int) -> int | None:
        """Return how many draws of noise to average over where `draws` are asked for; None without noise."""
        return draws

    def kind(self, density: Distribution) -> str:
        """Return what log P(x) is with a density: ``exact`` or ``lower bound``."""
        return "lower bound"

    def preprocessing(self, event_shape: Sequence[int], levels: int) -> Transform:
        """Return the units that a density works in where no others are given."""
        return LogitPixels(event_shape, levels)

    def check(self, units: Transform) -> None:
        """Refuse units that do not go with it."""


class UniformDequantisation(Dequantisation):
    """Uniform noise over one level, whatever the image: log q is 0.

    References
    ----------
    Theis, van den Oord and Bethge 2016, A note on the evaluation of generative models, section 3.1.
    https://arxiv.org/abs/1511.01844

    Examples
    --------
    >>> import torch
    >>> u, log_q = UniformDequantisation().noise(torch.zeros(2, 1, 4, 4), Noise(0))
    >>> u.shape, log_q.tolist()
    (torch.Size([2, 1, 4, 4]), [0.0, 0.0])
    """

    def noise(self, x: Tensor, source: Noise) -> tuple[Tensor, Tensor]:
        """Draw uniforms."""
        return source.uniform(len(x), tuple(x.shape[1:]), x), x.new_zeros(len(x))


class NoDequantisation(Dequantisation):
    """No noise, for a distribution of whole levels, such as a VAE with a likelihood of levels.

    Not for a density of real numbers, whose values at whole levels are no probabilities. What is reported is
    as exact as the distribution; a bound is its own, with its own draws and standard error.

    Examples
    --------
    >>> import torch
    >>> from logpx.images import ImageModel, UniformLevels
    >>> shape = (1, 1, 1)
    >>> model = ImageModel(UniformLevels(shape, levels=4), 4, NoDequantisation())
    >>> model.log_prob(torch.zeros(1, *shape)).exp(), model.kind
    (tensor([0.2500]), 'exact')
    """

    def noise(self, x: Tensor, source: Noise) -> tuple[Tensor, Tensor]:
        """Return zeros."""
        return torch.zeros_like(x), x.new_zeros(len(x))

    def log_prob_lower(
        self,
        density: Distribution,
        units: Transform,
        x: Tensor,
        context: Tensor | None,
        source: Noise,
        draws: int | None,
        exactness: int | None,
    ) -> LowerBound:
        """Return what the distribution itself says, from `exactness` or else `draws` draws of its own."""
        bound = density.log_prob_lower(x, exactness or draws, source.seed or 0, context, source.first)
        return LowerBound(bound.log_prob.double(), bound.standard_error.double())

    def own_draws(self, draws: int) -> int | None:
        """Return None: the distribution decides on its draws."""
        return None

    def kind(self, density: Distribution) -> str:
        """Return that of the distribution."""
        return density.kind

    def preprocessing(self, event_shape: Sequence[int], levels: int) -> Transform:
        """Return whole levels as they are."""
        return IdentityPixels(event_shape, levels)

    def check(self, units: Transform) -> None:
        """Refuse all units but whole levels."""
        if not isinstance(units, IdentityPixels):
            raise UsageError(
                f"{type(units).__name__}, where a distribution of whole levels takes them as they are",
                fix="leave the preprocessing out, or add noise: UniformDequantisation()",
            )
