"""The divergence of an approximation from draws of the posterior, in both directions and both spaces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.errors import UsageError
from logpx.posteriors.diagnostics.bridge_sampling import batch_means_error, bridge_sampling
from logpx.posteriors.diagnostics.noise_space import noise_space
from logpx.posteriors.target.target import Target
from logpx.representations import Shown

__all__ = ["Divergences", "compare_with_draws"]

_FEWEST = 20
# In nats: a normal distribution that is off by less than a third of a standard deviation.
_NOTABLE = 0.05


@dataclass(frozen=True, kw_only=True, repr=False)
class Divergences(Shown):
    """How far q is from the posterior p, estimated from draws of both; all in nats.

    Attributes
    ----------
    reverse, reverse_error : float
        KL(q ‖ p) = log Z − ELBO: large if q has mass where p has none.
    forward, forward_error : float
        KL(p ‖ q) = upper bound − log Z: large if p has mass where q has none.
    jeffreys, jeffreys_error : float
        Their sum, upper bound − ELBO, which does not involve log Z.
    log_evidence, log_evidence_error : float
        log Z by bridge sampling, unbiased by mass that q misses.
    beyond : float
        The share of the draws of p that weigh more than any draw of q.
    forward_in_noise : float
        KL(p ‖ q) again, computed between the noise of the draws and the base of q.
    disagreement : float
        The largest difference between a draw's weights in the two spaces: the error of q's inverse and of
        its log abs(det).
    """

    reverse: float
    reverse_error: float
    forward: float
    forward_error: float
    jeffreys: float
    jeffreys_error: float
    log_evidence: float
    log_evidence_error: float
    beyond: float
    forward_in_noise: float
    disagreement: float

    @property
    def misses(self) -> bool:
        """Whether q misses a part of the draws: far in the forward direction, near in the reverse one."""
        return _far(self.forward, self.forward_error, self.reverse)

    @property
    def too_wide(self) -> bool:
        """Whether q has mass where there are no draws: far in the reverse direction only."""
        return _far(self.reverse, self.reverse_error, self.forward)

    @property
    def verdict(self) -> str:
        """What the two directions say, in words."""
        if self.misses:
            return f"q misses a part of the draws: {self.beyond:.0%} of them weigh more than any draw of q"
        if self.too_wide:
            return "q is too wide: a part of its mass has no draws"
        if self.jeffreys < _NOTABLE + min(2.0 * self.jeffreys_error, _NOTABLE):
            return "q and the draws agree"
        return "q and the draws differ in both directions"

    def __str__(self) -> str:
        """Return all numbers and the verdict."""
        return (
            f"KL(q ‖ p) {self.reverse:.3f} ± {self.reverse_error:.3f} nats, "
            f"KL(p ‖ q) {self.forward:.3f} ± {self.forward_error:.3f}, "
            f"sum {self.jeffreys:.3f} ± {self.jeffreys_error:.3f}; {self.verdict}; "
            f"in noise space the weights of draws differ by at most {self.disagreement:.1e}"
        )


@torch.no_grad()
def compare_with_draws(q: Distribution, target: Target, proposed: Tensor, u: Tensor) -> Divergences:
    r"""Estimate the divergences between an approximation and a posterior from draws of both.

    The maps of q carry draws u to noise z, and the log-density with them. With a perfect inverse the
    divergence stays the same, :math:`KL(p_u \| q_u) = KL(p_z \| q_z)`: in noise space the model is on the
    left, and the base on the right is fixed.

    Parameters
    ----------
    q
        The approximation.
    target
        The log-density.
    proposed
        Log-weights of independent draws from q, shape ``(n,)``.
    u
        Draws from the posterior, shape ``(m, d)``; those of a chain in its order, so that errors allow for
        its autocorrelation.

    Raises
    ------
    UsageError
        If there are fewer than 20 draws, or the log-density of one is not finite.

    References
    ----------
    Papamakarios, Nalisnick, Rezende, Mohamed and Lakshminarayanan 2021, Normalizing flows for probabilistic
    modeling and inference, section 2.3.3 (the two spaces); Jeffreys 1946, An invariant form for the prior
    probability in estimation problems; Flegal and Jones 2010, Batch means and spectral variance estimators
    in Markov chain Monte Carlo.
    https://arxiv.org/abs/1912.02762
    """
    if len(u) < _FEWEST:
        raise UsageError(f"{len(u)} draws", fix=f"give {_FEWEST} or more")
    density = target.log_prob(u)
    lost = ~density.isfinite()
    if bool(lost.any()):
        bad = int(lost.nonzero()[0])
        raise UsageError(
            f"log_density is {float(density[bad])} at draw {bad + 1}, {target.describe(u[bad])}",
            fix="give draws of this posterior",
        )
    weights = density - q.log_prob(u)
    space = noise_space(q)
    noise, back = space.forward(u)
    again, out = space.inverse(noise)
    in_noise = target.log_prob(again) + out - space.base.log_prob(noise)
    meeting = bridge_sampling(proposed, weights)
    elbo, upper = float(proposed.mean()), float(weights.mean())
    return Divergences(
        reverse=meeting.log_evidence - elbo,
        reverse_error=_error(meeting.of_proposal - proposed, meeting.of_posterior),
        forward=upper - meeting.log_evidence,
        forward_error=_error(meeting.of_proposal, weights - meeting.of_posterior),
        jeffreys=upper - elbo,
        jeffreys_error=_error(proposed, weights),
        log_evidence=meeting.log_evidence,
        log_evidence_error=_error(meeting.of_proposal, meeting.of_posterior),
        beyond=float((weights > proposed.max()).double().mean()),
        forward_in_noise=float(in_noise.mean()) - meeting.log_evidence,
        disagreement=float(torch.maximum((in_noise - weights).abs(), (out + back).abs()).max()),
    )


def _far(one: float, error: float, other: float) -> bool:
    """Return whether one direction is far, and much farther than the other."""
    if one == math.inf:
        return other < math.inf
    # A mean dominated by a few far draws has an error as large as itself, but is far all the same.
    return one - min(2.0 * error, 0.5 * one) > max(_NOTABLE, 2.0 * other)


def _error(proposed: Tensor, drawn: Tensor) -> float:
    """Return the standard error of the sum of two means, one over independent draws, one over a chain."""
    squared = float(proposed.var()) / len(proposed) + batch_means_error(drawn) ** 2
    return math.sqrt(squared) if math.isfinite(squared) else math.inf
