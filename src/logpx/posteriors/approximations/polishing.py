"""Polishing: a fit is fitted further to weighted draws, which show the tails that it lacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from logpx.distributions import Distribution
from logpx.posteriors.approximations.approximation import Approximation
from logpx.posteriors.approximations.forward_kl import minimise_forward_kl
from logpx.posteriors.approximations.landscape import Landscape
from logpx.posteriors.approximations.methods import PosteriorMethod
from logpx.posteriors.approximations.mixtures import mixture_of
from logpx.posteriors.diagnostics.importance import DRAWS, Weighted
from logpx.posteriors.target.target import Target

__all__ = ["Polishing"]

_RESAMPLED = 20_000


@dataclass(frozen=True, repr=False)
class Polishing(PosteriorMethod):
    """A mixture of a fit and the same fitted further to weighted draws, by maximum likelihood.

    Reverse KL leaves tails too thin for importance weights, and its own draws do not show it; their weights
    do. The original stays in the mixture, so that nothing that it covers is lost.

    Parameters
    ----------
    fitted
        What to fit further; it is not changed.
    weighted
        Draws with importance weights, of any distribution.
    max_time
        The most seconds.

    References
    ----------
    Cappé, Douc, Guillin, Marin and Robert 2008, Adaptive importance sampling in general mixture classes;
    Gabrié, Rotskoff and Vanden-Eijnden 2022, Adaptive Monte Carlo augmented with normalizing flows.
    https://arxiv.org/abs/0710.4242
    https://arxiv.org/abs/2105.12603
    """

    name: ClassVar[str] = "polished"
    fitted: Distribution
    weighted: Weighted
    max_time: float = 60.0

    def approximate(
        self, target: Target, landscape: Landscape, seed: int, draws: int = DRAWS
    ) -> Approximation:
        """Fit to draws resampled by weight.

        Raises
        ------
        UsageError
            If the weights leave too few different draws.
        """
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.multinomial(self.weighted.smoothed, _RESAMPLED, replacement=True, generator=generator)
        found = minimise_forward_kl(self.fitted, self.weighted.u[chosen], seed, self.max_time)
        if not found.gain > 0.0:
            return Approximation(
                self.fitted, missed="its own weighted draws do not show how to fit it better"
            )
        q = mixture_of([self.fitted, found.distribution], [0.0, 0.0], target, seed)
        return Approximation(q, steps=found.steps)

    def limited_to(self, max_time: float) -> PosteriorMethod:
        """Return the method with a time limit in seconds."""
        return replace(self, max_time=min(self.max_time, max_time))
